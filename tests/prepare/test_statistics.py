"""Statistics from summaries of parts. About 15 s, most of it Spark's start and one stage."""

import datetime as dt
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfspark.contracts import parse_contract
from tfspark.features.words import Counted
from tfspark.prepare import statistics as module
from tfspark.prepare import summary as summaries
from tfspark.prepare.statistics import statistics
from tfspark.prepare.summary import summarise

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
SCHEMA = pa.schema(
    {
        "id": pa.int64(),
        "x": pa.float64(),
        "n": pa.int64(),
        "s": pa.string(),
        "flag": pa.bool_(),
        "day": pa.date32(),
        "tokens": pa.list_(pa.int32()),
        "none": pa.float64(),
    }
)
BIG = 2**60 + 1


def parts_of(
    folder: Path,
    rows: list[tuple[Any, ...]],
    parts: int = 3,
    exact: bool = True,
    words: Sequence[Counted] = (),
) -> list[summaries.Summary]:
    columns = list(zip(*rows, strict=True))
    arrays = [pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)]
    table = pa.table(arrays, schema=SCHEMA)
    edges = np.linspace(0, len(rows), parts + 1).astype(int)
    return [
        summarise(table.slice(start, end - start), CONTRACT, f"{folder}/{number}", exact, words)
        for number, (start, end) in enumerate(pairwise(edges))
    ]


def found(folder: Path, rows: list[tuple[Any, ...]], most: int = 10, **more: Any) -> dict[str, Any]:
    no_spark: Any = None  # the driver alone puts few values together
    return statistics(no_spark, parts_of(folder, rows, **more), CONTRACT, most)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(xs=st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_numbers_are_numpy_s(tmp_path: Path, xs: list[float | None]) -> None:
    rows = [(i, x, None, None, None, None, None, None) for i, x in enumerate(xs)]
    entry = found(tmp_path, rows)["x"]
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
    if seen.min() >= 0:
        assert entry["log1p_mean"] == pytest.approx(np.log1p(seen).mean(), rel=1e-9)
        assert entry["log1p_std"] == pytest.approx(np.log1p(seen).std(), rel=1e-6, abs=1e-9)


def test_values_are_the_most_frequent_in_a_fixed_order(tmp_path: Path) -> None:
    words = ["b", "a", "b", "a", "c", None]
    day = dt.date(1970, 1, 11)
    rows = [(i, float("nan"), BIG, word, True, day, [1], None) for i, word in enumerate(words)]
    entries = found(tmp_path, rows, 2)
    assert entries["s"]["values"] == [["a", 2], ["b", 2]]
    assert entries["s"]["distinct"] == 3
    assert entries["n"]["values"] == [[BIG, 6]]
    assert entries["flag"]["values"] == [[1, 6]]
    assert entries["x"]["nulls"] == 6
    assert entries["day"]["values"] == [[10, 6]]
    assert entries["none"]["quantiles"] is None
    assert "values" not in entries["id"]
    assert "tokens" not in entries


def test_the_same_rows_give_the_same_bits(tmp_path: Path) -> None:
    rows = [(i, i * 0.1, i, str(i % 7), i % 2 == 0, None, None, 1 / (i + 1)) for i in range(200)]
    one, two = (found(tmp_path, rows, parts=4) for _ in range(2))
    assert repr(one) == repr(two)


def test_many_values_are_counted_by_tasks(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One part whose counts are cut by hash, one whose are not: the same as on the driver."""
    rng = np.random.default_rng(1)
    numbers = rng.integers(0, 500, 2000).tolist()
    rows = [(i, None, n, f"w{n % 90}", None, None, None, None) for i, n in enumerate(numbers)]
    rows[1500:] = [(i, None, 7, "w7", None, None, None, None) for i in range(1500, 2000)]
    wanted = found(tmp_path, rows, 20, parts=4)
    monkeypatch.setattr(summaries, "_MANY", 50)
    monkeypatch.setattr(module, "_HELD", 0)
    parts = parts_of(tmp_path, rows, 4)
    assert len(parts[3].counts) == 2
    assert len(parts[0].counts) > 50
    assert statistics(spark, parts, CONTRACT, 20) == wanted
    assert wanted["n"]["values"][0][0] == 7


def test_quantiles_of_many_rows_are_off_by_a_ten_thousandth(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    values = np.exp(rng.normal(size=60_000) * 3)
    rows = [(i, x, None, None, None, None, None, None) for i, x in enumerate(values.tolist())]
    entry = found(tmp_path, rows, exact=False)["x"]
    ordered = np.sort(values)
    ranks = np.searchsorted(ordered, entry["quantiles"]) / len(values)
    assert np.abs(ranks - np.linspace(0, 1, 101)).max() <= 1e-4 + 1 / len(values)
    assert (entry["quantiles"][0], entry["quantiles"][-1]) == (ordered[0], ordered[-1])


def test_infinities_and_the_largest_doubles(tmp_path: Path, spark: Any) -> None:
    """One infinity is no mean; no sum of doubles ends the job, whichever file they are in."""
    inf = float("inf")
    some = [1.0, 2.0, inf, 3.0, -inf, 4.0]
    rows = lambda values: [  # noqa: E731
        (i, x, 1, "a", True, dt.date(2026, 1, 1), [1], None) for i, x in enumerate(values)
    ]
    found = statistics(spark, parts_of(tmp_path, rows(some)), CONTRACT, 10)["x"]
    assert (found["count"], found["nulls"], found["mean"], found["std"]) == (4, 2, 2.5, 1.25**0.5)
    assert (found["min"], found["max"], found["quantiles"][50]) == (1, 4, 2.5)
    most = 1.7e308
    for values in ([1.0, 1e200, 2.0, 3.0], [most, -most] * 3, [1.0, 1.0, most, most]):
        for parts in (1, len(values) // 2):
            found = statistics(spark, parts_of(tmp_path, rows(values), parts), CONTRACT, 10)["x"]
            whole = [v / 2.0**600 for v in values]
            assert found["mean"] / 2.0**600 == pytest.approx(np.mean(whole))
            assert found["std"] / 2.0**600 == pytest.approx(np.std(whole))
            assert np.isfinite(found["quantiles"]).all()
            assert found["quantiles"][0] == min(values)


def test_words_of_texts_are_counted_over_parts_and_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["The cat, the DOG", None, "", "a dog. A cat?", "the cat"] * 4
    rows = [(i, None, None, text, None, None, None, None) for i, text in enumerate(texts)]
    words = (
        Counted("s", "lower_and_strip", 1, 3, alone=True),
        Counted("s", "none", 2, 100, alone=True),
    )
    monkeypatch.setattr(summaries, "_PIECE", 20)
    monkeypatch.setattr(summaries, "_MANY", 2)
    entry = statistics(
        cast("Any", None), parts_of(tmp_path, rows, words=words), CONTRACT, 10, words
    )["s"]
    counted = entry["words"]["lower_and_strip 1"]
    assert counted == {"distinct": 4, "values": [["cat", 12], ["the", 12], ["a", 8]]}
    pairs = dict(entry["words"]["none 2"]["values"])
    assert (pairs["the cat"], pairs["dog. A"], pairs["The"]) == (4, 4, 4)
    assert "values" not in entry
    assert entry["count"] == 16
