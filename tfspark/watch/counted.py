"""What is counted of a column: its values in bins that stand fixed with a model version.

Numbers are counted as they are, categories by value; text that hardly repeats by its length.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.quality.bins import CategoryBins, NumberBins
from tfspark.tensors import Array

Form = Literal["number", "length", "category", "class"]
_HELD = 1 << 16
_SHOWN = 40


@dataclass(frozen=True)
class Counted:
    """How a column is counted, and what the training had of it.

    Attributes:
        form: what of a value is counted: itself, the length of a text, of a list the place of its
            largest number.
        single: the model was trained on the column as float32, so its edges are those of such.
        reference: the counts of the training split (of scores: of the validation split).
    """

    name: str
    form: Form
    bins: NumberBins | CategoryBins
    single: bool = False
    reference: tuple[int, ...] = ()

    def count(self, values: pa.Array) -> Array:
        """int64 [bins] of one batch of the column."""
        return self.bins.count(self._plain(values))

    def _plain(self, values: pa.Array) -> pa.Array:
        if self.form == "category":
            return values.cast(pa.string()) if pa.types.is_large_string(values.type) else values
        if self.form == "length":
            return pc.utf8_length(values)
        if self.form == "class":
            return _largest(values)
        return as_numbers(values, self.single)

    def labels(self) -> list[str]:
        """What each bin is called."""
        if isinstance(self.bins, CategoryBins):
            return ["null", "unseen", "other", *(_shown(value) for value in self.bins.frequent)]
        bins = self.bins
        edges = [f"{edge:.6g}" for edge in (bins.least, *bins.edges, bins.most)]
        between = [f"{low} – {high}" for low, high in pairwise(edges)]
        own = [f"= {value:.6g}" for value in bins.own]
        return ["null", "no number", f"< {edges[0]}", f"> {edges[-1]}", *own, *between]

    def to_json(self) -> dict[str, Any]:
        """As it is kept beside the counts."""
        bins: dict[str, Any]
        if isinstance(self.bins, CategoryBins):
            seen = sorted(self.bins.seen, key=str)
            bins = {"frequent": list(self.bins.frequent), "seen": seen}
        else:
            b = self.bins
            bins = {"edges": b.edges, "own": b.own, "least": b.least, "most": b.most}
        about = {"name": self.name, "form": self.form, "single": self.single}
        return {**about, "bins": bins, "reference": list(self.reference)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Counted:
        said = value["bins"]
        bins: NumberBins | CategoryBins
        if "frequent" in said:
            bins = CategoryBins(tuple(said["frequent"]), frozenset(said["seen"]))
        else:
            least, most = float(said["least"]), float(said["most"])
            bins = NumberBins(tuple(said["edges"]), tuple(said["own"]), least, most)
        reference = tuple(int(count) for count in value["reference"])
        return cls(value["name"], value["form"], bins, value["single"], reference)


Counts = dict[str, Array]


class Counting:
    """Counts of batches, some of them held back so that each count is of many rows."""

    def __init__(self, columns: Sequence[Counted]) -> None:
        self._columns = columns
        self._held: list[pa.RecordBatch] = []
        self._rows = 0
        self._total: Counts = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Count a batch; a column that it does not have is not counted."""
        self._held.append(batch)
        self._rows += batch.num_rows
        if self._rows >= _HELD:
            self._count()

    def counts(self) -> Counts:
        """By column, of all batches; of no rows there are none."""
        self._count()
        return self._total

    def found(self) -> dict[str, list[int]]:
        """The counts, as JSON has them."""
        return {name: counts.tolist() for name, counts in self.counts().items()}

    def _count(self) -> None:
        held, self._held = self._held, []
        if not self._rows:
            return
        self._rows = 0
        table = pa.Table.from_batches(held)
        for one in self._columns:
            if one.name in table.column_names:
                column = table[one.name].combine_chunks()
                column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
                self._total[one.name] = one.count(column) + self._total.get(one.name, 0)


class Counter:
    """Counts columns while `score_table(..., counter=...)` scores them.

    Attributes:
        counts: of all tasks; None where Spark wrote the files, and nothing was counted.
    """

    def __init__(self, columns: Sequence[Counted]) -> None:
        self._columns = tuple(columns)
        self.counts: Counts | None = None

    def start(self) -> Counting:
        """For one task."""
        return Counting(self._columns)

    def take(self, parts: Iterable[Mapping[str, Sequence[int]]]) -> None:
        """What the tasks counted, in the driver."""
        arrays = [{name: np.asarray(c, "int64") for name, c in part.items()} for part in parts]
        # The plan `jvm` counts nothing.
        self.counts = added(arrays) or None


def count_batches(columns: Sequence[Counted], batches: Iterable[pa.RecordBatch]) -> Counts:
    """The counts of all batches together, by column; of no rows there are none."""
    counting = Counting(columns)
    for batch in batches:
        counting.add(batch)
    return counting.counts()


def added(parts: Iterable[Mapping[str, Array]]) -> Counts:
    """Counts of parts as those of the whole."""
    total: Counts = {}
    for part in parts:
        for name, counts in part.items():
            total[name] = counts + total.get(name, 0)
    return total


def as_numbers(values: pa.Array, single: bool = False) -> pa.Array:
    """Booleans as 0 and 1, dates as days, timestamps as microseconds, text as what it says."""
    t, kind = pa.types, values.type
    if t.is_boolean(kind):
        return values.cast(pa.int8())
    if t.is_date(kind):
        return values.cast(pa.date32()).cast(pa.int32())
    if t.is_timestamp(kind):
        return values.cast(pa.timestamp("us", kind.tz)).cast(pa.int64())
    if single:
        values = pc.cast(values, pa.float32(), safe=False)
    return pc.cast(values, pa.float64(), safe=False)


def _largest(values: pa.Array) -> pa.Array:
    """Of each list the place of its largest number."""
    lists = values.drop_null()
    lengths = pc.list_value_length(lists)
    if not len(lists) or len(pc.unique(lengths)) != 1 or not lengths[0].as_py():
        return pa.nulls(len(values), pa.int64())
    flat = lists.flatten().to_numpy(zero_copy_only=False).reshape(len(lists), -1)
    found = pa.array(np.argmax(np.nan_to_num(flat, nan=-np.inf), 1).astype("int64"))
    return pa.concat_arrays([found, pa.nulls(len(values) - len(lists), pa.int64())])


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
