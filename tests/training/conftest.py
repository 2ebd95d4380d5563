"""Fixtures of training: a warehouse with a small dataset and an empty registry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.training.small_table import SETTINGS, write_dataset
from tfspark.config import Settings, load_settings
from tfspark.console import Steps


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """The folder of a dataset in the warehouse `tmp_path`."""
    return write_dataset(tmp_path)


@pytest.fixture
def settings_of(tmp_path: Path) -> Callable[..., Settings]:
    """Settings of a small training; dotted names override."""

    def make(**overrides: Any) -> Settings:
        dotted = {key.replace("__", "."): value for key, value in overrides.items()}
        return load_settings(None, {"warehouse": str(tmp_path), **SETTINGS, **dotted})

    return make


@pytest.fixture
def steps() -> Steps:
    return Steps("train")


@pytest.fixture
def warehouse(tmp_path: Path, empty_store: Path) -> Path:
    """A warehouse with an empty registry."""
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    return tmp_path
