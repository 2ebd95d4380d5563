"""The folder and its commit, without Spark: old or new, whole, wherever the writer dies."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.stateful import world
from tfspark import storage
from tfspark.errors import ConfigError, IntegrityError, SourceMissing, StorageError
from tfspark.tfrecord import layout_of, read_file, read_sidecar, write_file
from tfspark.tfrecord.codec.schema import write_sidecar
from tfspark.tfrecord.folder.commit import Commit, Mode, begin
from tfspark.tfrecord.folder.manifest import MANIFEST, SUCCESS, list_folder, read_manifest
from tfspark.tfrecord.folder.parts import Cut, partition_schema, write_parts

BY_KEY = pa.schema([("k", pa.int64()), ("id", pa.int64())])
OTHER = pa.schema([("k", pa.int64()), ("id", pa.string())])


def write(path: str, ids: list[int], mode: Mode = "append", schema: pa.Schema = BY_KEY) -> Commit:
    """One whole write of two tasks, partitioned by `k` = id % 2."""
    records, by = partition_schema(schema, ["k"])
    commit = begin(path, layout_of(records), by, mode)
    parts = []
    for task in range(2):
        mine = ids[task::2]
        values = [str(n) for n in mine] if schema is OTHER else mine
        batch = pa.record_batch({"k": [n // 2 % 2 for n in mine], "id": values}, schema)
        parts += write_parts(commit, [batch], Cut(rows=4), task, f"attempt-{task}")
    commit.commit(parts)
    return commit


def ids(path: str) -> list[int]:
    """What a reader sees: every file whole, as many rows as the manifest says."""
    try:
        found = list_folder(path)
    except SourceMissing:
        return []
    rows: list[int] = []
    for entry in found.files:
        batches = list(read_file(entry.path, found.layout))
        assert sum(batch.num_rows for batch in batches) == entry.rows
        for batch in batches:
            values = [int(value) for value in batch.column("id").to_pylist()]
            assert all(value // 2 % 2 == entry.partition["k"] for value in values)
            rows += values
    return sorted(rows)


def clean(path: str) -> None:
    """Nothing lies there but what counts."""
    listed = set(list_folder(path).files and read_manifest(path).files)  # type: ignore[union-attr]
    there = {name for name, _ in storage.files(path)}
    assert there == listed | {MANIFEST, SUCCESS, "_schema.json"}
    assert not Path(path, "_staging").exists()
    assert read_sidecar(path) == read_manifest(path).layout  # type: ignore[union-attr]


def killed(step: int, job: Callable[[], object]) -> bool:
    """Run a job in a process that is killed before its n-th change of a file; whether it was."""
    child = os.fork()
    if child == 0:
        _count_down(step)
        try:
            job()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def _count_down(left: int) -> None:
    def before(change: Callable[..., Any], half: bool = False) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            if half:  # a file is written beside and renamed: die between the two
                left -= 1
                if left == 0:
                    Path(f"{arguments[0]}.{uuid.uuid4().hex}.partial").write_bytes(arguments[1][:9])
                    os.kill(os.getpid(), signal.SIGKILL)
            return change(*arguments)

        return call

    rooms = ("files", "staging", "versions")
    for name in ("move", "delete", "delete_file", "make_dir", "write_bytes"):
        change = before(getattr(storage, name), half=name == "write_bytes")
        for module in (
            sys.modules[n] for n in ("tfspark.storage", *(f"tfspark.storage.{n}" for n in rooms))
        ):
            if hasattr(module, name):
                setattr(module, name, change)


@pytest.mark.usefixtures("kill")
@pytest.mark.parametrize("mode", ["append", "overwrite", "new", "partitions", "other schema"])
def test_killed_at_every_step(mode: str, tmp_path: Path) -> None:
    """The commit is killed before each change that it makes; the next write cleans up."""
    old = list(range(10))
    added = [20, 21, 24, 25]  # all of k = 0
    whole = {
        "append": old + added,
        "overwrite": added,
        "new": added,
        "partitions": [2, 3, 6, 7, *added],
        "other schema": added,
    }[mode]
    how: dict[str, Any] = {"mode": mode}
    if mode == "other schema":
        how = {"mode": "overwrite", "schema": OTHER}
    seen = []
    step = 0
    alive = False
    while not alive:
        step += 1
        path = str(tmp_path / str(step))
        if mode != "new":
            write(path, old)
        alive = not killed(step, lambda p=path: write(p, added, **how))  # type: ignore[misc]
        before = old if mode != "new" else []
        found = ids(path)
        assert found in (before, whole), f"killed before change {step}"
        seen.append(found == whole)
        schema = OTHER if mode == "other schema" and found == whole else BY_KEY
        if not found:
            write(path, [1], "new")
            assert ids(path) == [1]
        else:
            write(path, [31], schema=schema)
            assert ids(path) == [*found, 31]
        clean(path)
    # Old up to one moment, new from there on; the moment is neither the first nor the last.
    assert seen == sorted(seen)
    assert 3 < seen.index(True) < len(seen) - 1


@pytest.mark.usefixtures("kill")
def test_a_killed_process_that_nobody_has_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "out")
    write(path, [1])
    child = os.fork()
    if child == 0:
        begin(path, layout_of(partition_schema(BY_KEY, ["k"])[0]), pa.schema([BY_KEY.field("k")]))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    try:
        assert len(storage.names(f"{path}/_staging")) == 1
        write(path, [2])
        clean(path)
    finally:
        os.waitpid(child, 0)


def test_abort_leaves_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "new")
    records, by = partition_schema(BY_KEY, ["k"])
    commit = begin(path, layout_of(records), by)
    batch = pa.record_batch({"k": [1], "id": [1]}, BY_KEY)
    write_parts(commit, [batch], Cut(), 0, "one")
    commit.abort()
    assert not Path(path).exists()
    # The job is over: an attempt that still runs must not bring its folder back.
    with pytest.raises(StorageError, match="cannot make"):
        write_parts(commit, [batch], Cut(), 0, "late")
    assert not Path(path).exists()
    write(path, [1, 2, 3])
    again = begin(path, layout_of(records), by)
    write_parts(again, [batch], Cut(), 0, "one")
    again.abort()
    clean(path)
    assert ids(path) == [1, 2, 3]


def test_a_commit_that_fails_half_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "out")
    write(path, [1, 2, 3])
    records, by = partition_schema(BY_KEY, ["k"])
    commit = begin(path, layout_of(records), by)
    batch = pa.record_batch({"k": [0, 1, 2], "id": [1, 2, 4]}, BY_KEY)
    parts = write_parts(commit, [batch], Cut(), 0, "one")
    moved: list[str] = []

    def move(source: str, target: str) -> None:
        if moved:
            raise StorageError("the disk is gone")
        moved.append(target)
        os.rename(source, target)  # noqa: PTH104

    with monkeypatch.context() as patch:
        patch.setattr(storage, "move", move)
        with pytest.raises(StorageError, match="the disk is gone"):
            commit.commit(parts)
    assert Path(moved[0]).exists()
    assert not Path(path, SUCCESS).exists()
    assert ids(path) == [1, 2, 3]
    commit.abort()
    clean(path)


def test_two_writers(tmp_path: Path) -> None:
    path = str(tmp_path / "out")
    records, by = partition_schema(BY_KEY, ["k"])
    commits = [begin(path, layout_of(records), by) for _ in range(2)]
    overwriting = begin(path, layout_of(partition_schema(OTHER, ["k"])[0]), by, "overwrite")
    for number, commit in enumerate(commits):
        batch = pa.record_batch({"k": [0], "id": [number]}, BY_KEY)
        commit.commit(write_parts(commit, [batch], Cut(), 0, "one"))
    assert ids(path) == [0, 1]
    late = begin(path, layout_of(records), by)
    overwriting.commit([])
    with pytest.raises(ConfigError, match="column id is string in the folder, int64 in the rows"):
        late.commit(
            write_parts(late, [pa.record_batch({"k": [0], "id": [9]}, BY_KEY)], Cut(), 0, "x")
        )
    late.abort()
    clean(path)
    assert ids(path) == []


def test_a_staged_file_of_another_size(tmp_path: Path) -> None:
    path = str(tmp_path / "out")
    write(path, [1])
    records, by = partition_schema(BY_KEY, ["k"])
    commit = begin(path, layout_of(records), by)
    parts = write_parts(commit, [pa.record_batch({"k": [0], "id": [9]}, BY_KEY)], Cut(), 0, "x")
    Path(parts[0].staged).write_bytes(b"")
    with pytest.raises(IntegrityError, match="has 0 bytes, its task wrote"):
        commit.commit(parts)
    commit.abort()
    clean(path)


def test_a_full_disk(tmp_path: Path) -> None:
    """A task that can write no more ends with an error, and leaves nothing."""
    path = str(tmp_path / "out")
    write(path, [1])
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
        records, by = partition_schema(BY_KEY, ["k"])
        commit = begin(path, layout_of(records), by)
        many = pa.record_batch({"k": [0] * 50_000, "id": list(range(50_000))}, BY_KEY)
        try:
            write_parts(commit, [many], Cut(), 0, "x")
        except StorageError as error:
            commit.abort()
            os._exit(7 if "cannot write" in str(error) else 1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    clean(path)


def test_many_partitions_in_one_task(tmp_path: Path) -> None:
    """More values than a task has open files."""
    path = str(tmp_path / "out")
    records, by = partition_schema(BY_KEY, ["k"])
    commit = begin(path, layout_of(records), by)
    batch = pa.record_batch({"k": [n % 150 for n in range(450)], "id": list(range(450))}, BY_KEY)
    parts = write_parts(commit, [batch, batch], Cut(), 0, "x")
    manifest = commit.commit(parts)
    assert manifest.rows == 900
    assert {entry.partition["k"] for entry in manifest.files.values()} == set(range(150))
    found = list_folder(path)
    for entry in found.files:
        for read in read_file(entry.path, found.layout):
            assert {n % 150 for n in read.column("id").to_pylist()} == {entry.partition["k"]}


def test_what_is_listed(tmp_path: Path) -> None:
    table = pa.table({"x": [1, 2]})
    path = str(tmp_path)
    with pytest.raises(SourceMissing, match="holds no TFRecord file"):
        list_folder(path)
    for name in ("b", "a", "_hidden", ".dot"):
        write_file(f"{path}/{name}", table.to_batches(), table.schema)
    assert [Path(e.path).name for e in list_folder(path).files] == ["a", "b"]
    write_file(f"{path}/c.tfrecords-00000-of-00001", table.to_batches(), table.schema)
    (tmp_path / "d=1" / "e=x%20y").mkdir(parents=True)
    write_file(f"{path}/d=1/e=x%20y/f.tfrecord", table.to_batches(), table.schema)
    with pytest.raises(ConfigError, match="different partition columns"):
        list_folder(path)
    (tmp_path / "c.tfrecords-00000-of-00001").unlink()
    (only,) = list_folder(path).files
    assert only.partition == {"d": 1, "e": "x y"}
    assert (only.rows, only.bytes) == (None, Path(only.path).stat().st_size)
    (one,) = list_folder(f"{path}/a").files
    assert (one.path, one.partition) == (f"{path}/a", {})
    with pytest.raises(SourceMissing, match="is not there"):
        list_folder(f"{path}/nothing")
    matching = [Path(e.path).name for e in list_folder(f"{path}/[ab]").files]
    assert matching == ["a", "b"]
    assert len(list_folder(f"{path}/d=*/*/*.tfrecord").files) == 1
    with pytest.raises(SourceMissing, match="no file matches"):
        list_folder(f"{path}/*.tfrecord")


@pytest.mark.usefixtures("kill")
@pytest.mark.parametrize("with_schema", [False, True])
def test_a_first_overwrite_that_fails(with_schema: bool, tmp_path: Path) -> None:
    """A folder of other files is again as it was: what is added there later counts."""
    table = pa.table({"id": ["7"]})
    path = str(tmp_path)
    layout = layout_of(table.schema)
    write_file(f"{path}/own.tfrecord", table.to_batches(), layout)
    if with_schema:
        write_sidecar(path, layout)
    before = {name for name, _ in storage.files(path)}
    records, by = partition_schema(BY_KEY, ["k"])
    step = 0
    while killed(step := step + 1, lambda: write(path, [1, 2], "overwrite")):
        manifest = read_manifest(path)
        if manifest and manifest.rows is not None:  # it is done
            break
        begin(path, layout_of(records), by, "overwrite").abort()
        assert {name for name, _ in storage.files(path)} == before, step
        assert read_sidecar(path) == (layout if with_schema else None)
        assert len(list_folder(path).files) == 1
    write(path, [3], "overwrite")
    assert ids(path) == [3]
    clean(path)


def test_a_manifest_that_is_none(tmp_path: Path) -> None:
    path = str(tmp_path / "out")
    write(path, [1, 2, 3])
    manifest = Path(path, MANIFEST)
    right = json.loads(manifest.read_text())
    assert right["rows"] == 3
    for wrong, message in (
        ({**right, "version": 9}, "version 9"),
        ({**right, "files": {"a": {}}}, "is no manifest of version 1"),
        ({**right, "schema": {}}, "does not declare a schema"),
        ([], "is no manifest"),
    ):
        manifest.write_text(json.dumps(wrong))
        with pytest.raises(IntegrityError, match=message):
            list_folder(path)
    manifest.write_text(json.dumps(right)[:-9])
    with pytest.raises(IntegrityError, match="is not JSON"):
        list_folder(path)
    manifest.write_text(json.dumps(right))
    name = next(iter(right["files"]))
    Path(path, name).write_bytes(b"short")
    with pytest.raises(IntegrityError, match=f"{name} has 5 bytes, _manifest.json says"):
        list_folder(path)
    assert len(list_folder(path, check=False).files) == len(right["files"])
    Path(path, name).unlink()
    with pytest.raises(IntegrityError, match=f"{name} is missing"):
        list_folder(path, check=False)


def test_a_file_that_somebody_put_there(tmp_path: Path) -> None:
    """It does not count, and nobody deletes it; `_SUCCESS` does not claim it."""
    path = str(tmp_path / "out")
    job = write(path, [1]).job
    table = pa.table({"id": [7]})
    foreign = Path(path, f"part-00000-{job[::-1]}-000.tfrecord")
    write_file(str(foreign), table.to_batches(), table.schema)
    write(path, [2])
    assert ids(path) == [1, 2]
    assert foreign.exists()
    assert not Path(path, SUCCESS).exists()


def test_a_first_write_begins_while_a_reader_looks() -> None:
    """Wherever the reader stands, it sees the files of before and none of those moved already."""
    records, _ = partition_schema(BY_KEY, ["k"])
    for operations in range(12):
        with world() as now:
            path = str(now.root / "folder")
            Path(path, "k=0").mkdir(parents=True)
            write_file(f"{path}/k=0/old.tfrecord", [], layout_of(records))
            reader = now.start(lambda: [e.path for e in list_folder(path).files])  # noqa: B023
            writer = now.start(lambda: write(path, [1, 2], "overwrite"))  # noqa: B023
            now.step(reader, operations)
            while not list(Path(path).glob("k=*/part-*")):
                now.step(writer, 1)
            now.finish(reader)
            now.finish(writer)
            assert (reader.error, writer.error) == (None, None)
            assert reader.result == [f"{path}/k=0/old.tfrecord"]


def test_a_writer_begins_while_a_first_write_commits() -> None:
    """It is not refused for what it sees of the other."""
    for operations in range(12):
        with world() as now:
            path = str(now.root / "folder")
            Path(path).mkdir()
            late, first = (now.start(lambda: write(path, [1, 2])) for _ in range(2))  # noqa: B023
            now.step(late, operations)
            now.finish(first)
            now.finish(late)
            assert (first.error, late.error) == (None, None)
