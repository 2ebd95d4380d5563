"""TFRecord folders in the JVM: Python writes, the JVM reads, and the other way round."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.interop.module import ROOT, classpath
from tests.interop.tfrecord_driver import COMPRESSIONS, SHAPES
from tfspark.tfrecord import SIDECAR
from tfspark.tfrecord.folder.commit import begin
from tfspark.tfrecord.folder.manifest import MANIFEST, SUCCESS, list_folder
from tfspark.tfrecord.folder.verify import verify

pytestmark = [pytest.mark.usefixtures("scala"), pytest.mark.timeout(1500)]


def driver(folder: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.interop.tfrecord_driver", classpath(), str(folder), *more],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What both sides read, wrote and refused, in one session."""
    folder = tmp_path_factory.mktemp("tfrecord")
    process = driver(folder)
    _, errors = process.communicate()
    assert process.returncode == 0, errors[-8000:]
    return json.loads((folder / "result.json").read_text())  # type: ignore[no-any-return]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_jvm_reads_what_python_wrote(
    said: dict[str, Any], shape: str, compression: str
) -> None:
    found = said["python writes"][f"{shape} {compression}"]
    assert len(found["jvm"]["rows"]) == 4
    assert found["jvm"] == found["python"]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_python_reads_what_the_jvm_wrote(
    said: dict[str, Any], shape: str, compression: str
) -> None:
    """The same rows, bytes and sidecar as Python's own; nothing is damaged."""
    found = said["jvm writes"][f"{shape} {compression}"]
    assert found["jvm"]["rows"] == said["python writes"][f"{shape} none"]["python"]["rows"]
    assert found["jvm"]["verify"] == []
    assert found["jvm"] == found["python"]


@pytest.mark.parametrize(
    ("step", "rows"),
    [
        ("jvm begins", 40),
        ("python appends", 60),
        ("jvm appends", 80),
        ("python replaces", None),
        ("jvm replaces", None),
        ("jvm overwrites", 10),
        ("python overwrites", 12),
    ],
)
def test_both_write_one_folder_by_turns(said: dict[str, Any], step: str, rows: int | None) -> None:
    found = said["taking turns"][step]
    assert found["jvm"] == found["python"]
    assert found["verify"] == []
    assert found["count"] == rows if rows else 10 < found["count"] < 80


def test_what_is_wrong_is_refused_in_the_same_words(said: dict[str, Any]) -> None:
    for what, both in said["refusals"].items():
        assert len(both) == 2, (what, both)
        python, jvm = both
        assert jvm == python, what


def test_both_sources_in_one_session(said: dict[str, Any]) -> None:
    assert said["names"] == {
        "tfrecord": "python",
        "tfspark_tfrecord": "python",
        "tfspark_tfrecord_jvm": "jvm",
    }


def _second_write(path: Path) -> list[Path]:
    """What it has staged, once the first one has ended."""
    if not (path / SUCCESS).exists():
        return []
    return list(path.glob("_staging/*/attempt-*/part-*"))


@pytest.mark.usefixtures("kill")
def test_a_killed_writer_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "endless"
    process = driver(tmp_path, "endless")
    while not (staged := _second_write(path)):
        assert process.poll() is None, process.communicate()[1][-8000:]
        time.sleep(0.1)
    owner = json.loads((staged[0].parents[1] / "_owner.json").read_text())
    os.kill(owner["pid"], signal.SIGKILL)
    process.communicate()
    found = list_folder(str(path))
    assert sum(entry.rows or 0 for entry in found.files) == 10
    assert found.layout is not None
    assert list(path.glob("_staging/*/attempt-*/part-*"))
    begin(str(path), found.layout, found.partition_by).abort()
    left = {str(p.relative_to(path)) for p in path.rglob("*") if p.is_file()}
    names = {str(Path(entry.path).relative_to(path)) for entry in found.files}
    assert left == {*names, MANIFEST, SIDECAR, SUCCESS}
    assert verify(str(path)).named == []
