"""Histories of a TFRecord folder: writers of every mode, kills anywhere, readers, an old folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from tests.sizes import size
from tests.stateful import Process, World, histories
from tfspark import storage
from tfspark.errors import ConfigError, SourceMissing, StorageError
from tfspark.tfrecord import layout_of, read_file, read_sidecar, write_file
from tfspark.tfrecord.codec.schema import write_sidecar
from tfspark.tfrecord.folder.commit import Mode, begin
from tfspark.tfrecord.folder.manifest import MANIFEST, SUCCESS, Folder, list_folder, read_manifest
from tfspark.tfrecord.folder.parts import Cut, partition_schema, write_parts
from tfspark.tfrecord.folder.verify import verify
from tfspark.tfrecord.spark.options import Options
from tfspark.tfrecord.spark.scan import Reader, schema_of

SCHEMAS = {
    "long": pa.schema([("k", pa.int64()), ("id", pa.int64())]),
    "text": pa.schema([("k", pa.int64()), ("id", pa.string())]),
}


class State(NamedTuple):
    """What a folder holds: the schema (None: nothing yet), and the rows (k, id)."""

    kind: str | None
    rows: frozenset[tuple[int, str]]


NOTHING = State(None, frozenset())


class Failed(Exception):
    """A task of the write has failed."""


class Write(Process):
    """A job of some tasks, as Spark runs them: after an error it is aborted."""

    mode: Mode
    kind: str
    rows: list[tuple[int, str]]
    done = False
    since = 0

    def effect(self, before: State) -> State | None:
        """What its commit makes of a state; None: it must be refused."""
        own = frozenset(self.rows)
        if self.mode == "overwrite":
            return State(self.kind, own)
        if before.kind is None:
            return State(self.kind, own)
        if self.mode == "new" or before.kind != self.kind:
            return None
        replaced = {k for k, _ in own} if self.mode == "partitions" else set()
        return State(
            self.kind, frozenset(row for row in before.rows if row[0] not in replaced) | own
        )


class Read(Process):
    since = 0


class Folders(World):
    def __init__(self) -> None:
        super().__init__()
        self.path = str(self.root / "table")
        self.states = [NOTHING]
        self.next_id = 0

    def new_rows(self, keys: list[int]) -> list[tuple[int, str]]:
        self.next_id += len(keys)
        return [(k, str(self.next_id - n)) for n, k in enumerate(keys)]

    @initialize(there=st.sampled_from(["nothing", "empty", "files", "files and a schema"]))
    def before(self, there: str) -> None:
        """A folder may be there already, without a manifest."""
        if there == "nothing":
            return
        Path(self.path).mkdir()
        if there == "empty":
            return
        rows = self.new_rows([0, 1])
        records, _ = partition_schema(SCHEMAS["long"], ["k"])
        layout = layout_of(records)
        for k, i in rows:
            Path(self.path, f"k={k}").mkdir()
            write_file(
                f"{self.path}/k={k}/old.tfrecord", [batch_of([(k, i)], "long", False)], layout
            )
        kind = "foreign"
        if there != "files":
            write_sidecar(self.path, layout)
            kind = "long"
        self.states = [State(kind, frozenset(rows))]

    @rule(
        mode=st.sampled_from(["append", "append", "overwrite", "partitions", "new"]),
        keys=st.lists(st.integers(0, 2), max_size=4),
        kind=st.sampled_from(["long", "long", "long", "text"]),
        tasks=st.integers(1, 2),
        fails=st.sampled_from([False, False, False, True]),
        operations=st.integers(0, 50),
    )
    @precondition(lambda self: self.room)
    def write(
        self, mode: Mode, keys: list[int], kind: str, tasks: int, fails: bool, operations: int
    ) -> None:
        writer = self.writer(mode, self.new_rows(keys), kind, tasks, fails)
        self.step(writer, operations)

    def writer(
        self,
        mode: Mode,
        rows: list[tuple[int, str]],
        kind: str,
        tasks: int = 1,
        fails: bool = False,
    ) -> Write:
        def work() -> None:
            records, by = partition_schema(SCHEMAS[kind], ["k"])
            commit = begin(self.path, layout_of(records), by, mode)
            try:
                parts = []
                for task in range(tasks):
                    batch = batch_of(rows[task::tasks], kind)
                    parts += write_parts(commit, [batch], Cut(rows=2), task, f"attempt-{task}")
                if fails:
                    raise Failed
                commit.commit(parts)
            except Exception:
                commit.abort()
                raise

        writer: Write = self.start(work, Write)
        writer.mode, writer.kind, writer.rows = mode, kind, rows
        writer.since = len(self.states) - 1
        return writer

    @rule(operations=st.integers(0, 12))
    @precondition(lambda self: self.room)
    def read(self, operations: int) -> None:
        """As Spark: list, plan, and later read file by file."""

        def work() -> State:
            folder = list_folder(self.path)
            options = Options({"path": self.path})
            reader = Reader(folder, schema_of(folder, options), options)
            batches = [b for part in reader.partitions() for b in reader.read(part)]
            rows = [(r["k"], str(r["id"])) for b in batches for r in b.to_pylist()]
            return state_of(folder, rows)

        reader: Read = self.start(work, Read)
        reader.since = len(self.states) - 1
        self.step(reader, operations)

    def looked(self, process: Process) -> None:
        """A reader that comes now sees what was there, or all of what this process wrote."""
        before = self.states[-1]
        now = seen(self.path) if isinstance(process, Write) else before
        if now != before:
            assert isinstance(process, Write)
            assert not process.done, "written twice"
            assert now == process.effect(before)
            process.done = True
            self.states.append(now)
        if not process.ended or process.killed:
            return
        if isinstance(process, Write) and process.error is None:
            # A write that changes nothing that can be seen is done as well.
            assert process.done or process.effect(now) == now, "lost"
        elif isinstance(process, Write):
            assert not process.done, f"it failed although its rows are there: {process.error!r}"
            self.refused(process)
        else:
            self.was_read(process)

    def refused(self, writer: Write) -> None:
        while_it_ran = self.states[writer.since :]
        if isinstance(writer.error, ConfigError):
            assert any(writer.effect(state) is None for state in while_it_ran), writer.error
        elif not isinstance(writer.error, Failed):
            raise writer.error  # type: ignore[misc]

    def was_read(self, reader: Any) -> None:
        while_it_ran = self.states[reader.since :]
        if reader.error is None:
            assert reader.result in while_it_ran
        elif isinstance(reader.error, SourceMissing):
            assert NOTHING in while_it_ran
        elif len(while_it_ran) == 1 or not isinstance(reader.error, StorageError):
            raise reader.error

    def clean_run(self) -> None:
        kind = self.states[-1].kind
        mode: Mode = "overwrite" if kind == "foreign" else "append"
        writer = self.writer(mode, self.new_rows([1]), kind if kind in SCHEMAS else "long")
        self.finish(writer)
        assert writer.error is None
        listed = read_manifest(self.path)
        assert listed is not None
        there = {name for name, _ in storage.files(self.path)}
        assert there == {*listed.files, MANIFEST, SUCCESS, "_schema.json"}
        assert not Path(self.path, "_staging").exists()
        assert read_sidecar(self.path) == listed.layout
        assert verify(self.path).named == []


def batch_of(rows: list[tuple[int, str]], kind: str, with_key: bool = True) -> pa.RecordBatch:
    schema = SCHEMAS[kind]
    ids = [i if kind == "text" else int(i) for _, i in rows]
    batch = pa.record_batch({"k": [k for k, _ in rows], "id": ids}, schema)
    return batch if with_key else batch.drop_columns(["k"])


def state_of(folder: Folder, rows: list[tuple[int, str]]) -> State:
    assert len(set(rows)) == len(rows), "rows twice"
    if folder.layout is None:
        return State("foreign", frozenset(rows))
    kind = "text" if folder.layout.schema.field("id").type == pa.string() else "long"
    return State(kind, frozenset(rows))


def seen(path: str) -> State:
    try:
        folder = list_folder(path)
    except SourceMissing:
        return NOTHING
    rows = []
    for entry in folder.files:
        ids = [i for batch in read_file(entry.path, folder.layout) for i in batch["id"].to_pylist()]
        assert entry.rows in (None, len(ids))
        rows += [(entry.partition["k"], str(i)) for i in ids]
    return state_of(folder, rows)


@pytest.mark.timeout(7200)  # in the soak
def test_histories() -> None:
    histories(Folders, size(100, soak=5_000))
