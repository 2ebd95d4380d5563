"""Promotions: compare and set, the history, the alias that follows, the way back."""

from __future__ import annotations

import datetime as dt
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from tests import saved_models as models
from tests.passengers import copy_of
from tfspark import storage
from tfspark.champions import Champion, current, history, promote, repair, rollback
from tfspark.champions import table as stored
from tfspark.champions.state import verdict_file
from tfspark.cli import main
from tfspark.config import Settings, load_settings
from tfspark.errors import ConfigError, Conflict, GateError, IntegrityError, ModelNotFound
from tfspark.registry.manifest import write_manifest
from tfspark.registry.tracking import COMPLETE, GATE, Store
from tfspark.run import _in_office


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's files, saved once."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    models.mlp(folder)
    write_manifest(str(folder), {"name": "small"})
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, empty_store: Path, saved: Path) -> Path:
    """A warehouse with four versions of `small`; the alias names the first, the last failed."""
    warehouse = tmp_path_factory.mktemp("made") / "warehouse"
    warehouse.mkdir()
    (warehouse / "mlflow.db").write_bytes(empty_store.read_bytes())
    settings = load_settings(None, {"warehouse": str(warehouse), "name": "small"})
    for number in range(1, 5):
        register(settings, saved, f"key {number}", "failed" if number == 4 else "passed")
    Store(settings.tracking_uri, "small").set_alias("champion", 1)
    return warehouse


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Settings:
    copy = copy_of(made, tmp_path / "warehouse")
    return load_settings(None, {"warehouse": str(copy), "name": "small"})


def register(settings: Settings, saved: Path, key: str, gate: str, complete: bool = True) -> int:
    store = Store(settings.tracking_uri, "small")
    run = store.start_run("small", settings.artifacts, key, {})
    number = store.new_version(run, key)
    store.upload(run, str(saved))
    store.tag(number, GATE, gate)
    if complete:
        store.tag(number, COMPLETE, "true")
    store.end_run(run)
    return number


def alias(settings: Settings) -> int | None:
    return Store(settings.tracking_uri, "small").aliases().get("champion")


def versions(settings: Settings) -> list[int]:
    return [row.version for row in history(settings, "small")]


def test_the_history_begins_with_the_alias_and_the_alias_follows(place: Settings) -> None:
    assert not Path(place.warehouse, "champions").exists()
    assert repair(place, "small") is None
    before = current(place, "small")
    assert before is not None
    assert (before.version, before.number, before.since) == (1, 0, None)

    made = promote(place, "small", 2, by="ann", verdict="better")
    assert (made.version, made.number, made.by, made.verdict) == (2, 2, "ann", "better")
    assert alias(place) == 2
    first, second = history(place, "small")
    assert (first.version, first.since, first.until) == (1, None, second.since)
    assert second.until is None
    assert len(second.digest) == 64

    # By hand, or left behind by a job that was killed between the two.
    Store(place.tracking_uri, "small").set_alias("champion", 3)
    assert current(place, "small") == second
    assert repair(place, "small") == 2
    assert alias(place) == 2
    for model in ("", "models:/small@champion", {"a": "models:/small@champion", "b": "models/b"}):
        Store(place.tracking_uri, "small").set_alias("champion", 3)
        _in_office(place, model)  # as `score` and `stream` begin
        assert alias(place) == 2


def test_what_is_refused(place: Settings, saved: Path) -> None:
    unfinished = register(place, saved, "key 5", "passed", complete=False)
    with pytest.raises(ModelNotFound, match="no version 9; there are: 1, 2, 3, 4, 5"):
        promote(place, "small", 9)
    with pytest.raises(ModelNotFound, match="not finished"):
        promote(place, "small", unfinished)
    with pytest.raises(ModelNotFound, match="small2: no such model .* you mean small"):
        promote(place, "small2", 1)
    with pytest.raises(ConfigError, match="champion already"):
        promote(place, "small", 1)
    with pytest.raises(GateError, match=r"did not pass registry\.gate"):
        promote(place, "small", 4)
    for verdict in ("worse", "refused"):
        with pytest.raises(GateError, match=f"verdict is: {verdict}"):
            promote(place, "small", 2, verdict=verdict, reason="I like it")
    for verdict in ("not worse", "cannot tell"):
        with pytest.raises(GateError, match="--reason"):
            promote(place, "small", 2, verdict=verdict)
    with pytest.raises(ConfigError, match="--force needs a --reason"):
        promote(place, "small", 4, force=True)
    with pytest.raises(Conflict, match="champion is version 1, not 3") as conflict:
        promote(place, "small", 2, expected=3)
    assert conflict.value.exit_code == 75
    with pytest.raises(ConfigError, match="no champion before version 1"):
        rollback(place, "small")
    assert not Path(place.warehouse, "champions").exists()
    assert alias(place) == 1
    # The verdict that `tfspark judge` has kept counts, of the champion of now alone.
    storage.write_json(verdict_file(place, "small", 2, 1), {"verdict": "worse"})
    with pytest.raises(GateError, match="verdict is: worse"):
        promote(place, "small", 2)
    promote(place, "small", 4, force=True, reason="the only one that knows the new product")
    assert history(place, "small")[-1].reason == "the only one that knows the new product"
    promote(place, "small", 2)


