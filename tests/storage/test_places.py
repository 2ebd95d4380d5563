"""The same on every store: this machine, S3, HDFS. Servers come from tests/stores.py."""

from __future__ import annotations

import random
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.sizes import size
from tests.storage.test_publish import BATCH, BY, REST
from tfspark import storage
from tfspark.errors import StorageError
from tfspark.storage import uploads
from tfspark.tfrecord.codec.schema import layout_of
from tfspark.tfrecord.folder import commit, parts
from tfspark.tfrecord.folder.manifest import list_folder

STORES = size(("s3", "hdfs"), soak=("s3", "other", "hdfs"))
PLACES = ("local", *STORES)


def server_of(request: pytest.FixtureRequest, name: str) -> Any:
    try:
        return request.getfixturevalue(name)
    except pytest.FixtureLookupError:
        pytest.skip(f"{name}: there is no such server here; run `make stores`")


def place_of(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, patch: pytest.MonkeyPatch
) -> str:
    """A fresh folder of a store."""
    folder = uuid.uuid4().hex[:8]
    if kind in ("s3", "other"):
        server = server_of(request, f"s3_{'server' if kind == 's3' else kind}")
        for name, value in server.environment.items():
            patch.setenv(name, value)
        return f"s3a://{server.bucket}/{folder}"
    if kind == "hdfs":
        return f"{server_of(request, 'hdfs_server').uri.rstrip('/')}/{folder}"
    return str(tmp_path)


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return place_of(request.param, request, tmp_path, monkeypatch)


def test_files(place: str) -> None:
    path = f"{place}/a b/x%3Ay é#q?.json"
    assert storage.find_json(path) is None
    for value in (1, 2):
        storage.write_json(path, {"x": value})
        assert storage.read_json(path) == {"x": value}
    assert storage.files(place) == [("a b/x%3Ay é#q?.json", 13)]
    assert (storage.names(place), storage.is_dir(f"{place}/a b")) == (["a b"], True)
    with pytest.raises(FileExistsError):
        storage.write_new(path, b"")
    with pytest.raises(StorageError, match="none"):
        storage.read_bytes(f"{place}/none")
    storage.move(path, f"{place}/b")
    storage.delete_file(f"{place}/b")
    assert storage.files(place) == []
    assert storage.names(f"{place}/none") == []
    storage.delete(f"{place}/none")


def test_a_folder_is_published_once(place: str) -> None:
    for writer, content in enumerate((b"1", b"2")):
        staging = storage.new_staging(place, "job")
        for name in ("saved_model.pb", "m.json", "d/1"):
            storage.write_bytes(f"{staging}/new/{name}", content)
        assert staging not in storage.abandoned(place, "job")
        if writer:
            with pytest.raises(StorageError, match="cannot rename"):
                storage.publish(f"{staging}/new", f"{place}/1", "m.json")
        else:
            storage.publish(f"{staging}/new", f"{place}/1", "m.json", ["saved_model.pb"])
        storage.delete(staging)
    found = {
        name: storage.read_bytes(f"{place}/1/{name}") for name, _ in storage.files(f"{place}/1")
    }
    assert found == dict.fromkeys(("d/1", "m.json", "saved_model.pb"), b"1")


def test_two_appends_at_once(place: str) -> None:
    batch = BATCH.slice(0, 1) if place.startswith("hdfs") else BATCH
    begun = []
    for _ in range(2):
        one = commit.begin(f"{place}/tf", layout_of(REST), BY)
        begun.append((one, parts.write_parts(one, [batch], parts.Cut(), 0, "a")))
    for one, made in reversed(begun):
        one.commit(made)
    folder = list_folder(f"{place}/tf")
    assert folder.manifest is not None
    assert folder.manifest.rows == 2 * batch.num_rows
    assert {name.split("/")[0] for name in folder.manifest.files if "=" in name} == {
        parts.partition_folder({"c": value}).rstrip("/") for value in batch["c"].to_pylist()
    }


PUBLISHES = """
import itertools, sys
from tfspark import storage
root = sys.argv[1]
for number in itertools.count(1):
    staging = storage.new_staging(root, "job")
    for name in ("saved_model.pb", "m.json", "d/1"):
        storage.write_bytes(f"{staging}/new/{name}", str(number).encode())
    storage.publish(f"{staging}/new", f"{root}/{number}", "m.json", ["saved_model.pb"])
    storage.delete(staging)
    print(number, flush=True)
"""


def test_half_an_upload_goes_with_its_folder(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = place_of("s3", request, tmp_path, monkeypatch)
    folder, other = f"{root}/a b", f"{root}/other"
    for path in (f"{folder}/x#1", f"{other}/y"):
        fs, inner = storage.filesystem(path)
        stream = fs.open_output_stream(inner)
        stream.write(b"x" * (11 << 20))
        stream.flush()
        held.append(stream)  # as of a killed process: it is never closed
    place = storage.parse(root)

    def listed() -> list[str]:
        return sorted(key.split("/")[1] for key, _ in uploads._listed(place))

    try:
        assert listed() == ["a b", "other"]
        storage.delete(folder)
        assert listed() == ["other"]
        storage.abort_uploads(root, "oth")
        assert listed() == []
    finally:
        held.clear()


held: list[Any] = []


@pytest.mark.usefixtures("kill")
def test_killed(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the kernel, anywhere: all that was said to be there is, whole; nothing else stays."""
    # What has no owner yet has had its time.
    monkeypatch.setattr(sys.modules["tfspark.storage.staging"], "_NEW_SECONDS", -1)
    chance = random.Random(0)
    for attempt in range(size(2, soak=20)):
        root = f"{place}/{attempt}"
        command = [sys.executable, "-c", PUBLISHES, root]
        with subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            said = [child.stdout.readline()]
            time.sleep(chance.uniform(0, 0.3))
            child.kill()
            said += child.stdout.readlines()
        storage.delete(storage.new_staging(root, "job"))
        storage.sweep_claims(root, "m.json")
        # Names of empty folders stay on some servers for a while.
        assert storage.files(f"{root}/_staging") == []
        there = {name for name, _ in storage.files(root)}
        numbers = {name.split("/")[0] for name in there}
        assert numbers >= {one.strip() for one in said}
        assert len(numbers) <= len(said) + 1
        for number in numbers:
            for name in ("saved_model.pb", "m.json", "d/1"):
                assert storage.read_bytes(f"{root}/{number}/{name}") == number.encode()
        assert len(there) == 3 * len(numbers)


@pytest.mark.parametrize("kind", size(STORES[:1], soak=STORES))
def test_jobs(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """prepare, train and score with a warehouse on the store; in the soak every plan beside."""
    warehouse = place_of(kind, request, tmp_path, monkeypatch)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    command = [sys.executable, "-m", "tests.storage.jobs", warehouse, size("jobs", soak="plans")]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test/secret+key" not in done.stdout + done.stderr
