"""Tests in two processes (pytest-xdist): who shares something stays together, the longest first.

pytest-xdist's own groups change the names of tests, in a way that pytest 9 no longer takes. Here
the workers write down the group of each test, and a scheduler reads it.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.durations import durations

_FIRST = {"processes": 1, "spark": 2}  # these two have a worker each, nearly from the start


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Groups(), "groups")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    worker: dict[str, str] | None = getattr(config, "workerinput", None)
    if worker is None:
        return
    known = durations()
    seconds: dict[str, float] = defaultdict(float)
    groups: dict[str, str] = {}
    late: dict[str, bool] = {}
    for item in items:
        groups[item.nodeid] = group = group_of(item)
        seconds[group] += known.get(item.nodeid, 0.1)
        late[item.nodeid] = "scala" in _fixtures(item)  # it waits for sbt

    # Spark's session waits for sbt's first task: its worker has something else to do until then.
    begin = max((group for group in seconds if "/" in group), key=seconds.__getitem__, default="")
    first = {begin: 0, **_FIRST}

    def place(item: pytest.Item) -> tuple[int, float, str, bool]:
        group = groups[item.nodeid]
        return first.get(group, 3), -seconds[group], group, late[item.nodeid]

    items.sort(key=place)
    part = Path(f"{worker['groups']}.{worker['workerid']}")
    part.write_text(json.dumps(groups), "utf-8")
    part.replace(worker["groups"])


def group_of(item: pytest.Item) -> str:
    """One Spark session in all, one test of many processes at a time, module fixtures made once.

    Whole jobs have a session of their own: one alone would end minutes after all else.
    """
    names = _fixtures(item)
    marks = {mark.name for mark in item.iter_markers()}
    if marks & {"stores", "yarn"}:
        return "stores"  # a server starts once
    if {"passengers", "reader", "jvm"} & set(names):
        return "jobs"
    if "spark" in names:
        return "spark"
    if marks & {"cluster", "package"}:
        return "processes"
    if "scala" in marks:
        return "scala"  # after the whole jobs: sbt is done by then
    found: dict[str, Any] = getattr(item, "_fixtureinfo").name2fixturedefs  # noqa: B009
    scopes = {found[name][-1].scope for name in names if name in found}
    if scopes & {"class", "module", "package"}:
        return item.nodeid.partition("::")[0]
    return item.nodeid


def _fixtures(item: pytest.Item) -> list[str]:
    return list(getattr(item, "fixturenames", []))


class Groups:
    """In the process that hands tests out."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tfspark-tests-")
        self._file = os.path.join(self._folder.name, "groups.json")  # noqa: PTH118

    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["groups"] = self._file

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        from xdist.scheduler import LoadScopeScheduling

        file, groups = Path(self._file), dict[str, str]()

        class ByGroup(LoadScopeScheduling):
            def _split_scope(self, nodeid: str) -> str:
                if not groups:
                    groups.update(json.loads(file.read_text("utf-8")))
                return groups[nodeid]

        config.option.loadscopereorder = False  # the order of the items
        return ByGroup(config, log)

    def pytest_unconfigure(self) -> None:
        self._folder.cleanup()
