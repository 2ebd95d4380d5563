"""Marks cannot lie: what they stand for is to be had by their fixtures alone."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import conftest, stores
from tests.lanes import FIXTURES, LANES, MARKS, ROOT
from tests.sizes import size
from tests.untraced import untraced

HERE = Path(__file__).name


def mentions(*words: str) -> set[str]:
    """Files of tests that have one of these in them."""
    files = [file for file in (ROOT / "tests").rglob("*.py") if file.name != HERE]
    return {file.name for file in files if any(word in file.read_text("utf-8") for word in words)}


def test_what_marks_is_reached_by_fixtures_alone() -> None:
    assert mentions("import standalone_cluster") == {"conftest.py"}
    assert mentions("sbt.py") == {"module.py"}
    marked = (
        "pytest.mark.cluster",
        "pytest.mark.fault",
        "pytest.mark.package",
        "pytest.mark.scala",
    )
    assert mentions(*marked) == set()


def test_every_mark_has_a_fixture_that_is_there() -> None:
    assert {*FIXTURES.values(), "airflow", "browser", "large"} == set(MARKS)
    for name in FIXTURES:
        place = conftest if hasattr(conftest, name) else stores
        assert inspect.getdoc(getattr(place, name)), name
    assert set().union(*LANES.values()) <= set(MARKS)


def test_who_kills_without_the_fixture_is_told() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        with pytest.raises(AssertionError, match=r"test_lanes.py::.* kills without the fixture"):
            os.kill(child.pid, signal.SIGKILL)
        assert child.poll() is None
    finally:
        child.communicate(b"\n")
    assert child.returncode == 0


def test_the_soak_has_the_full_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TESTS_SOAK", raising=False)
    assert size(3, soak=10) == 3
    monkeypatch.setenv("TESTS_SOAK", "1")
    assert size(3, soak=10) == 10


def test_what_is_not_traced_leaves_the_tracer_as_it_was() -> None:
    seen: list[Any] = []

    def trace(*_: Any) -> None:
        """Traces nothing."""

    def fails() -> None:
        seen.append(sys.gettrace())
        raise ValueError

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with pytest.raises(ValueError, match="^$"):
            untraced(fails)()
        seen.append(sys.gettrace())
    finally:
        sys.settrace(before)
    assert seen == [None, trace]
