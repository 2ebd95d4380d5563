"""The passengers example as the tests run it: its own warehouse, a training of few epochs."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from tests.conftest import PASSENGERS, ROOT
from tfspark.cli import main

DAY = dt.date(2026, 11, 20)


def flags(warehouse: Path | str, **more: Any) -> list[str]:
    """Arguments of a job; a dot in a setting's name is written as two underscores."""
    settings = {
        "config": ROOT / "conf" / "passengers.yaml",
        "contract": ROOT / "schemas" / "passengers.yaml",
        "source.path": PASSENGERS,
        "warehouse": warehouse,
        "date": DAY,
        "training.epochs": 3,
        "training.patience": 3,
        "distributed.ranks": 1,
        "registry.gate": "{}",
    } | {name.replace("__", "."): value for name, value in more.items()}
    return [
        text
        for name, value in settings.items()
        if value is not None
        for text in (f"--{name}", str(value))
    ]


def run_all(warehouse: Path | str) -> None:
    """prepare, train and score once, in this process."""
    for job in ("prepare", "train", "score"):
        assert main(job, flags(warehouse)) == 0, job
