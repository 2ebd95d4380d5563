"""Watching a day of a real warehouse: the example's, trained and scored once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.passengers import DAY, copy_of, flags
from tfspark.cli import main
from tfspark.config import load_settings
from tfspark.config.settings import Settings
from tfspark.console import Steps
from tfspark.contracts import load_contract
from tfspark.registry.resolve import resolve_model
from tfspark.scoring import score_table
from tfspark.watch import counter_of, watch
from tfspark.watch.job import counts_table
from tfspark.watch.reference import place, reference
from tfspark.watch.store import read


@pytest.fixture
def settings(passengers: Path, tmp_path: Path) -> Settings:
    warehouse = copy_of(passengers, tmp_path / "warehouse")
    pairs = flags(warehouse)
    named = dict(zip((f.removeprefix("--") for f in pairs[::2]), pairs[1::2], strict=True))
    overrides: dict[str, Any] = {"contract": named["contract"], "warehouse": named["warehouse"]}
    overrides |= {"source": {"path": named["source.path"]}, "date": DAY}
    return load_settings(named["config"], overrides)


def test_a_day_is_watched_and_its_counts_are_kept(
    spark: Any, settings: Settings, tmp_path: Path
) -> None:
    steps = Steps("watch")
    asked = (spark, settings, steps, DAY, settings.scored, settings.score.model, 712, 0)
    watched = watch(*asked)
    assert watched.not_computed == []
    # The day is the table that was trained on, so it is as in training.
    assert {one["level"] for one in watched.columns} == {""}
    assert watched.scores is not None
    assert watched.verdict == "ok", watched.said
    by_name = {one["name"]: one for one in watched.columns}
    assert {"Age", "Fare", "Sex", "Pclass", "Name"} <= set(by_name)
    assert by_name["Name"]["form"] == "length"
    assert by_name["Fare"]["psi"] < 0.02
    assert by_name["Fare"]["rows"] == 712
    # Counted while it is scored, it is the same.
    counter = counter_of(spark, settings, settings.score.model)
    assert counter is not None
    summary = score_table(
        spark,
        settings.source,
        settings.score.model,
        str(tmp_path / "again"),
        DAY,
        contract=load_contract(settings.contract),
        tracking_uri=settings.tracking_uri,
        counter=counter,
    )
    assert (summary.scored, summary.plan) == (712, "arrow")
    assert counter.counts is not None
    assert watch(*asked, counted=counter.counts).to_json() == watched.to_json()
    table = counts_table(settings)
    kept = read(table, settings.name, DAY)
    again = watch(*asked)
    assert again.to_json() == watched.to_json()
    assert read(table, settings.name, DAY) == kept
    # The reference is made once; what was trained on is not read again.
    model = resolve_model(settings.score.model, settings.tracking_uri)
    known = reference(spark, settings, model)
    (Path(settings.warehouse) / "datasets").rename(Path(settings.warehouse) / "gone")
    assert reference(spark, settings, model) == known
    # Whatever breaks, nothing is raised, and the rest is said.
    Path(place(settings, model)).unlink()
    broken = watch(*asked)
    assert broken.verdict == "not computed"
    assert "no dataset there" in broken.said
    assert broken.rows["in"] == 712
    lost = watch(spark, settings, steps, DAY, "/nowhere", "/nowhere", 1, 0)
    assert lost.verdict == "not computed"


def test_a_drifted_day_is_an_alert(spark: Any, settings: Settings, tmp_path: Path) -> None:
    text = Path(settings.source.path).read_text("utf-8").replace(",male,", ",female,")
    drifted = tmp_path / "drifted.csv"
    drifted.write_text(text, "utf-8")
    arguments = flags(settings.warehouse, source__path=drifted)
    assert main("score", arguments) == 0
    source = settings.source.model_copy(update={"path": str(drifted)})
    other = settings.model_copy(update={"source": source})
    watched = watch(spark, other, Steps("watch"), DAY, other.scored, settings.score.model, 712, 0)
    assert watched.verdict == "alert"
    assert watched.columns[0]["name"] == "Sex"
    assert "gone: male" in watched.said
    assert watched.scores is not None
    assert watched.scores["level"] in ("warn", "alert")
