"""Hashes, slices, and values that are there twice. About 12 s, most of it Spark's."""

import datetime as dt
import decimal
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from tfspark.errors import StorageError
from tfspark.exchange import duplicates, hashes, kernels
from tfspark.exchange.duplicates import Duplicates, KeyWriter, find_duplicates
from tfspark.exchange.hashes import md5_hashes, row_hashes
from tfspark.exchange.inorder import InOrder, OutOfOrder, whole_groups
from tfspark.exchange.slices import SliceWriter, read_slices


@settings(deadline=None)
@given(st.lists(st.none() | st.text(max_size=200)), st.text(max_size=80), st.integers(0, 3))
def test_md5_is_that_of_the_standard_library(
    texts: list[str | None], prefix: str, skip: int
) -> None:
    array = pa.array(texts, pa.string()).slice(skip)
    high, low = md5_hashes(array, prefix)
    for text, top, rest in zip(array.to_pylist(), high, low, strict=True):
        if text is not None:
            digest = hashlib.md5((prefix + text).encode(), usedforsecurity=False).digest()
            assert digest == int(top).to_bytes(8, "big") + int(rest).to_bytes(8, "big")


KINDS: list[tuple[pa.DataType, list[Any]]] = [
    (pa.int32(), [0, 1, -1]),
    (pa.int64(), [0, 2**63 - 1, -(2**63)]),
    (pa.float32(), [0.0, -0.0, 1.5, float("inf")]),
    (pa.float64(), [0.0, -0.0, 1e-320, float("nan")]),
    (pa.bool_(), [True, False]),
    (pa.string(), ["", "a", "aaaaaaaaa", "aaaaaaaab", "\0"]),
    (pa.binary(), [b"", b"\0", b"\0\0"]),
    (pa.decimal128(10, 2), [decimal.Decimal("1.50"), decimal.Decimal("-1.50")]),
    (pa.date32(), [dt.date(1, 1, 1), dt.date(2026, 1, 1)]),
    (pa.timestamp("us", "UTC"), [dt.datetime(2026, 1, 1, tzinfo=dt.UTC)]),
    (pa.list_(pa.int32()), [[], [0], [0, 0], [None], [1, 2]]),
    (pa.list_(pa.list_(pa.string())), [[], [[]], [["a"]], [["a"], []]]),
]


@pytest.mark.parametrize(("kind", "values"), KINDS, ids=lambda one: str(one)[:20])
def test_a_hash_tells_values_apart_and_not_where_they_lie(
    kind: pa.DataType, values: list[Any]
) -> None:
    array = pa.array([*values, None, *values], kind)
    found = row_hashes([array])
    half = len(values)
    assert len({int(one) for one in found[: half + 1]}) == half + 1
    assert found[half + 1 :].tolist() == found[:half].tolist()
    assert row_hashes([array.slice(half)]).tolist() == found[half:].tolist()
    other = pa.nulls(len(array), pa.int8())
    assert row_hashes([array, other]).tolist() != row_hashes([other, array]).tolist()


def test_numbers_need_no_compiler_and_have_the_same_hashes() -> None:
    """Scoring with a key of numbers starts without numba."""
    code = "import sys, tfspark.scoring.table.run, tfspark.keys; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=dict(os.environ))
    rng = np.random.default_rng(3)
    numbers = pa.array(rng.integers(-(2**63), 2**63, 70_000), mask=rng.random(70_000) < 0.1)
    others = pa.array([decimal.Decimal(i) / 4 for i in range(70_000)], pa.decimal128(38, 6))
    texts = pa.array([""] * 70_000)
    for columns in ([numbers], [others, numbers], [numbers.slice(9), others.slice(9)]):
        found = row_hashes(columns)
        whole = np.zeros(len(found), np.uint64)
        for number, column in enumerate(columns):
            valid = column.is_valid().to_numpy(zero_copy_only=False)
            kernels.join(whole, hashes._values(column), valid, number)
        assert (found == whole).all()
        assert len(set(found.tolist())) > 60_000
    assert (row_hashes([numbers, texts]) != row_hashes([numbers])).all()


def test_every_nan_is_one_value() -> None:
    bits = np.array([0x7FF8000000000000, 0x7FF8000000000001, 0xFFF8000000000000], np.uint64)
    assert len(set(row_hashes([pa.array(bits.view(np.float64))]).tolist())) == 1


def test_slices_come_back_by_number(tmp_path: Path) -> None:
    rows = pa.record_batch({"x": [5, 6, 7, 8, None], "s": list("abcde")})
    with SliceWriter(str(tmp_path / "a.arrow"), rows.schema) as writer:
        writer.write(rows, np.array([1, 0, 1, 9, 0]))
        writer.write(rows.slice(0, 0))
        writer.write(rows.slice(0, 3), np.array([70_000, 4_465, 70_000]))  # 16 bits are too few
    assert [(s.number, s.rows) for s in writer.slices] == [
        *[(0, 2), (1, 2), (9, 1), (0, 0)],
        *[(4_465, 1), (70_000, 2)],
    ]
    wanted = [s for s in writer.slices if s.number < 2]
    assert [b.to_pylist() for b in read_slices(wanted, [0])][:2] == [
        [{"x": 6}, {"x": None}],
        [{"x": 5}, {"x": 7}],
    ]
    (tmp_path / "a.arrow").write_bytes(b"no")
    with pytest.raises(StorageError, match=r"cannot read .*a\.arrow"):
        list(read_slices(wanted))


