"""TFRecord folders in the JVM: Python writes, the JVM reads, and the other way round."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scala_tfrecord_driver import COMPRESSIONS, SHAPES
from test_scala import ROOT, sbt

DRIVER = Path(__file__).with_name("scala_tfrecord_driver.py")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What both sides read, wrote and refused, in one session."""
    sbt("classpathFile")
    classpath = ":".join((ROOT / "build" / "scala" / "classpath.txt").read_text().split())
    folder = tmp_path_factory.mktemp("tfrecord")
    ended = subprocess.run(
        [sys.executable, str(DRIVER), classpath, str(folder)],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-8000:]
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
