"""The passengers example as the tests run it: its own warehouse, a training of few epochs."""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.conftest import PASSENGERS, ROOT
from tfspark.cli import main
from tfspark.registry.connect import connect
from tfspark.registry.index import refresh

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


def copy_of(warehouse: Path, target: Path, names: Sequence[str] | None = None) -> Path:
    """A warehouse, or some of it, elsewhere. MLflow's database holds paths: they follow, and the
    index with them."""
    target.mkdir(parents=True)
    for path in warehouse.iterdir():
        if names is None or path.name in names:
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, target / path.name)
    if (target / "mlflow.db").exists():
        with closing(sqlite3.connect(target / "mlflow.db")) as database, database:
            _follow(database, str(warehouse), str(target))
        uri = f"sqlite:///{target}/mlflow.db"
        refresh(connect(uri), uri)
    return target


def content(folder: Path) -> dict[str, str]:
    """Every file below a folder, and its sum: a table that no one has touched has the same."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _follow(database: sqlite3.Connection, old: str, new: str) -> None:
    tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        for _, column, kind, *_ in database.execute(f'PRAGMA table_info("{table}")').fetchall():
            if kind.startswith(("VARCHAR", "TEXT")):
                change = f'UPDATE "{table}" SET "{column}" = replace("{column}", ?, ?)'
                database.execute(f'{change} WHERE "{column}" LIKE ?', (old, new, f"%{old}%"))
