"""`spec/rows.yaml`, held by the checks on Arrow batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from tests.conftest import ROOT
from tests.rowchecks.tables import KEY, Counted, contract, sent, told
from tests.spec.test_rows import DAY, frame, read
from tfspark.compat.spark import to_arrow_schema
from tfspark.daycolumn import NO_DAY, DayColumn
from tfspark.errors import ContractViolation
from tfspark.rowchecks import DayChecks, RowChecks

SPEC = yaml.safe_load((ROOT / "spec" / "rows.yaml").read_text("utf-8"))
COLUMNS = SPEC["columns"]


@pytest.fixture(scope="module")
def raw(spark: Any) -> list[pa.RecordBatch]:
    """Each column's raw values, cast by one job of Spark's."""
    longest = max(len(case["rows"]) for case in COLUMNS)
    names = [f"c{i}" for i in range(len(COLUMNS))]
    rows = [
        [j, *(c["rows"][j][0] if j < len(c["rows"]) else None for c in COLUMNS)]
        for j in range(longest)
    ]
    schema = "id int, " + ", ".join(f"{name} string" for name in names)
    casts = [
        c.get("sql", f"cast($ as {c.get('type', 'string')})").replace("$", name) + f" as {name}"
        for name, c in zip(names, COLUMNS, strict=True)
    ]
    frame = spark.createDataFrame(rows, schema).selectExpr("id", *casts).orderBy("id")
    whole = frame.toArrow().combine_chunks().to_batches()[0]
    return [
        pa.RecordBatch.from_arrays([whole["id"], whole[name]], names=["id", name]).slice(
            0, len(c["rows"])
        )
        for name, c in zip(names, COLUMNS, strict=True)
    ]


@pytest.fixture(scope="module")
def checked(raw: list[pa.RecordBatch], spark: Any) -> tuple[list[Any], list[list[list[str]]]]:
    """Typed values as Spark shows them, row by row, and each column's reasons."""
    longest = max(map(len, raw))
    columns, reasons, texts = [], [], []
    for i, (case, batch) in enumerate(zip(COLUMNS, raw, strict=True)):
        name = f"c{i}"
        checks = RowChecks(contract({**KEY, name: case["column"]}), batch.schema, "t")
        checks = sent(checks)
        found = checks(batch, Counted(checks.unique))
        fill = pa.nulls(longest - len(batch), checks.schema.field(name).type)
        columns.append(pa.concat_arrays([found.rows[name], fill]))
        reasons.append([why for why, _ in told(found)])
        function = "hex" if case["column"]["physicalType"] == "binary" else "string"
        texts.append(f"{function}({name})")
    names = [*(f"c{i}" for i in range(len(raw))), "row"]
    whole = pa.table([*columns, pa.array(range(longest))], names=names)
    return spark.createDataFrame(whole).orderBy("row").selectExpr(*texts).collect(), reasons


@pytest.mark.parametrize("index", range(len(COLUMNS)), ids=lambda i: str(COLUMNS[i]["column"]))
def test_the_values_of_a_column(index: int, checked: Any) -> None:
    shown, reasons = checked
    for j, (value, typed, said) in enumerate(COLUMNS[index]["rows"]):
        start = f"c{index}: "
        why = [r.removeprefix(start) for r in reasons[index][j] if r.startswith(start)]
        assert (shown[j][index], why) == (typed, said), value


@pytest.mark.parametrize("source", SPEC["takes"])
def test_types_that_can_be_checked(source: str, spark: Any) -> None:
    frame = spark.sql(f"SELECT 1 AS id, CAST(NULL AS {source}) AS a")
    there = to_arrow_schema(frame.schema, timezone="UTC")
    for kind in {kind: None for kinds in SPEC["takes"].values() for kind in kinds}:
        wanted = contract({**KEY, "a": {"physicalType": kind}})
        if kind in SPEC["takes"][source]:
            checks = RowChecks(wanted, there, "t")
            empty = checks(pa.RecordBatch.from_pylist([], there))
            nulls = checks(pa.RecordBatch.from_pylist([{"id": 1, "a": None}], there))
            assert (empty.bad, nulls.bad) == (None, None)
            assert nulls.rows.to_pylist() == [{"id": 1, "a": None}]
        else:
            with pytest.raises(ContractViolation, match="values would be lost"):
                RowChecks(wanted, there, "t")


@pytest.mark.parametrize("case", SPEC["tables"], ids=lambda case: str(case["name"]))
def test_a_table(case: dict[str, Any], spark: Any, tmp_path: Path) -> None:
    raw = frame(case, spark, tmp_path)
    there = to_arrow_schema(raw.schema, timezone="UTC")
    name = case.get("day_column")
    by = DayColumn(name, DAY) if name else None
    wanted = contract(case["contract"])
    if "says" in case:
        with pytest.raises(ContractViolation) as caught:
            _ = read(raw, name), RowChecks(wanted, there, "the table")
        assert str(caught.value) == case["says"]
        return
    batch = read(raw, name).coalesce(1).toArrow().combine_chunks().to_batches()[0]
    checks = sent(RowChecks(wanted, batch.schema, "the table", by=by))
    found = checks(batch, Counted(checks.unique))
    if by is not None and case["columns"].get("id"):
        found_alone = sent(DayChecks(there, by))(batch)
        of_days = [[w for w in why if w.endswith(NO_DAY)] for why, _ in told(found)]
        assert [why for why, _ in told(found_alone)] == of_days
    texts = [
        [None if v is None else str(v) for v in row.values()] for row in found.rows.to_pylist()
    ]
    got = [[*row, *why] for row, why in zip(texts, told(found), strict=True)]
    assert sorted(got, key=str) == sorted(case["gives"], key=str)
