"""Random tables: the checks on Arrow batches and those of Spark's expressions say the same."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, given, settings

from tests.rowchecks.columns import ROWS, Column, columns
from tests.rowchecks.tables import KEY, contract, told
from tests.sizes import size
from tfspark.contracts.checks import check
from tfspark.rowchecks import RowChecks
from tfspark.rowchecks.schemas import spark_schema

TABLES = size(200, soak=10_000)
TOGETHER = 200
"""Tables of one column, side by side in one job: a column's checks know nothing of the others."""


def tables() -> list[Column]:
    found: list[Column] = []

    @settings(max_examples=TABLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(columns())
    def collect(column: Column) -> None:
        found.append(column)

    collect()
    return found


def test_random_tables(spark: Any) -> None:
    found = tables()
    for start in range(0, len(found), TOGETHER):
        compare(spark, found[start : start + TOGETHER])


def compare(spark: Any, columns: list[Column]) -> None:
    about = {f"c{i}": words for i, (words, _) in enumerate(columns)}
    batch = pa.record_batch(
        {"id": pa.array(range(ROWS), pa.int32())}
        | {f"c{i}": values for i, (_, values) in enumerate(columns)}
    )
    wanted = contract({**KEY, **about})
    raw = spark.createDataFrame(pa.Table.from_batches([batch]), spark_schema(batch.schema))
    theirs = check(raw, wanted, "t").orderBy("id").toArrow()
    found = RowChecks(wanted, batch.schema, "t")(batch)
    reasons, differ = told(found), []
    for name, (words, values) in zip(about, columns, strict=True):
        typed = found.rows[name].to_pylist(), theirs[name].to_pylist()
        for row, (ours, other) in enumerate(zip(*typed, strict=True)):
            why = [r for r in reasons[row][0] if r.startswith(f"{name}: ")]
            said = theirs["_tfspark_reasons"][row].as_py()
            if (repr(ours), why) != (repr(other), [r for r in said if r.startswith(f"{name}: ")]):
                differ.append((words, values.type, values[row].as_py(), ours, why, other, said))
    assert not differ, "\n".join(map(str, differ))
    for (_, ours), other in zip(reasons, theirs["_tfspark_raw"].to_pylist(), strict=True):
        shown = _fields(ours) ^ _fields(other)
        assert ours == other, shown
    for ours, other in zip(found.rows.schema, theirs.schema, strict=False):
        assert ours.type == other.type or pa.types.is_list(other.type)


def _fields(text: str | None) -> set[tuple[str, str]]:
    return {(name, repr(value)) for name, value in json.loads(text or "{}").items()}