@pytest.mark.parametrize("bits", [0, 3])
def test_values_that_are_there_twice(spark: Any, tmp_path: Path, bits: int) -> None:
    """Across tasks; with a null among its columns a value is none. As a dictionary counts them."""
    rng = np.random.default_rng(1)
    unique = {"a, b": ("a", "b"), "c": ("c",)}
    folder = str(tmp_path)

    def some(seed: int) -> pa.RecordBatch:
        rng = np.random.default_rng(seed)
        a, c = rng.integers(0, 40, 300), rng.integers(0, 10**9, 300)
        c[:2] = 7
        return pa.record_batch(
            {
                "a": pa.array(a, mask=a == 3),
                "b": [f"b{i}" for i in rng.integers(0, 40, 300)],
                "c": pa.array(c),
            }
        )

    batches = [some(seed) for seed in range(3)]
    keys = []
    for number, batch in enumerate(batches):
        writer = KeyWriter(folder, str(number), unique, bits)
        writer.add(batch.slice(0, 100))
        writer.add(batch.slice(100))
        keys += writer.close()
    found = find_duplicates(spark, keys, unique, folder)
    counts: dict[Any, int] = {}
    for batch in batches:
        for row in batch.to_pylist():
            if row["a"] is not None:
                counts[row["a"], row["b"]] = counts.get((row["a"], row["b"]), 0) + 1
    assert found.rows == {"a, b": sum(n for n in counts.values() if n > 1), "c": 6}
    for batch in batches:
        times = found.times(batch)
        wanted = [counts.get((r["a"], r["b"]), 1) for r in batch.to_pylist()]
        assert times["a, b"].to_pylist() == [n if n > 1 else None for n in wanted]
        assert times["c"].to_pylist() == [6, 6, *[None] * 298]
    other = pa.record_batch({"a": [99], "b": ["x"], "c": [int(rng.integers(10**9, 10**10))]})
    assert found.times(other) == {}


@pytest.mark.parametrize("bits", [64, 1])
def test_equal_hashes_are_no_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bits: int
) -> None:
    """Also where hashes of different values are equal: of one bit most are."""
    values = {"a": pa.array([1.5, float("nan"), -0.0, 1.5]), "s": pa.array(["x", "y", "x", ""])}
    twice = pa.record_batch({**values, "times": pa.array([2, 3, 4, 5])})
    with SliceWriter(str(tmp_path / "twice.arrow"), twice.schema) as writer:
        writer.write(twice)
    real = duplicates.row_hashes
    monkeypatch.setattr(duplicates, "row_hashes", lambda c: real(c) >> np.uint64(64 - bits))
    found = Duplicates({"k": ("a", "s")}, {"k": tuple(writer.slices)}, {"k": 14})
    rows = pa.record_batch(
        {
            "s": ["", "x", "x", "x", "y", "z", None],
            "a": pa.array([1.5, 1.5, 0.0, -0.0, float("nan"), 1.5, 1.5]),
        }
    )
    assert found.times(rows)["k"].to_pylist() == [5, 2, None, 4, 3, None, None]
    assert found.times(rows.slice(5)) == {}


def test_counts_of_rows_in_order() -> None:
    """As a count of all rows tells; rows that are not in order are noticed."""

    def batch(*values: int | None) -> pa.RecordBatch:
        return pa.record_batch({"a": pa.array(values, pa.int32())})

    counts = InOrder("a", "a")
    assert counts.times(batch(-3, -1, 5)) == {}
    assert counts.times(batch()) == counts.times(batch(None, None)) == {}
    found = counts.times(batch(6, 6, None, 7, 8, 8, 8))
    assert found["a"].to_pylist() == [2, 2, None, None, 3, 3, 3]
    with pytest.raises(OutOfOrder):  # it began in the batch before
        counts.times(batch(8, 9))
    # Where batches are cut does not matter.
    rows = [batch(1, 2), batch(None), batch(2, 2, 3), batch(3), batch(3, 4), batch(5)]
    rows = [b.append_column("s", pa.array(["x"] * len(b)).dictionary_encode()) for b in rows]
    groups = list(whole_groups(rows, "a"))
    assert [b["a"].to_pylist() for b in groups] == [
        *([1, 2], [None], [2, 2], [3, 3, 3, 4], [5]),
    ]
    rows[1:2] = []
    groups, counts = list(whole_groups(rows, "a")), InOrder("a", "a")
    found = [counts.times(b).get("a", pa.nulls(len(b))).to_pylist() for b in groups]
    assert found == [[None], [3, 3, 3], [3, 3, 3, None], [None]]
    with pytest.raises(OutOfOrder):
        list(whole_groups([batch(*[7] * 40_000)] * 3, "a"))
    for values in ((9, 11, 10), (9, 9, 11, 10), (2**31 - 1, None, -(2**31))):
        with pytest.raises(OutOfOrder):
            InOrder("a", "a").times(batch(*values))
