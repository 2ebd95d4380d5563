"""The Scala module: its own tests, and the same models scored by Python and by the JVM."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from standalone import standalone_cluster

ROOT = Path(__file__).parent.parent
DRIVER = Path(__file__).with_name("scala_driver.py")
LIMIT = 1500
ROWS = 5_000


def sbt(*tasks: str) -> str:
    command = [sys.executable, str(ROOT / "scripts" / "sbt.py"), *tasks]
    ended = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stdout[-8000:] + ended.stderr[-4000:]
    return ended.stdout


@pytest.mark.slow
@pytest.mark.timeout(LIMIT)
def test_the_form_and_the_tests_of_the_scala_module() -> None:
    said = sbt("scalafmtSbtCheck", "scalafmtCheckAll", "test")
    assert "All tests passed." in said


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """What both sides gave on a cluster of two executors, and its folder."""
    sbt("classpathFile")
    classpath = ":".join((ROOT / "build" / "scala" / "classpath.txt").read_text().split())
    folder = tmp_path_factory.mktemp("scala")
    (folder / "cache").mkdir(mode=0o700)
    javacpp = {"JAVACPP_CACHE": str(ROOT / "build" / "sbt" / "javacpp")}
    with standalone_cluster(folder / "cluster", memory="2g") as master:
        ended = subprocess.run(
            [sys.executable, str(DRIVER), master, classpath, str(folder)],
            env=os.environ | javacpp | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
            text=True,
            capture_output=True,
            check=False,
        )
    assert ended.returncode == 0, ended.stderr[-8000:]
    return json.loads((folder / "result.json").read_text()), folder


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.timeout(LIMIT)
@pytest.mark.parametrize("model", ["mixed", "mlp", "lookup", "tokens"])
def test_python_and_the_jvm_give_the_same_rows(
    scored: tuple[dict[str, Any], Path], model: str
) -> None:
    result, folder = scored
    python, jvm = ({row["id"]: row for row in result[model][side]} for side in ("python", "jvm"))
    assert len(python) == len(jvm) == ROWS
    for key, row in python.items():
        other = jvm[key]
        assert row.keys() == other.keys()
        for name, value in row.items():
            assert _same(value, other[name]), (key, name, value, other[name])
    bad = sum(row["why"] is not None for row in python.values())
    assert bad == {"mixed": 10, "mlp": 5}.get(model, 0)

    # The source's folder was gone: executors unpacked it once and opened it once a process.
    digest = result[model]["digest"]
    found = [path.name for path in (folder / "cache").iterdir() if path.is_dir()]
    assert found.count(digest) == 1
    loads = (folder / "cache" / f"{digest}.loads").read_text().split("\n")[:-1]
    assert len(loads) == len(set(loads)) >= 2  # JVMs of the executors, and Python processes


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.timeout(LIMIT)
def test_what_is_wrong_is_said_in_the_same_words(scored: tuple[dict[str, Any], Path]) -> None:
    for what, pair in scored[0]["refusals"].items():
        assert len(pair) == 2, (what, pair)
        assert pair[0] == pair[1], what


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float):
        both_nan = math.isnan(one) and math.isnan(other)
        return both_nan or abs(one - other) <= 1e-6 * max(1.0, abs(one))
    return bool(one == other)
