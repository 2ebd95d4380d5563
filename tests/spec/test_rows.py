"""`spec/rows.yaml`: row checks value by value, on both sides. `tests/rowchecks` has Python's."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import ROOT
from tfspark.config import Source
from tfspark.contracts import Contract
from tfspark.contracts.column import Options
from tfspark.daycolumn import DayColumn, of_day
from tfspark.tables import JSON, read_source

SPEC = yaml.safe_load((ROOT / "spec" / "rows.yaml").read_text("utf-8"))
COLUMNS = SPEC["columns"]
DAY = dt.date(2026, 11, 20)


def contract(columns: dict[str, Any]) -> Contract:
    properties = [{"name": name, **about} for name, about in columns.items()]
    table = {"name": "t", "properties": properties}
    about = {"kind": "DataContract", "id": "t", "version": "1", "schema": [table]}
    return Contract.model_validate(about)


def test_every_rule_of_a_column_has_a_case() -> None:
    """A new one needs a case here, and the Scala module."""
    columns = [contract({"a": {**c["column"], "role": "key"}}).columns[0] for c in COLUMNS]
    used = {name for c in columns for name, value in c.options if value is not None}
    assert used == set(Options.model_fields)


def exprs(case: dict[str, Any]) -> dict[str, Any]:
    from pyspark.sql import functions as F

    return {name: F.expr(sql) for name, sql in case.get("sql", {}).items()}


def frame(case: dict[str, Any], spark: Any, folder: Path) -> Any:
    """The rows of a case, read from a file where they are JSON."""
    schema = ", ".join(f"`{name}` {kind}" for name, kind in case["columns"].items())
    raw = spark.createDataFrame(case.get("rows", []), schema).withColumns(exprs(case))
    if raw.columns != [JSON]:
        return raw
    (folder / "t.json").write_text("\n".join(row[0] for row in case["rows"]))
    by = case.get("day_column")
    source = Source(format="json", path=str(folder / "t.json"), day_column=by)
    return read_source(spark, source, DAY if by else None, list(case["contract"]))


def read(raw: Any, by: str | None) -> Any:
    """The rows of the day, where there is one."""
    return raw if by is None else of_day(raw, DayColumn(by, DAY), "the table")
