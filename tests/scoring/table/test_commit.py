"""Files below a Delta table: which of them a commit makes rows, and which go."""

from __future__ import annotations

import datetime as dt
import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction

from tests.stateful import world
from tfspark import storage
from tfspark.dayfiles import commit as commit_module
from tfspark.dayfiles.commit import claim, commit_day, day_folder, end
from tfspark.errors import StorageError
from tfspark.scoring.worker.sink import FilePart
from tfspark.scoring.worker.statistics import Counts, delta_stats

DAY, OTHER = dt.date(2026, 11, 20), dt.date(2026, 11, 21)
SCHEMA = {
    "type": "struct",
    "fields": [
        {"name": "id", "type": "long", "nullable": True, "metadata": {}},
        {"name": "day", "type": "date", "nullable": True, "metadata": {}},
    ],
}


def folder(table: Path, day: dt.date) -> Path:
    return table / f"day={day}"


def part(table: Path, token: str, ids: list[int], day: dt.date = DAY, attempt: int = 0) -> FilePart:
    """A task's file and what it says of it."""
    folder(table, day).mkdir(parents=True, exist_ok=True)
    name = f"part-00000-{token}-{attempt}.parquet"
    pq.write_table(pa.table({"id": ids}), folder(table, day) / name)
    stats = json.dumps({"numRecords": len(ids)})
    size = (folder(table, day) / name).stat().st_size
    return FilePart(name, size, len(ids), stats, None, 0)


def started(table: Path, token: str) -> str:
    staging = storage.new_staging(str(table.parent), "score-t")
    claim(staging, str(table), str(folder(table, DAY)), token)
    return staging


def put(table: Path, parts: list[FilePart], token: str, day: dt.date = DAY) -> int:
    return commit_day(str(table), SCHEMA, parts, day, run_id=f"run {token}", token=token)


def ids(table: Path) -> dict[str, list[int]]:
    rows = DeltaTable(str(table)).to_pyarrow_table().sort_by("id").to_pylist()
    return {
        str(d): [r["id"] for r in rows if r["day"] == d] for d in sorted({r["day"] for r in rows})
    }


def test_a_day_is_made_replaced_emptied_and_others_stay(tmp_path: Path) -> None:
    table = tmp_path / "a 'table"
    assert put(table, [part(table, "t0", [1, 2])], "t0") == 0
    assert put(table, [part(table, "t1", [3], OTHER)], "t1", OTHER) == 1
    assert put(table, [part(table, "t2", [4]), part(table, "t2", [5], attempt=1)], "t2") == 2
    assert ids(table) == {"2026-11-20": [4, 5], "2026-11-21": [3]}
    assert DeltaTable(str(table)).history(1)[0]["userMetadata"] == "run t2"
    assert put(table, [], "t3") == 3
    assert ids(table) == {"2026-11-21": [3]}


def test_what_others_wrote_meanwhile_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "t"
    put(table, [part(table, "t0", [1])], "t0")
    real, late = DeltaTable.create_write_transaction, [part(table, "late", [9])]

    def slow(self: DeltaTable, actions: list[AddAction], *args: Any, **options: Any) -> None:
        if late:  # another run replaces the day between our snapshot and our commit
            put(table, [late.pop()], "late")
        real(self, actions, *args, **options)

    monkeypatch.setattr(DeltaTable, "create_write_transaction", slow)
    assert put(table, [part(table, "t1", [2])], "t1") == 2
    assert ids(table) == {"2026-11-20": [2]}


