"""`spec/rows.yaml`: row checks value by value, on both sides."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tfspark.config import Source
from tfspark.contracts import Contract
from tfspark.contracts.checks import check
from tfspark.contracts.column import Options
from tfspark.daycolumn import DayColumn, of_day
from tfspark.errors import ContractViolation
from tfspark.tables import JSON, read_source

SPEC = yaml.safe_load((ROOT / "spec" / "rows.yaml").read_text("utf-8"))
COLUMNS = SPEC["columns"]
DAY = dt.date(2026, 11, 20)
KINDS = {kind: None for kinds in SPEC["takes"].values() for kind in kinds}


def contract(columns: dict[str, Any]) -> Contract:
    properties = [{"name": name, **about} for name, about in columns.items()]
    table = {"name": "t", "properties": properties}
    about = {"kind": "DataContract", "id": "t", "version": "1", "schema": [table]}
    return Contract.model_validate(about)


@pytest.fixture(scope="module")
def checked(spark: Any) -> list[Any]:
    """One job over all columns, the shorter ones filled with nulls."""
    longest = max(len(case["rows"]) for case in COLUMNS)
    names = [f"c{i}" for i in range(len(COLUMNS))]
    rows = [
        [str(j), *(c["rows"][j][0] if j < len(c["rows"]) else None for c in COLUMNS)]
        for j in range(longest)
    ]
    raw = spark.createDataFrame(rows, ", ".join(f"{name} string" for name in ["id", *names]))
    casts = [
        c.get("sql", f"cast($ as {c.get('type', 'string')})").replace("$", name) + f" as {name}"
        for name, c in zip(names, COLUMNS, strict=True)
    ]
    columns = {"id": {"physicalType": "int", "primaryKey": True}}
    columns |= {name: c["column"] for name, c in zip(names, COLUMNS, strict=True)}
    result = check(raw.selectExpr("id", *casts), contract(columns))
    binary = [name for name in names if columns[name]["physicalType"] == "binary"]
    texts = [f"{'hex(' if n in binary else 'string('}{n}) as {n}" for n in names]
    found: list[Any] = result.selectExpr("id", *texts, "_tfspark_reasons").orderBy("id").collect()
    return found


@pytest.mark.parametrize("index", range(len(COLUMNS)), ids=lambda i: str(COLUMNS[i]["column"]))
def test_the_values_of_a_column(index: int, checked: list[Any]) -> None:
    name = f"c{index}"
    for (raw, typed, reasons), row in zip(COLUMNS[index]["rows"], checked, strict=False):
        said = [r.removeprefix(f"{name}: ") for r in row[-1] if r.startswith(f"{name}: ")]
        assert (row[name], said) == (typed, reasons), raw


def test_every_rule_of_a_column_has_a_case() -> None:
    """A new one needs a case here, and the Scala module."""
    columns = [contract({"a": {**c["column"], "role": "key"}}).columns[0] for c in COLUMNS]
    used = {name for c in columns for name, value in c.options if value is not None}
    assert used == set(Options.model_fields)


@pytest.mark.parametrize("source", SPEC["takes"])
def test_types_that_can_be_checked(source: str, spark: Any) -> None:
    raw = spark.sql(f"SELECT '1' AS id, CAST(NULL AS {source}) AS a")
    for kind in KINDS:
        wanted = {"id": {"physicalType": "int", "primaryKey": True}, "a": {"physicalType": kind}}
        if kind in SPEC["takes"][source]:
            assert check(raw, contract(wanted)).columns[:2] == ["id", "a"]
        else:
            with pytest.raises(ContractViolation, match="values would be lost"):
                check(raw, contract(wanted))


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


@pytest.mark.parametrize("case", SPEC["tables"], ids=lambda case: str(case["name"]))
def test_a_table(case: dict[str, Any], spark: Any, tmp_path: Path) -> None:
    raw, by = frame(case, spark, tmp_path), case.get("day_column")
    if "says" in case:
        with pytest.raises(ContractViolation) as caught:
            check(read(raw, by), contract(case["contract"]), "the table", by)
        assert str(caught.value) == case["says"]
        return
    found = check(read(raw, by), contract(case["contract"]), "the table", by)
    texts = [f"string({name}) as {name}" for name in case["contract"]]
    rows = found.selectExpr(*texts, "_tfspark_reasons", "_tfspark_raw").collect()
    assert sorted(map(list, rows), key=str) == sorted(case["gives"], key=str)
