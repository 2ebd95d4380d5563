import datetime as dt
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfspark.config import Split
from tfspark.contracts import parse_contract
from tfspark.dataset import SPLITS
from tfspark.errors import ConfigError
from tfspark.prepare.split import by_split, key_hashes, place, split_numbers, split_of

DAY = dt.date(2026, 1, 1)
TIMED = """
kind: DataContract
id: t
version: 1
schema:
  - name: t
    properties:
      - {name: id, physicalType: bigint, primaryKey: true}
      - {name: at, physicalType: timestamp}
      - {name: word, physicalType: string}
"""


def test_the_place_of_a_key_is_for_ever() -> None:
    # Written down once; a change would move rows between the splits of every user.
    assert [round(place([key], 0), 9) for key in (1, 2, 493, "a")] == json.loads(
        (Path(__file__).parent / "places.json").read_text()
    )
    assert place(["a", "b"], 0) != place(["ab"], 0)
    assert place([1], 0) != place([1], 1)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**31))
def test_a_place_is_in_zero_to_one(key: int, seed: int) -> None:
    assert 0 <= place([key], seed) < 1
    assert place([key], seed) == place([str(key)], seed)


def test_tasks_and_plain_python_agree() -> None:
    split = Split(seed=3, validation=0.2, test=0.3)
    rows = [(i, f"k{i}ü") for i in range(-250, 250)]
    batch = pa.record_batch([pa.array(column) for column in zip(*rows, strict=True)], ["id", "k"])
    high, low = key_hashes(batch.columns, split.seed)
    found = [SPLITS[n] for n in split_numbers(batch, high, split)]
    assert found == [split_of(row, split) for row in rows]
    assert {"train", "validation", "test"} == set(found)
    assert len(set(low.tolist())) == len(rows)


def test_more_rows_move_no_row() -> None:
    split = Split(validation=0.2, test=0.2)
    before = {i: split_of([i], split) for i in range(100)}
    assert before == {i: split_of([i], split) for i in range(1000) if i < 100}
    wider = Split(validation=0.2, test=0.3)
    assert all(
        split_of([i], wider) == "test" for i in range(1000) if split_of([i], split) == "test"
    )


def test_by_time() -> None:
    split = Split(
        by="time",
        column="at",
        validation_from=dt.date(2026, 2, 1),
        test_from=dt.date(2026, 3, 1),
    )
    days = [dt.date(2026, 1, 31), dt.date(2026, 2, 1), dt.date(2026, 2, 28), dt.date(2026, 3, 1)]
    times = [dt.datetime(d.year, d.month, d.day, 23, 59, tzinfo=dt.UTC) for d in days]
    for column in (pa.array(days), pa.array(times, pa.timestamp("us", "UTC"))):
        batch = pa.record_batch([column], ["at"])
        found = [SPLITS[n] for n in split_numbers(batch, np.zeros(4, np.uint64), split)]
        assert found == ["train", "validation", "validation", "test"]


def test_a_split_by_time_needs_a_time() -> None:
    split = Split(by="time", column="at", validation_from=DAY, test_from=DAY)
    contract = parse_contract(TIMED.encode(), "t.yaml")
    assert by_split(contract, split).column("at").required
    assert by_split(contract, Split()) is contract
    for name, says in (("when", "has no column when; there are: id, at, word"), ("word", "string")):
        with pytest.raises(ConfigError, match=rf"prepare\.split\.column: .*{says}"):
            by_split(contract, split.model_copy(update={"column": name}))
