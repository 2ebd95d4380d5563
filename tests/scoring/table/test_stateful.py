"""Histories of a scored table: runs of days, their tasks, kills of both, late tasks, old snapshots.

Real tasks (`TableTask`) with a model of one line, real files, real Delta. Spark's part is played
here: it starts tasks, starts those again that were lost, and does not wait for a slow twin.
"""

from __future__ import annotations

import datetime as dt
import gc
import uuid
from collections.abc import Iterator
from types import SimpleNamespace as Fake
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
import pyspark
import pytest
from deltalake import DeltaTable
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.sizes import size
from tests.stateful import Process, World, here, histories, operation, until, walk
from tfspark import storage
from tfspark.dayfiles.commit import claim, commit_day, end
from tfspark.errors import StorageError
from tfspark.scoring.worker.sink import OPEN, FilePart, TableTask

DAYS = [dt.date(2026, 11, day) for day in (20, 21)]
COLUMNS = pa.schema([("id", pa.int64())])
SCHEMA = {
    "type": "struct",
    "fields": [
        {"name": name, "type": kind, "nullable": True, "metadata": {}}
        for name, kind in (("id", "long"), ("y", "long"), ("day", "date"))
    ],
}
_ATTEMPTS = 4  # of a task, as Spark's


class Failed(Exception):
    """The run stops before its commit, as for too many bad rows."""


class Run(Process):
    day: dt.date
    ids: list[int]
    fails = done = False


class Task(Process):
    number = attempt = 0
    staging = token = ""


class Model:
    """y = 2 id; of every seventh row it says that it cannot."""

    signature = Fake(outputs=["y"])

    def __call__(self, columns: list[pa.Array]) -> tuple[list[pa.Array], pa.Array]:
        ids = columns[0].to_pylist()
        bad = [None if good(i) else "bad" for i in ids]
        return [pa.array([i * 2 for i in ids], pa.int64())], pa.array(bad, pa.string())


def good(number: int) -> bool:
    return number % 7 != 0


