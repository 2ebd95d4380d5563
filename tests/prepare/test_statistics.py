from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfspark.contracts import parse_contract
from tfspark.prepare.statistics import statistics

CONTRACT = parse_contract(
    b"""
kind: DataContract
id: t
version: 1
schema:
  - name: t
    properties:
      - {name: id, physicalType: bigint, primaryKey: true, required: true, role: key}
      - {name: x, physicalType: double}
      - {name: n, physicalType: bigint}
      - {name: s, physicalType: string}
      - {name: flag, physicalType: boolean}
      - {name: day, physicalType: date}
      - {name: tokens, physicalType: array<int>}
      - {name: none, physicalType: double}
""",
    "x",
)
BIG = 2**60 + 1


def frame(spark: Any, rows: list[tuple[Any, ...]], parts: int = 3) -> Any:
    return spark.createDataFrame(rows, CONTRACT.spark_schema()).repartitionByRange(parts, "id")


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(xs=st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_numbers_are_numpy_s(spark: Any, xs: list[float | None]) -> None:
    rows = [(i, x, None, None, None, None, None, None) for i, x in enumerate(xs)]
    entry = statistics(frame(spark, rows), CONTRACT, 10)["x"]
    seen = np.array([x for x in xs if x is not None])
    assert entry["count"] == len(seen)
    assert entry["nulls"] == len(xs) - len(seen)
    if not len(seen):
        assert entry["mean"] is entry["std"] is entry["min"] is entry["quantiles"] is None
        return
    assert entry["mean"] == pytest.approx(seen.mean(), rel=1e-9, abs=1e-9)
    assert entry["std"] == pytest.approx(seen.std(), rel=1e-6, abs=1e-6)
    assert (entry["min"], entry["max"]) == (seen.min(), seen.max())
    expected = np.quantile(seen, np.linspace(0, 1, 101))
    assert np.allclose(entry["quantiles"], expected, rtol=1e-9, atol=1e-6)
    assert ("log1p_mean" in entry) == (seen.min() >= 0)


def test_values_are_the_most_frequent_in_a_fixed_order(spark: Any) -> None:
    words = ["b", "a", "b", "a", "c", None]
    rows = [(i, float("nan"), BIG, word, True, None, [1], None) for i, word in enumerate(words)]
    found = statistics(frame(spark, rows), CONTRACT, 2)
    assert found["s"]["values"] == [["a", 2], ["b", 2]]
    assert found["s"]["distinct"] == 3
    assert found["n"]["values"] == [[BIG, 6]]
    assert found["flag"]["values"] == [[1, 6]]
    assert found["x"]["nulls"] == 6
    assert found["day"]["values"] == []
    assert "tokens" not in found


def test_the_same_rows_give_the_same_bits(spark: Any) -> None:
    rows = [(i, i * 0.1, i, str(i % 7), i % 2 == 0, None, None, 1 / (i + 1)) for i in range(200)]
    one, two = (statistics(frame(spark, rows, 4), CONTRACT, 10) for _ in range(2))
    assert repr(one) == repr(two)
