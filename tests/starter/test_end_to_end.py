"""From tables that nobody has prepared to scored ones, with what `tfspark init` writes as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests.sizes import size
from tests.starter import tables
from tfspark.cli import main

ALL = [tables.flats, tables.houses, tables.churn, tables.clicks, tables.visits, tables.reviews]
TABLES = size([tables.flats], soak=[*ALL, tables.shop, tables.loans, tables.pets])


@pytest.mark.usefixtures("passengers", "whole_jobs")
@pytest.mark.parametrize("table", TABLES)
def test_every_row_is_scored(tmp_path: Path, table: Callable[[Path], Path]) -> None:
    made, own = table(tmp_path), tmp_path / "own"
    assert main(None, ["init", str(made), "--out", str(own), "--date", "2026-11-20"]) == 0
    given = ["--config", str(own / "recipe.yaml"), "--warehouse", str(tmp_path / "warehouse")]
    for job, more in {"prepare": [], "train": ["--training.epochs", "3"], "score": []}.items():
        assert main(job, [*given, *more]) == 0
    scored = DeltaTable(str(tmp_path / "warehouse" / "scored" / table.__name__))
    assert scored.to_pyarrow_table().num_rows == tables.ROWS