class Tables(World):
    def __init__(self) -> None:
        super().__init__()
        self.target = self.root / "t"
        self.days: dict[dt.date, list[int]] = {}
        self.files: set[str] = set()  # of all versions: readers of old ones need them
        self.versions = 0
        self.snapshots: list[tuple[DeltaTable, dict[dt.date, list[int]]]] = []
        self.late: set[str] = set()
        self.next_id = 0
        self.patch.setattr(pyspark.TaskContext, "get", _context)
        _stop_at(self.patch, DeltaTable, "__init__")
        _stop_at(self.patch, DeltaTable, "create_write_transaction", self.half_a_commit)
        _stop_at(
            self.patch, deltalake.transaction, "create_table_with_add_actions", self.half_a_commit
        )

    def half_a_commit(self) -> None:
        """What a commit that is killed leaves: a file beside the log, under no name of the log."""
        log = self.target / "_delta_log"
        log.mkdir(parents=True, exist_ok=True)
        (log / f"{self.versions:020}.json#1").write_text("{")

    @rule(
        day=st.sampled_from(DAYS),
        rows=st.integers(0, 5),
        tasks=st.integers(1, 2),
        twin=st.booleans(),
        fails=st.sampled_from([False, False, False, True]),
        operations=st.integers(0, 40),
    )
    @precondition(lambda self: self.room)
    def score(
        self, day: dt.date, rows: int, tasks: int, twin: bool, fails: bool, operations: int
    ) -> None:
        self.step(self.run(day, rows, tasks, twin, fails), operations)

    def run(
        self, day: dt.date, rows: int, tasks: int = 1, twin: bool = False, fails: bool = False
    ) -> Run:
        ids = list(range(self.next_id, self.next_id + rows))
        self.next_id += rows

        def work() -> None:
            """In the order of `score_table`."""
            staging = storage.new_staging(str(self.root), "score-t", remove=end)
            token = uuid.uuid4().hex
            folder = str(self.target / f"day={day}")
            try:
                claim(staging, str(self.target), folder, token)
                task = TableTask(Model(), COLUMNS, ("id",), ("id",), (), folder, staging, token)  # type: ignore[arg-type]
                parts = list(self.by_tasks(task, [ids[n::tasks] for n in range(tasks)], twin))
                assert sum(part.rows + part.bad for part in parts) == rows
                if fails:
                    raise Failed
                commit_day(str(self.target), SCHEMA, parts, day, run_id="run", token=token)
            finally:
                end(staging)

        process: Run = self.start(work, Run)
        process.day, process.fails, process.ids = day, fails, [i for i in ids if good(i)]
        return process

    def by_tasks(self, task: TableTask, shares: list[list[int]], twin: bool) -> Iterator[FilePart]:
        """Spark's part. It takes the first attempt that ends well, and waits for no other."""
        for number, ids in enumerate(shares):
            for _ in range(_ATTEMPTS):
                attempts = [self.task(task, ids, number)]
                if twin:
                    attempts.append(self.task(task, ids, number))
                until(lambda: any(_well(a) for a in attempts) or all(a.ended for a in attempts))  # noqa: B023
                if well := [a for a in attempts if _well(a)]:
                    yield well[0].result
                    break
            else:
                raise StorageError("the task was lost too often")

    def task(self, task: TableTask, ids: list[int], number: int) -> Task:
        batches = [
            pa.record_batch({"id": ids[at : at + 2]}, COLUMNS) for at in range(0, len(ids), 2)
        ]
        process: Task = self.start(lambda: task(batches), Task)
        process.number, process.attempt = number, process.pid
        process.staging, process.token = task.staging, task.token
        return process

    @rule()
    @precondition(lambda self: self.versions)
    def plan(self) -> None:
        self.snapshots.append((DeltaTable(str(self.target)), dict(self.days)))

    @rule(which=st.integers(0, 3))
    @precondition(lambda self: self.snapshots)
    def read_what_was_planned(self, which: int) -> None:
        table, days = self.snapshots[which % len(self.snapshots)]
        assert rows(table) == days

    def looked(self, process: Process) -> None:
        log = self.target / "_delta_log"
        versions = len(list(log.glob("*.json")))
        if versions != self.versions:
            assert isinstance(process, Run)
            assert versions == self.versions + 1
            assert not process.done, "committed twice"
            process.done, self.versions = True, versions
            self.days = {d: ids for d, ids in self.days.items() if d != process.day}
            if process.ids:
                self.days[process.day] = process.ids
            table = DeltaTable(str(self.target))
            assert rows(table) == self.days
            self.files |= set(table.get_add_actions()["path"].to_pylist())
        for name in self.files:
            assert (self.target / name).is_file(), f"{name} counts and is gone"
        if process.ended:
            self.ended(process)

    def ended(self, process: Process) -> None:
        if isinstance(process, Task):
            gone = not storage.exists(storage.join(process.staging, OPEN))
            if process.killed and gone:
                # Known: nobody looks for the file of a late task that dies before it removes it.
                names = [n for n in walk(self.target) if n.endswith(f"-{process.attempt}.parquet")]
                self.late |= set(names) - self.files
            elif process.error and not (gone and isinstance(process.error, StorageError)):
                raise process.error
        elif isinstance(process, Run) and not process.killed:
            if process.error is None:
                assert process.done, "lost"
            else:
                assert not process.done, f"failed after its commit: {process.error!r}"
                if "lost too often" not in str(process.error) and not process.fails:
                    raise process.error

    def clean_run(self) -> None:
        process = self.run(DAYS[0], 1)
        self.finish(process)
        assert process.error is None
        there = {name for name in walk(self.target) if name.endswith(".parquet")}
        assert there - self.late == self.files
        assert storage.names(str(self.root / "_staging")) == []


def _well(attempt: Task) -> bool:
    return attempt.ended and attempt.result is not None


def _context() -> Any:
    """Spark's, of the task that asks."""
    task: Any = here()
    return Fake(partitionId=lambda: task.number, taskAttemptId=lambda: task.attempt)


def _stop_at(patch: Any, owner: Any, name: str, half: Any = None) -> None:
    real = getattr(owner, name)
    patch.setattr(owner, name, lambda *args, **more: operation(lambda: real(*args, **more), half))


def rows(table: DeltaTable) -> dict[dt.date, list[int]]:
    """What a reader finds, by day."""
    found: dict[dt.date, list[int]] = {}
    for row in table.to_pyarrow_table().to_pylist():
        assert row["y"] == row["id"] * 2
        found.setdefault(row["day"], []).append(row["id"])
    return {day: sorted(ids) for day, ids in found.items()}


@pytest.mark.timeout(7200)  # in the soak
def test_histories(monkeypatch: pytest.MonkeyPatch) -> None:
    # What a killed task has begun nobody ends.
    monkeypatch.setattr(pq.ParquetWriter, "__del__", lambda writer: None)
    histories(Tables, size(70, soak=5_000))
    gc.collect()