def test_what_a_failure_says_of_the_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that failed after it was there is none; one that cannot be seen is told as that."""
    table = tmp_path / "t"
    put(table, [part(table, "t0", [1])], "t0")
    real = DeltaTable.create_write_transaction

    def commits_and_fails(self: DeltaTable, *args: Any, **options: Any) -> None:
        real(self, *args, **options)
        raise DeltaError("connection lost")

    with monkeypatch.context() as patch:
        patch.setattr(DeltaTable, "create_write_transaction", commits_and_fails)
        assert put(table, [part(table, "t1", [2])], "t1") == 1
    assert ids(table) == {"2026-11-20": [2]}
    with monkeypatch.context() as patch:
        patch.setattr(commit_module, "commit_of", unreadable)
        with pytest.raises(StorageError, match="whether the day 2026-11-20 is written cannot be t"):
            put(tmp_path / "u", [part(tmp_path / "u", "t2", [3])], "t2")
    assert ids(tmp_path / "u") == {"2026-11-20": [3]}

    def fails(self: DeltaTable, *args: Any, **options: Any) -> None:
        raise DeltaError("connection lost")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", fails)
    with pytest.raises(StorageError, match="the table is unchanged: connection lost"):
        put(tmp_path / "u", [part(tmp_path / "u", "t3", [4])], "t3")


def unreadable(*_: Any) -> None:
    raise StorageError("no permission")


def test_a_version_is_told_where_the_history_cannot_be_read(tmp_path: Path) -> None:
    table = tmp_path / "t"
    for number in range(3):
        put(table, [part(table, f"t{number}", [number])], f"t{number}")
    DeltaTable(str(table)).create_checkpoint()
    (table / "_delta_log" / f"{1:020}.json").write_text("torn")
    assert put(table, [part(table, "t3", [9])], "t3") == 3
    assert ids(table) == {"2026-11-20": [9]}


def test_a_table_of_other_columns_is_left_alone(tmp_path: Path) -> None:
    table = tmp_path / "t"
    put(table, [part(table, "t0", [1])], "t0")
    other = {**SCHEMA, "fields": [{**SCHEMA["fields"][0], "type": "string"}, SCHEMA["fields"][1]]}  # type: ignore[dict-item,index]
    with pytest.raises(StorageError, match="it has other columns now"):
        commit_day(str(table), other, [], DAY, run_id="r", token="t1")
    assert ids(table) == {"2026-11-20": [1]}


def test_the_end_of_a_run_leaves_what_counts(tmp_path: Path) -> None:
    table = tmp_path / "t"
    staging = started(table, "token")
    winner, _ = part(table, "token", [1]), part(table, "token", [1], attempt=1)
    put(table, [winner], "token")
    (folder(table, DAY) / "part-00000-other-0.parquet").touch()  # of a run that goes on
    end(staging)
    assert storage.names(str(folder(table, DAY))) == ["part-00000-other-0.parquet", winner.file]
    assert not storage.names(str(tmp_path / "_staging"))

    staging = started(table, "failed")
    part(table, "failed", [2])
    end(staging)
    assert storage.names(str(folder(table, DAY))) == ["part-00000-other-0.parquet", winner.file]

    staging = started(tmp_path / "new", "failed")
    part(tmp_path / "new", "failed", [2])
    end(staging)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("committed", [False, True])
def test_the_next_run_cleans_up_after_a_kill(
    tmp_path: Path, committed: bool, replaced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "t"
    staging = started(table, "killed")
    written = part(table, "killed", [1])
    part(table, "killed", [1], attempt=1)
    if committed:
        put(table, [written], "killed")
    if replaced:
        put(table, [part(table, "next", [2])], "next")
    storage.new_staging(str(tmp_path), "score-t", remove=end)  # its process lives: nothing happens
    assert len([n for n in storage.names(str(folder(table, DAY))) if "killed" in n]) == 2
    owner = storage.read_json(f"{staging}/_owner.json")
    storage.write_json(f"{staging}/_owner.json", {**owner, "pid": 2**30})
    storage.new_staging(str(tmp_path), "score-t", remove=end)
    assert not storage.exists(staging)
    left = [n for n in storage.names(str(folder(table, DAY))) if "killed" in n]
    # Replaced or not, a committed file is part of the table's history.
    assert left == ([written.file] if committed else [])


def test_files_stay_where_the_log_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "t"
    staging = started(table, "token")
    put(table, [part(table, "token", [1])], "token")

    def broken(*args: Any) -> None:
        raise OSError("no network")

    with monkeypatch.context() as patch:
        patch.setattr(commit_module, "commit_of", broken)
        end(staging)
    assert ids(table) == {"2026-11-20": [1]}
    assert storage.exists(staging)  # and so the next run tries again
    end(staging)
    assert not storage.exists(staging)


def test_a_slow_twin_removes_its_file_while_its_run_ends(tmp_path: Path) -> None:
    table = tmp_path / "t"
    for operations in range(20):
        with world() as now:
            token = f"token{operations}"
            staging = started(table, token)
            winner, twin = part(table, token, [1]), part(table, token, [1], attempt=1)
            put(table, [winner], token)
            run = now.start(partial(end, staging))
            now.step(run, operations)
            (folder(table, DAY) / str(twin.file)).unlink(missing_ok=True)
            now.finish(run)
            assert run.error is None
            assert not storage.exists(staging)
            assert ids(table) == {str(DAY): [1]}


def test_a_leftover_that_cannot_be_swept_is_the_next_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "t"
    put(table, [part(table, "t0", [1])], "t0")
    staging = started(table, "killed")
    written = part(table, "killed", [2])
    owner = storage.read_json(f"{staging}/_owner.json")
    storage.write_json(f"{staging}/_owner.json", {**owner, "pid": 2**30})
    for broken in (True, False):
        with monkeypatch.context() as patch:
            if broken:
                patch.setattr(commit_module, "commit_of", lambda *_: 1 / 0)
            storage.new_staging(str(tmp_path), "score-t", remove=end)
        assert storage.exists(staging) == broken
        assert (folder(table, DAY) / str(written.file)).exists() == broken


def test_a_first_commit_that_was_killed_half_way(tmp_path: Path) -> None:
    table = tmp_path / "t"
    staging = started(table, "killed")
    part(table, "killed", [1])
    (table / "_delta_log").mkdir()
    (table / "_delta_log" / "00000000000000000000.json#1").write_text("{")
    end(staging)
    assert not folder(table, DAY).exists()
    assert not storage.exists(staging)
    assert put(table, [part(table, "next", [2])], "next") == 0
    assert ids(table) == {str(DAY): [2]}


def test_statistics_never_exclude_a_row(tmp_path: Path) -> None:
    at = dt.datetime(2026, 1, 1, 0, 0, 0, 1500)
    table = pa.table(
        {
            "id": pa.array([3, None, 1]),
            "nan": pa.array([1.0, math.nan, 2.0]),
            "real": pa.array([1.5, None, -2.0], pa.float32()),
            "endless": pa.array([1.0, math.inf, 0.0]),
            "text": pa.array(["b", "a" * 50, "z" * 50]),
            "day": pa.array([dt.date(1, 1, 1), dt.date(9999, 12, 31), None]),
            "at": pa.array([at, at, at], pa.timestamp("us", "UTC")),
            "local": pa.array([at, at, None], pa.timestamp("us")),
            "flag": pa.array([True, None, None]),
            "none": pa.array([None, None, None], pa.int32()),
            "list": pa.array([[1], [None], None]),
            "struct": pa.array([{"a": 1}, None, None]),
        }
    )
    counts = Counts()
    for batch in table.to_batches(2):
        counts.add(batch)
    pq.write_table(table, tmp_path / "f.parquet", row_group_size=2)
    stats = json.loads(delta_stats(pq.read_metadata(tmp_path / "f.parquet"), counts))
    assert stats["numRecords"] == 3
    assert stats["minValues"] == {
        "id": 1, "real": -2.0, "endless": 0.0, "text": "a" * 32, "day": "0001-01-01",
        "at": "2026-01-01T00:00:00.001Z", "local": "2026-01-01T00:00:00.001",
    }  # fmt: skip
    assert stats["maxValues"] == {
        "id": 3, "real": 1.5, "day": "9999-12-31",
        "at": "2026-01-01T00:00:00.002Z", "local": "2026-01-01T00:00:00.002",
    }  # fmt: skip
    nulls = {"id": 1, "real": 1, "day": 1, "local": 1, "flag": 2, "none": 3, "list": 1}
    assert {k: v for k, v in stats["nullCount"].items() if v} == nulls


def test_rows_of_one_job_of_a_day(tmp_path: Path) -> None:
    """In a table by day, table and job; the end of a run removes what its commit does not name."""
    days: Any = SCHEMA["fields"]
    texts = [
        {"name": name, "type": "string", "nullable": True, "metadata": {}}
        for name in ("table", "job")
    ]
    table, schema = tmp_path / "bad", {"type": "struct", "fields": [*days, *texts]}
    staging = storage.new_staging(str(tmp_path), "prepare")

    def write(token: str, where: dict[str, str], *numbers: int) -> FilePart:
        inside = table / day_folder(DAY, where)
        inside.mkdir(parents=True, exist_ok=True)
        name = f"part-00000-{token}-{numbers[0]}.parquet"
        pq.write_table(pa.table({"id": numbers}), inside / name)
        size = (inside / name).stat().st_size
        stats = json.dumps({"numRecords": len(numbers)})
        return FilePart(name, size, len(numbers), stats, None, 0)

    one, two = {"table": "a", "job": "score"}, {"table": "a", "job": "prepare"}
    for token, where, numbers in (("t0", one, [1]), ("t1", two, [2, 3]), ("t2", one, [4, 5])):
        claim(f"{staging}/quarantine", str(table), str(table / day_folder(DAY, where)), token)
        late = write(token, where, 90 + numbers[0])  # of a task that ran twice
        parts = [write(token, where, *numbers)]
        commit_day(str(table), schema, parts, DAY, run_id=token, token=token, where=where)
        assert (table / day_folder(DAY, where) / str(late.file)).exists()
    end(staging)
    assert not Path(staging).exists()
    rows = DeltaTable(str(table)).to_pyarrow_table().to_pylist()
    assert sorted((r["id"], r["job"]) for r in rows) == [
        *[(2, "prepare"), (3, "prepare"), (4, "score"), (5, "score")],
    ]
    found = {path.name.split("-")[2] for path in (table / day_folder(DAY, one)).iterdir()}
    assert found == {"t0", "t2"}  # t0's are the versions before
    assert not (table / day_folder(DAY, one) / "part-00000-t2-94.parquet").exists()
