import json
import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.stateful import until, world
from tfspark import storage
from tfspark.errors import IntegrityError, StorageError


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = str(tmp_path / "a" / "b.json")
    storage.write_json(path, {"x": 1})
    assert storage.read_json(path) == {"x": 1}
    assert storage.read_json(f"file://{path}") == {"x": 1}
    assert storage.files(str(tmp_path)) == [("a/b.json", 13)]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = str(tmp_path / "a.json")
    storage.write_json(path, 1)
    with pytest.raises(StorageError, match="cannot write"):
        storage.write_bytes(f"{path}/below", b"x")
    assert storage.read_json(path) == 1


def test_damaged_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(IntegrityError, match="a.json is not JSON"):
        storage.read_json(str(tmp_path / "a.json"))


def test_a_file_that_may_not_be_there(tmp_path: Path) -> None:
    path = str(tmp_path / "a.json")
    assert storage.find_json(path) is None
    storage.write_json(path, {"x": 1})
    assert storage.find_json(path) == {"x": 1}
    for damaged in ("{", "null"):
        Path(path).write_text(damaged)
        with pytest.raises(IntegrityError, match=r"a\.json"):
            storage.find_json(path)
    with pytest.raises(StorageError, match="cannot read"):
        storage.find_json(str(tmp_path))


def test_an_unknown_scheme_is_an_error_of_storage() -> None:
    with pytest.raises(StorageError, match="cannot open the file system of ftp://"):
        storage.names("ftp://host/folder")


def test_staging_of_a_dead_process_is_removed_and_of_a_live_one_kept(tmp_path: Path) -> None:
    root = tmp_path / "_staging"
    mine = storage.new_staging(str(tmp_path), "job")
    dead = subprocess.run(
        [
            sys.executable,
            "-c",
            f"from tfspark import storage; print(storage.new_staging({str(tmp_path)!r}, 'job'))",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    other_job = storage.new_staging(str(tmp_path), "other")
    assert Path(dead).exists()
    fresh = storage.new_staging(str(tmp_path), "job")
    assert not Path(dead).exists()
    assert {path.name for path in root.iterdir()} == {
        Path(folder).name for folder in (mine, other_job, fresh)
    }


def test_staging_of_another_machine_is_kept_for_a_week(tmp_path: Path) -> None:
    folder = Path(storage.new_staging(str(tmp_path), "job"))
    owner = json.loads((folder / "_owner.json").read_text())
    assert owner["host"] == socket.gethostname()
    assert owner["pid"] == os.getpid()
    (folder / "_owner.json").write_text(json.dumps({**owner, "host": "elsewhere", "pid": 1}))
    storage.new_staging(str(tmp_path), "job")
    assert folder.exists()
    week_ago = owner["since"] - 8 * 24 * 3600
    (folder / "_owner.json").write_text(
        json.dumps({"host": "elsewhere", "pid": 1, "since": week_ago})
    )
    storage.new_staging(str(tmp_path), "job")
    assert not folder.exists()


def test_a_run_that_begins_is_not_taken_for_a_dead_one() -> None:
    """Two runs begin at once: wherever the one stands, the other leaves its folder alone."""
    for operations in range(20):
        with world() as now:
            begun: list[str] = []

            def begin() -> None:
                begun.append(storage.new_staging(str(now.root), "job"))  # noqa: B023
                until(lambda: len(begun) == 2)  # noqa: B023

            one, other = now.start(begin), now.start(begin)
            now.step(one, operations)
            now.finish(other)
            now.finish(one)
            assert (one.error, other.error) == (None, None)
            assert all(storage.exists(f"{folder}/_owner.json") for folder in begun)


def test_a_folder_is_removed_by_two_at_once() -> None:
    for operations in range(20):
        with world() as now:
            folder = str(now.root / "folder")
            storage.write_bytes(f"{folder}/below/file", b"x")
            one, other = (now.start(partial(storage.delete, folder)) for _ in range(2))
            now.step(one, operations)
            now.finish(other)
            now.finish(one)
            assert (one.error, other.error) == (None, None)
            assert not storage.exists(folder)


def test_a_run_ends_while_another_looks_at_its_folder() -> None:
    for operations in range(20):
        with world() as now:
            folder = storage.new_staging(str(now.root), "job")
            look = now.start(partial(storage.abandoned, str(now.root), "job"))
            now.step(look, operations)
            storage.delete(folder)
            now.finish(look)
            assert look.error is None
