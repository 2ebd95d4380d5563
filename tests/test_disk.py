"""A full disk ends a run with its reason. Lane: test; under a second."""

from __future__ import annotations

import shutil

import pytest

from tests.disk import Disk


def test_a_full_disk_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    report = pytest.TestReport(
        "tests/test_x.py::test_y", ("tests/test_x.py", 1, "y"), {}, "passed", None, "teardown"
    )
    Disk().pytest_runtest_logreport(report)  # this disk has room

    full = shutil._ntuple_diskusage(10, 9, 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(pytest.exit.Exception, match=r"is full .* after tests/test_x.py::test_y"):
        Disk().pytest_runtest_logreport(report)