def test_of_racing_promotions_one_wins(place: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = promote(place, "small", 2).digest
    monkeypatch.setattr("tfspark.champions.change._digest", lambda *_: digest)
    monkeypatch.setattr("tfspark.champions.change.repair", lambda *_: None)

    def race(version: int) -> Any:
        try:
            return promote(place, "small", version, expected=2)
        except Conflict as error:
            return error

    with ThreadPoolExecutor(6) as pool:
        ended = list(pool.map(race, [1, 3] * 3))
    won = [one for one in ended if isinstance(one, Champion)]
    assert len(won) == 1
    assert versions(place) == [1, 2, won[0].version]
    assert [row.number for row in history(place, "small")] == [1, 2, 3]


def test_models_share_the_table_and_lose_nothing(tmp_path: Path) -> None:
    """Also where the first make it at once, and where the path looks like a part of a URI."""
    settings = load_settings(None, {"warehouse": str(tmp_path / "ware #house? 1")})
    barrier = threading.Barrier(3)

    def add(name: str) -> None:
        barrier.wait()
        for number in range(1, 4):
            row = partial(Champion, name, number)
            stored.add(settings, name, lambda there, row=row: [row(len(there) + 1)])

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(add, ("one", "two", "three")))
    for name in ("one", "two", "three"):
        rows = stored.rows_of(settings, name)
        assert [(row.version, row.number) for row in rows] == [(n, n) for n in range(1, 4)]


def test_back_again(place: Settings) -> None:
    promote(place, "small", 2)
    promote(place, "small", 3)
    assert rollback(place, "small", reason="bad scores").version == 2
    assert rollback(place, "small").version == 1  # and not 3 again
    with pytest.raises(ConfigError, match="no champion before version 1"):
        rollback(place, "small")
    assert rollback(place, "small", to=3).version == 3
    assert versions(place) == [1, 2, 3, 2, 1, 3]
    assert [row.action for row in history(place, "small")][-2:] == ["rollback"] * 2
    assert alias(place) == 3


def test_a_version_whose_files_are_not_whole_gets_no_office(place: Settings) -> None:
    promote(place, "small", 2)
    files = list(Path(place.warehouse).rglob("mlflow-artifacts/**/variables.data*"))
    assert len(files) == 4
    for file in files:
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError, match="was changed"):
        rollback(place, "small")
    with pytest.raises(IntegrityError, match="was changed"):
        promote(place, "small", 3)
    assert (versions(place), alias(place)) == ([1, 2], 2)


def test_the_commands(place: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--warehouse", place.warehouse]
    assert main(argv=["promote", "small", "2", *where, "--reason", "a\x1b[31m", "--force"]) == 0
    assert "champion" in capsys.readouterr().out
    days = [dt.date(2026, 11, d) for d in (20, 21, 22)]
    rows = pa.table(
        {
            "id": range(6),
            "model_name": ["small"] * 6,
            "model_version": ["1", "2", "2", "2", "2", "1"],
            "day": np.repeat(days, 2),
        }
    )
    write_deltalake(place.scored, rows, partition_by=["day"])
    assert main(argv=["rollback", "small", *where, "--rescore", "2026-11-21..2026-11-30"]) == 0
    said = capsys.readouterr().out
    assert re.findall(r"(\S+)  (\d) rows", said) == [
        ("2026-11-20", "1"),
        ("2026-11-21", "2"),
        ("2026-11-22", "1"),
    ]
    assert re.findall(r"tfspark score .* --date (\S+)", said) == ["2026-11-21", "2026-11-22"]
    assert main(argv=["champions", "small", *where]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["version", "1", "2", "1"]
    assert r"a\x1b[31m" in lines[2]
    for argv, code, told in [
        (["promote", "small", "two"], 2, "is no version"),
        (["promote", "small", "1"], 2, "champion already"),
        (["promote", "small", "2", "--expected", "3"], 75, "Conflict"),
        (["promote", "small", "4"], 4, "registry.gate"),
        (["promote", "other", "4"], 2, "there are: small"),
        (["rollback", "small", "--rescore", "2026-11-21"], 2, "FROM..TO"),
        (["champions", "small", "--config", "no.yaml"], 2, "no.yaml"),
    ]:
        assert main(argv=[*argv, *where]) == code, argv
        assert told in capsys.readouterr().err
    empty = str(Path(place.warehouse, "empty"))
    assert main(argv=["champions", "small", "--warehouse", empty]) == 2
    assert "no registry" in capsys.readouterr().err
    assert not Path(empty).exists()
    uri = Path(place.warehouse, "champions").absolute().as_uri()
    assert DeltaTable(uri).version() == 1
