"""How long each test takes: `tests/durations.json`, and what a run finds beside it."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest

from tests.lanes import MARKS, ROOT

TABLE = Path(__file__).with_name("durations.json")
LONG, DRIFT = 20, 10  # seconds: of a test without a mark, of one that takes twice as long


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("lanes").addoption(
        "--write-durations", action="store_true", help=f"renew {TABLE.name} by this run"
    )


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Durations(config.getoption("write_durations")), "durations")


def durations() -> dict[str, int]:
    found: dict[str, int] = json.loads(TABLE.read_text("utf-8")) if TABLE.exists() else {}
    return found


class Durations:
    """Of this run, with what its fixtures took."""

    def __init__(self, write: bool) -> None:
        self.write = write
        self.seconds: dict[str, float] = defaultdict(float)
        self.marked: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration
        if MARKS.keys() & set(report.keywords):
            self.marked.add(report.nodeid)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        known = durations()
        took = {test: round(seconds) for test, seconds in self.seconds.items()}
        said = [
            f"{test}: {seconds} s, and no mark says why"
            for test, seconds in took.items()
            if seconds > LONG and test not in self.marked
        ]
        said += [
            f"{test}: {seconds} s, in {TABLE.name} {known.get(test, 'nothing')}"
            for test, seconds in took.items()
            if seconds > DRIFT and seconds > 2 * known.get(test, 0)
        ]
        if said:
            terminalreporter.section("durations")
            terminalreporter.line("\n".join(sorted(said)))
        if self.write:
            there = {
                test: seconds
                for test, seconds in known.items()
                if (ROOT / test.partition("::")[0]).exists()
            }
            new = {test: s for test, s in sorted((there | took).items()) if s >= 1}
            TABLE.write_text(json.dumps(new, indent=0, ensure_ascii=False) + "\n", "utf-8")
