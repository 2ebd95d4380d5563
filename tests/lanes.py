"""Lanes of tests: marks by what a test does, and which of them a lane has.

`make test`, `make test-all` and `make soak` are `--lane test`, `all` and `soak`. A test is marked
by the fixtures that it uses, so that a mark cannot lie (see CONTRIBUTING.md).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent

MARKS = {
    "cluster": "starts a Spark standalone cluster, or uses the session's",
    "fault": "kills or stops processes on purpose",
    "package": "builds a package",
    "process": "starts ranks: processes of their own that train together",
    "scala": "needs sbt's tests, packages or test classes, or the Scala module in JVMs of its own",
    "stores": "wants an S3 server or HDFS, which `make stores` fetches",
    "yarn": "wants a YARN cluster: minutes, and 8 GB of memory",
    "jobs": "runs whole jobs, one after the other, as their users do",
    "soak": "shows once more, by slow processes, what another test shows",
    "airflow": "wants the environment of `make test-airflow`",
    "browser": "wants a Chromium on the PATH",
    "large": "wants 12 GB of memory, 40 GB of disk and minutes",
}
# A fixture of tests/conftest.py or tests/stores.py, and the mark of who uses it.
FIXTURES = {
    "cluster": "cluster",
    "standalone_cluster": "cluster",
    "kill": "fault",
    "package": "package",
    "process": "process",
    "whole_jobs": "jobs",
    "soak": "soak",
    "scala": "scala",
    "s3_server": "stores",
    "s3_other": "stores",
    "hdfs_server": "stores",
    "yarn_cluster": "yarn",
}
# What a lane leaves out. pyproject.toml leaves `large`, `browser` and `airflow` out; they are asked
# for by name: python -m pytest -m browser
LANES: dict[str, set[str]] = {
    "test": set(MARKS) - {"airflow", "browser"},
    "all": {"yarn", "soak"},
    "soak": set(),
}
SOAK = "TESTS_SOAK"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("lanes").addoption(
        "--lane", choices=LANES, help="the tests of a lane, at its sizes"
    )


def pytest_configure(config: pytest.Config) -> None:
    for name, what in MARKS.items():
        config.addinivalue_line("markers", f"{name}: {what}")
    if config.getoption("lane") == "soak":
        os.environ[SOAK] = "1"
    # New examples are for the soak: a lane that gates a change tries the same ones each time.
    settings.register_profile("ci", derandomize=True, database=None)
    settings.load_profile("default" if os.environ.get(SOAK) else "ci")
    config.pluginmanager.register(Kills(), "kills")
    first = not hasattr(config, "workerinput") and not config.getoption("collectonly")
    if first and config.getoption("lane"):
        config.pluginmanager.register(Sbt(config.getoption("lane")), "sbt")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        for name in FIXTURES.keys() & set(getattr(item, "fixturenames", [])):
            item.add_marker(FIXTURES[name])
    beyond = LANES.get(config.getoption("lane") or "", set())
    left_out = [item for item in items if beyond & {mark.name for mark in item.iter_markers()}]
    if left_out:
        out = set(left_out)
        items[:] = [item for item in items if item not in out]
        config.hook.pytest_deselected(items=left_out)


class Sbt:
    """sbt's one call of a lane, beside the tests from their start."""

    def __init__(self, lane: str) -> None:
        from tests.interop.module import TASKS, begin

        self.process = begin(*TASKS[: 1 if lane == "test" else None])

    def pytest_unconfigure(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait()


class Kills:
    """A test that kills asks for the fixture `kill`, and so is marked."""

    def __init__(self) -> None:
        self.running: pytest.Item | None = None
        sys.addaudithook(self.hear)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.running = item
        try:
            return (yield)
        finally:
            self.running = None

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in ("os.kill", "os.killpg") or self.running is None:
            return
        if arguments[1] not in (signal.SIGKILL, signal.SIGSTOP):
            return
        if self.running.get_closest_marker("fault") is None and _by_a_test():
            raise AssertionError(f"{self.running.nodeid} kills without the fixture `kill`")


def _by_a_test() -> bool:
    """Whether the nearest of our files that asks for it is one of tests, and not a helper's."""
    frame = sys._getframe(2)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(ROOT / "tests") or path.is_relative_to(ROOT / "tfspark"):
            return path.name.startswith("test_")
        frame = frame.f_back  # type: ignore[assignment]
    return False
