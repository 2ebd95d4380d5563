"""A run that fills the disk says so and ends: it would fail in a hundred other words."""

from __future__ import annotations

import shutil
import tempfile

import pytest

LEAST = 512 << 20  # bytes


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Disk(), "disk")


class Disk:
    """In the process that hears of every test."""

    def pytest_report_header(self) -> str:
        free = shutil.disk_usage(tempfile.gettempdir()).free
        return f"disk: {free / 1e9:.1f} GB free in {tempfile.gettempdir()}"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "teardown":
            return
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if free < LEAST:
            pytest.exit(
                f"the disk of {tempfile.gettempdir()} is full ({free / 1e6:.0f} MB are left) after "
                f"{report.nodeid}: make room (`uv cache prune`), or set TMPDIR to another disk",
                returncode=1,
            )
