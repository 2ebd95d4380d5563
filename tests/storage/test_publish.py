"""Publishing where no folder can be renamed: killed, or overtaken, at every step."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from tests.storage.memory_store import Buckets, Killed
from tfspark import storage
from tfspark.errors import StorageError
from tfspark.tfrecord.codec.schema import layout_of
from tfspark.tfrecord.folder import commit, parts
from tfspark.tfrecord.folder.manifest import list_folder

# The package's name is the function's.
publishing, staging = (sys.modules[f"tfspark.storage.{name}"] for name in ("publish", "staging"))
ROOT = "s3a://bucket/a b"
FOLDER = f"{ROOT}/1"
NAMES = ("saved_model.pb", "tfspark.json", "variables/x%3Ay#z")


@pytest.fixture
def buckets(monkeypatch: pytest.MonkeyPatch) -> Buckets:
    found = Buckets()
    found.install(monkeypatch)
    return found


def staged(content: bytes) -> str:
    folder = storage.new_staging(ROOT, "job")
    for name in NAMES:
        storage.write_bytes(f"{folder}/new/{name}", content)
    return f"{folder}/new"


def published(content: bytes) -> None:
    storage.publish(staged(content), FOLDER, "tfspark.json", before=["saved_model.pb"])


def seen() -> set[bytes]:
    """What a reader finds: nothing, or all files of one writer."""
    if not storage.exists(f"{FOLDER}/tfspark.json"):
        return set()
    found = {storage.read_bytes(f"{FOLDER}/{name}") for name in NAMES}
    assert len(found) == 1, "half a folder"
    return found


def at(number: int, then: Callable[[], Any]) -> Callable[[], None]:
    """A step that does something at an operation, once; a dead process does so at all later."""
    count = itertools.count()
    busy = False

    def step() -> None:
        nonlocal busy
        if not busy and next(count) == number:
            busy = True
            then()
            busy = False

    return step


def dead_from(number: int) -> Callable[[], None]:
    count = itertools.count()

    def step() -> None:
        if next(count) >= number:
            raise Killed

    return step


def steps_of(buckets: Buckets, work: Callable[[], Any]) -> int:
    count = itertools.count()
    buckets.step = lambda: next(count) and None
    work()
    buckets.step = lambda: None
    return next(count)


def test_killed_at_every_step(buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole or not there; the next run takes the number over, and nothing else is left."""
    total = steps_of(buckets, lambda: published(b"0"))
    assert seen() == {b"0"}
    for number in range(total):
        buckets.stores.clear()
        buckets.step = dead_from(number)
        with pytest.raises(Killed):
            published(b"1")
        buckets.step = lambda: None
        before = seen()
        with monkeypatch.context() as patch:
            for module in (publishing, staging):  # its process is gone
                patch.setattr(module, "lives", lambda *_: False)
            if before:
                with pytest.raises(StorageError, match="there already"):
                    published(b"2")
                assert seen() == before
            else:
                published(b"2")
                assert seen() == {b"2"}
            storage.sweep_claims(ROOT, "tfspark.json")
            storage.delete(storage.new_staging(ROOT, "job"))
        assert set(buckets.keys()) == {f"bucket/a b/1/{name}" for name in NAMES}, number


def test_what_the_dead_claimed_is_swept(buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = staged(b"1")
    buckets.step = dead_from(3)
    with pytest.raises(Killed):
        storage.publish(folder, FOLDER, "tfspark.json")
    buckets.step = lambda: None
    assert storage.is_claimed(FOLDER)
    storage.sweep_claims(ROOT, "tfspark.json")
    assert storage.is_claimed(FOLDER), "its owner lives"
    monkeypatch.setattr(publishing, "lives", lambda *_: False)
    storage.sweep_claims(ROOT, "tfspark.json")
    assert storage.files(FOLDER) == []


def test_a_second_writer_at_every_step(buckets: Buckets) -> None:
    """One of two wins, the other is told; both live."""
    total = steps_of(buckets, lambda: published(b"0"))
    for number in range(total):
        buckets.stores.clear()
        told: list[str] = []

        def other(told: list[str] = told) -> None:
            try:
                published(b"2")
            except StorageError as error:
                told.append(str(error))

        buckets.step = at(number, other)
        try:
            published(b"1")
        except StorageError as error:
            told.append(str(error))
        buckets.step = lambda: None
        assert len(told) == 1, number
        assert "cannot rename" in told[0]
        assert seen() in ({b"1"}, {b"2"})
        assert not storage.is_claimed(FOLDER)


BATCH = pa.record_batch({"c": ["a b", "x:y", "p%q", "q?z#w", "é"], "v": [1, 2, 3, 4, 5]})
REST, BY = parts.partition_schema(BATCH.schema, ["c"])


def append(before: Callable[[], Any] = lambda: None) -> None:
    one = commit.begin(f"{ROOT}/tf", layout_of(REST), BY)
    made = parts.write_parts(one, [BATCH], parts.Cut(), 0, "a")
    before()
    one.commit(made)


def rows() -> int | None:
    found = list_folder(f"{ROOT}/tf").manifest
    assert found is not None
    return found.rows


def test_no_append_is_lost_whenever_another_commits(buckets: Buckets) -> None:
    def armed(number: int) -> None:
        buckets.step = at(number, append)

    append()
    total = steps_of(buckets, append)
    expected = 10
    for number in range(0, total, 3):
        append(lambda number=number: armed(number))  # type: ignore[misc]
        done = buckets.step is not None
        buckets.step = lambda: None
        assert done
        there = rows()
        assert there in (expected + 5, expected + 10)
        expected = there or 0
        folders = {name.split("/")[0] for name, _ in storage.files(f"{ROOT}/tf") if "=" in name}
        assert folders == {"c=a b", "c=x%3Ay", "c=p%25q", "c=q%3Fz%23w", "c=%C3%A9"}
    listed = {name for name, _ in storage.files(f"{ROOT}/tf") if "=" in name}
    manifest = list_folder(f"{ROOT}/tf").manifest
    assert manifest is not None
    assert listed == set(manifest.files)


def test_two_files_of_one_name(buckets: Buckets) -> None:
    """Create-if-absent and compare-and-swap, which all of it stands on."""
    path = f"{ROOT}/é#?%20.json"
    storage.write_new(path, b"1")
    with pytest.raises(FileExistsError):
        storage.write_new(path, b"2")
    found = storage.read_version(path)
    assert found is not None
    content, version = found
    storage.write_over(path, b"3", version)
    with pytest.raises(FileExistsError):
        storage.write_over(path, b"4", version)
    assert (content, storage.read_bytes(path)) == (b"1", b"3")
    assert storage.read_version(f"{ROOT}/none") is None
