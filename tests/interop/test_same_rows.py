"""The Scala module: its own tests, and the same models scored by Python and by the JVM."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.interop.cases import CASES
from tests.interop.module import NATIVES, ROOT, classpath
from tests.interop.refusals import POISON, WRONG

LIMIT = 1800
EXECUTORS = 2


@pytest.mark.timeout(LIMIT)
def test_the_form_and_the_tests_of_the_scala_module(scala: Any) -> None:
    said = scala.ready("scalafmtSbtCheck", "scalafmtCheckAll", "test")
    assert "All tests passed." in said


@pytest.fixture(scope="module")
def scored(scala: Any, cluster: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What both sides gave on a cluster of two executors."""
    jars = classpath()
    folder = tmp_path_factory.mktemp("scala")
    (folder / "cache").mkdir(mode=0o700)
    ended = subprocess.run(
        [sys.executable, "-m", "tests.interop.driver", cluster, jars, str(folder)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "JAVACPP_CACHE": str(NATIVES)},
        text=True,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-8000:]
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result


@pytest.mark.timeout(LIMIT)
@pytest.mark.parametrize("name", CASES)
def test_python_and_the_jvm_give_the_same_rows(scored: dict[str, Any], name: str) -> None:
    case, found = CASES[name], scored["cases"][name]
    assert (found["one"], found["other"], found["joined"]) == (case.rows,) * 3
    assert (found["bad"], found["reasons"]) == (case.bad, 0)
    assert found["difference"] <= 1e-6
    # The model's folder was gone: it was unpacked once, and opened once by each executor's JVM.
    assert found["unpacked"] == 1
    assert len(found["loads"]) == len(set(found["loads"])) == EXECUTORS


@pytest.mark.timeout(LIMIT)
@pytest.mark.parametrize("what", [*WRONG, *POISON])
def test_what_is_wrong_is_said_in_the_same_words(scored: dict[str, Any], what: str) -> None:
    python, jvm = scored["refusals"][what]
    assert python == jvm
    assert python[0]
