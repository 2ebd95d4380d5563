"""Fixtures of searches: a warehouse with a small dataset and an empty registry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.training.small_table import SETTINGS, write_dataset
from tfspark.config import Settings, load_settings
from tfspark.console import Steps

SPACE = {
    "training.learning_rate": {"low": 0.0001, "high": 0.1, "log": True},
    "model.params.dropout": {"choices": [0.0, 0.2, 0.5]},
}


@pytest.fixture
def warehouse(tmp_path: Path, empty_store: Path) -> Path:
    """A warehouse with a dataset and an empty registry."""
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    write_dataset(tmp_path)
    return tmp_path


@pytest.fixture
def settings_of(warehouse: Path) -> Callable[..., Settings]:
    """Settings of a small search; dotted names override, `__` is a dot."""

    def make(**overrides: Any) -> Settings:
        dotted = {key.replace("__", "."): value for key, value in overrides.items()}
        return load_settings(
            None, {"warehouse": str(warehouse), **SETTINGS, "tune.space": SPACE, **dotted}
        )

    return make


@pytest.fixture
def steps() -> Steps:
    return Steps("tune")
