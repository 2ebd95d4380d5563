"""What is removed, what stays, and that a run beside it loses nothing."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from deltalake import DeltaTable, write_deltalake

from tests.night.world import CONTRACT
from tests.passengers import content
from tfspark import storage
from tfspark.champions import Champion
from tfspark.champions.table import add
from tfspark.clean.protect import in_rows
from tfspark.clean.vacuum import horizon
from tfspark.cli import main
from tfspark.config import Settings, load_settings
from tfspark.night.lease import Lease
from tfspark.night.record import Records, new
from tfspark.registry.connect import connect
from tfspark.registry.index import refresh
from tfspark.registry.manifest import write_manifest
from tfspark.registry.tracking import COMPLETE, TRAIN_KEY, Store

TODAY = dt.date(2026, 11, 30)
FLAGS = ["--clean.days", "10", "--clean.quarantine", "10", "--clean.pages", "10"]
FLAGS += ["--clean.models", "1", "--clean.datasets", "1", "--clean.runs", "10"]


@pytest.fixture
def place(tmp_path: Path, empty_store: Path) -> Iterator[Settings]:
    """Thirty days, seven versions, five datasets, checkpoints, pages and what kills have left."""
    warehouse = tmp_path / "w"
    (tmp_path / "contract.yaml").write_text(yaml.safe_dump(CONTRACT))
    warehouse.mkdir()
    (warehouse / "mlflow.db").write_bytes(empty_store.read_bytes())
    about = {"name": "rows", "warehouse": str(warehouse)}
    about |= {"contract": str(tmp_path / "contract.yaml"), "source": {"path": "{date}"}}
    (tmp_path / "rows.yaml").write_text(yaml.safe_dump(about))
    settings = load_settings(str(tmp_path / "rows.yaml"))
    versions(settings)
    at = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
    past = [Champion("rows", number, number, at, "promote") for number in (2, 3, 4, 5)]
    add(settings, "rows", lambda _: past)
    nights(settings, [TODAY - dt.timedelta(days=number) for number in range(30)])
    for number in range(1, 6):
        folder = Path(settings.datasets, str(number))
        folder.mkdir(parents=True)
        manifest = {"version": number, "digest": "d", "rows": {}, "files": {}}
        day = str(TODAY - dt.timedelta(days=number))
        (folder / "manifest.json").write_text(json.dumps({**manifest, "day": day}))
    for key, age in (("a" * 16, 40), ("b" * 16, 1), ("c" * 16, 40)):
        folder = warehouse / "checkpoints" / "rows" / key
        folder.mkdir(parents=True)
        (folder / "1.ckpt").write_bytes(b"1" * 50)
        at = dt.datetime.combine(TODAY, dt.time(), dt.UTC).timestamp() - age * 86400
        os.utime(folder / "1.ckpt", (at, at))
        os.utime(folder, (at, at))
    stream = warehouse / "checkpoints" / "rows" / "offsets"  # a stream's checkpoint beside them
    stream.mkdir()
    (warehouse / "scored" / "_staging" / "score-rows-1").mkdir(parents=True)
    return settings


def versions(settings: Settings) -> None:
    """Seven; the second one alone was trained on the second dataset, the last is not complete."""
    client = connect(settings.tracking_uri)
    client.create_registered_model("rows")
    for number, dataset in enumerate((1, 2, 3, 3, 3, 4, 5), 1):
        folder = storage.join(settings.models, "rows", str(number))
        source = f"{settings.artifacts}/1/{number}/artifacts/model"
        about = {"dataset": {"name": "rows", "version": dataset, "digest": "d"}}
        for place in (folder, source):
            storage.write_bytes(storage.join(place, "saved_model.pb"), b"model")
        write_manifest(folder, {"name": "rows", "version": str(number), **about})
        tags = {TRAIN_KEY: str(number)} | ({COMPLETE: "true"} if number < 7 else {})
        client.create_model_version("rows", source, tags=tags)
    client.set_registered_model_alias("rows", "champion", "5")
    refresh(client, settings.tracking_uri)


def nights(settings: Settings, days: list[dt.date]) -> None:
    """Nights, the newest first: version 1 has scored the last eleven days, version 2 the others."""
    rows = {"day": days, "run_id": [f"r{day}" for day in days], "model_name": ["rows"] * len(days)}
    rows |= {"model_version": ["1" if n <= 10 else "2" for n in range(len(days))]}
    write_deltalake(settings.scored, pa.table(rows), partition_by=["day"])
    bad = {"day": days * 2, "raw": ["x"] * 60, "table": ["rows"] * 30 + ["other"] * 30}
    by = ["day", "table", "job"]
    rows = pa.table({**bad, "job": ["score"] * 60})
    write_deltalake(settings.quarantine, rows, partition_by=by)
    records = Records(settings)
    for day in days:
        record = new("rows", day, f"r{day}", False, dt.datetime(2026, 12, 1, tzinfo=dt.UTC))
        published = {"rows": 1, "token": f"r{day}", "version": 1, "pin": None, "key": "k"}
        records.end({**record, "published": published, "exit_code": 0, "verdict": "green"})
        Path(records.folder, f"{day}.html").write_text("page")


def clean(settings: Settings, *flags: str) -> int:
    config = Path(settings.warehouse).parent / "rows.yaml"
    return main("clean", ["--config", str(config), "--date", str(TODAY), *FLAGS, *flags])


def days(table: str) -> int:
    return len({str(row["day"]) for row in DeltaTable(table).to_pyarrow_table().to_pylist()})


def test_what_is_old_goes_and_what_a_day_or_a_champion_needs_stays(
    place: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse = Path(place.warehouse)
    before = content(warehouse)
    assert clean(place) == 0
    said = capsys.readouterr().out
    assert "clean: would remove; --yes removes it" in said
    assert re.search(r"^  datasets +1 \(", said, re.MULTILINE)  # of the model that would go
    assert content(warehouse) == before
    # A night of an old day and a training run beside it.
    held = str(TODAY - dt.timedelta(days=29))
    records = Records(place)
    training = warehouse / "checkpoints" / "rows" / ("c" * 16)
    with Lease(records.leases, held, "other", 60), storage.locked(str(training)):
        assert clean(place, "--yes") == 0
        noted = capsys.readouterr().err
        assert "is done by run other" in noted
        assert "a training of rows runs" in noted
        assert (days(place.scored), training.exists()) == (12, True)
        assert len(list(Path(place.datasets).glob("[0-9]"))) == 5
    assert clean(place, "--yes") == 0
    assert days(place.scored) == 11
    quarantine = DeltaTable(place.quarantine).to_pyarrow_table()["table"].to_pylist()
    assert (quarantine.count("rows"), quarantine.count("other")) == (11, 30)
    # 1 is named by rows, 2 only by rows that are gone; 3, 4 and 5 were champions, 6 is the newest.
    there = {path.name for path in Path(place.models, "rows").iterdir()}
    assert there == {"1", "3", "4", "5", "6", "7"}
    store = Store(place.tracking_uri, "rows")
    assert {*store.every()} == {1, 3, 4, 5, 6, 7}
    assert len(list((warehouse / "mlflow-artifacts").glob("1/*/artifacts/model"))) == 6
    assert {path.name for path in Path(place.datasets).glob("[0-9]")} == {"1", "3", "4", "5"}
    kept = {path.name for path in training.parent.iterdir()}
    assert kept == {"b" * 16, "offsets"}
    assert not list((warehouse / "scored" / "_staging").iterdir())
    pages = sorted(Path(records.folder).glob("*.html"))
    assert len(pages) == len(records.days()) == 11
    assert len(list(Path(records.folder, "runs").iterdir())) == 11
    assert "2026-11-19" not in (warehouse / "nights" / "index.html").read_text()
    # What is gone is missed by nobody.
    due = ["--due", "--nightly.start", "2026-01-01", "--explain", "--date", str(TODAY)]
    assert main("nightly", ["--config", str(warehouse.parent / "rows.yaml"), *due]) == 0
    assert "every day up to 2026-11-30 is done" in capsys.readouterr().out
    capsys.readouterr()
    assert clean(place, "--yes") == 0
    assert "nothing to remove" in capsys.readouterr().out


def test_what_cannot_be_told_keeps_the_models(
    place: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Path(place.scored, "_delta_log", "00000000000000000000.json")
    log.write_text("{")
    assert clean(place, "--yes") == 6
    assert "its log cannot be read" in capsys.readouterr().err
    assert len(list(Path(place.models, "rows").glob("[0-9]"))) == 7


def test_a_file_of_several_models_names_each(tmp_path: Path) -> None:
    rows: dict[str, list[Any]] = {"day": [TODAY] * 3, "a_model_name": ["m"] * 3}
    rows |= {"a_model_version": ["1", "2", "3"], "b_model_name": ["n"] * 3}
    rows |= {"b_model_version": ["7"] * 3}
    write_deltalake(str(tmp_path), pa.table(rows), partition_by=["day"])
    assert in_rows(str(tmp_path), TODAY) == {("m", "1"), ("m", "2"), ("m", "3"), ("n", "7")}
    assert in_rows(str(tmp_path), TODAY + dt.timedelta(days=1)) == set()


def test_no_file_goes_that_is_younger_than_the_oldest_run(tmp_path: Path) -> None:
    began = time.time()
    storage.new_staging(str(tmp_path), "score-rows")
    (tmp_path / "_staging" / "score-rows-left").mkdir()
    (since,) = storage.running_since(str(tmp_path))
    assert began <= since <= time.time()
    assert horizon(7, [], 0) == 168
    now = 100 * 86400.0
    assert horizon(7, [now - 3600], now) == 168
    assert horizon(7, [now - 20 * 86400, now - 60], now) == 481


def test_replaced_files_go_after_their_days(tmp_path: Path) -> None:
    settings = load_settings(None, {"name": "rows", "warehouse": str(tmp_path / "w")})
    for value in (1, 2):
        rows = pa.table({"id": [value], "day": [TODAY]})
        write_deltalake(settings.scored, rows, mode="overwrite", partition_by=["day"])
    old, young = (
        Path(settings.scored, "day=2026-11-30", name) for name in ("left.parquet", "new.parquet")
    )
    for path in (old, young):
        path.write_bytes(b"0")
    os.utime(old, (1, 1))
    flags = ["--name", "rows", "--warehouse", settings.warehouse, "--yes"]
    assert main("clean", flags) == 0
    assert (old.exists(), young.exists()) == (False, True)
    assert len(list(Path(settings.scored, "day=2026-11-30").iterdir())) == 3
