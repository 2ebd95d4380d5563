"""Columns of one batch to columns of predictions; a row that fails does not fail the others."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.errors import ModelFailed, TfsparkError
from tfspark.registry.signature import Signature
from tfspark.scoring.model.pack import Packed
from tfspark.scoring.worker import gpus
from tfspark.scoring.worker.batchsize import Tuner
from tfspark.scoring.worker.deadline import Deadline
from tfspark.scoring.worker.limits import limit_memory
from tfspark.scoring.worker.opened import OpenModel, open_model, telling
from tfspark.tensors import (
    Array,
    BadRows,
    RaggedRows,
    arrow_type,
    numpy_dtype,
    to_arrow,
    to_numpy,
)
from tfspark.tensors.spec import TensorSpec

_limit_once = functools.cache(limit_memory)
_HOPELESS = 1000
"""Rows that fail one by one, before any succeeds, until the model and not the rows is blamed."""


@dataclass(frozen=True)
class Feed:
    """How columns become one input: one column, or several side by side as one tensor.

    Attributes:
        columns: how many; 0 for a constant, whose value for a row is `value`.
        whole: whether a constant is one value for the whole batch.
        about: what a message on a column begins with, see `Binding.about`.
    """

    name: str
    spec: TensorSpec
    columns: int = 1
    stacked: bool = False
    about: tuple[str, ...] = ()
    value: Any = None
    whole: bool = False

    def constant(self, rows: int) -> Array:
        """The tensor of a constant, for so many rows."""
        value = np.array(self.value, numpy_dtype(self.spec.dtype))
        return value if self.whole else np.repeat(value[np.newaxis], rows, axis=0)

    def tensor(self, arrays: Sequence[pa.Array]) -> Array:
        """[rows, *shape] of this input's columns.

        Raises:
            BadRows: rows that cannot become the tensor; the reason names the input.
        """
        place = 0
        try:
            if not self.stacked:
                return to_numpy(arrays[0], self.spec)
            one = self.spec.of_one()
            first = to_numpy(arrays[0], one)
            whole = np.empty((len(first), self.columns), first.dtype)
            whole[:, 0] = first
            for place, array in enumerate(arrays[1:], 1):
                whole[:, place] = to_numpy(array, one)
            known = [-1 if size is None else size for size in self.spec.shape[1:]]
            return whole.reshape(len(whole), -1, *known) if known else whole
        except RaggedRows:
            raise
        except BadRows as bad:
            about = self.about[place] if self.about else f"{self.name}: "
            raise BadRows(bad.rows, about + bad.reason) from None


@dataclass(frozen=True)
class LocalScorer:
    """A model and how columns become its inputs.

    Attributes:
        packed: the model.
        signature: its inputs and outputs.
        feeds: its inputs, in the order in which their columns come.
        threads: TensorFlow's threads.
        batch_bytes: how large the tensors of one call may be together.
        batch_rows: rows of one call; None: the fastest number within `batch_bytes`.
        deadline: seconds that a call into the model may take.
        wall: what keeps the model from files and network, see `wall.py`: `auto`, `always`, `never`.
        memory: bytes that the process may take for models; 0: what Java's heap leaves.
        heap: bytes of Java's heap; 0: there is none.
    """

    packed: Packed
    signature: Signature
    feeds: tuple[Feed, ...]
    threads: int = 1
    batch_bytes: int = 32 << 20
    batch_rows: int | None = None
    deadline: float = 600.0
    wall: str = "auto"
    memory: int = 0
    heap: int = 0

    def here(self, columns: Sequence[pa.Array]) -> tuple[list[pa.Array], pa.Array]:
        """Score one batch in this process.

        Returns:
            One array per output, null where the row failed; and an array with the reason of every
            row that failed, null where it did not.

        Raises:
            SignatureError: the model does not give a row for a row.
            ModelFailed: for every row.
        """
        if gpus.task() is not None:
            _limit_once(self.memory, self.heap)
        about = (self.packed, self.signature.own(), self.threads)
        model = open_model(*about, walled=self.wall, deadline=self.deadline)
        if model.deadline is None and gpus.task() is not None:
            model.deadline = Deadline(self.packed.model, self.deadline)
        batch = _Batch(self, model)
        rows = len(columns[0])
        if rows:
            batch.score(columns, np.arange(rows))
        return batch.outputs(rows), batch.reasons(rows)


@dataclass
class _Batch:
    """One batch on its way: what is scored, and which rows failed why."""

    scorer: LocalScorer
    model: OpenModel
    scored: list[tuple[Array, list[pa.Array]]] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    limit: int = 1

    def score(self, columns: Sequence[pa.Array], rows: Array) -> None:
        """Score the rows of these numbers; `columns` hold just them."""
        try:
            tensors = self._tensors(columns)
        except RaggedRows as ragged:
            for group in ragged.groups:
                self.score([c.take(pa.array(group)) for c in columns], rows[group])
            return
        except BadRows as bad:
            self.failed |= {int(row): bad.reason for row in rows[bad.rows]}
            good = np.ones(len(rows), bool)
            good[bad.rows] = False
            if good.any():
                self.score([c.filter(pa.array(good)) for c in columns], rows[good])
            return
        # Of text the tensors hold pointers alone.
        held = sum(t.nbytes for t in tensors.values() if t.dtype != object)
        size = max(1, max(held, sum(column.nbytes for column in columns)) // len(rows))
        start = 0
        while start < len(rows):
            step = self._step(len(rows) - start, size)
            part = {name: tensor[start : start + step] for name, tensor in tensors.items()}
            self._run(part, rows[start : start + step], whole=True)
            start += step

    def _step(self, left: int, row_bytes: int) -> int:
        """The rows of the next call."""
        self.limit = max(1, self.scorer.batch_bytes // row_bytes)
        if self.scorer.batch_rows is not None:
            return self.scorer.batch_rows
        if self.scorer.signature.batch is not None:
            return self.limit
        if self.model.tuner is None:
            self.model.tuner = Tuner(row_bytes)
        return self.model.tuner.step(left, self.limit)

    def _tensors(self, columns: Sequence[pa.Array]) -> dict[str, Array]:
        tensors, at = {}, 0
        for feed in self.scorer.feeds:
            if not feed.columns:
                continue
            tensors[feed.name] = feed.tensor(columns[at : at + feed.columns])
            at += feed.columns
        return tensors

    def _constants(self, rows: int) -> dict[str, Array]:
        return {feed.name: feed.constant(rows) for feed in self.scorer.feeds if not feed.columns}

    def _run(self, tensors: dict[str, Array], rows: Array, whole: bool = False) -> None:
        """Score tensors; cut them until the row that fails stands alone."""
        started = self.model.clock()
        try:
            outputs = self.model(tensors, self._constants)
            asked = self.scorer.signature
            arrays = [
                to_arrow(outputs[asked.renamed.get(name, name)], spec)
                for name, spec in asked.outputs.items()
            ]
        except TfsparkError:
            raise
        except Exception as error:
            if len(rows) > 1:
                # TensorFlow waits 10 s for memory that it does not get: fewer tries, smaller parts.
                parts = 64 if type(error).__name__ == "ResourceExhaustedError" else 2
                step = -(-len(rows) // parts)
                for start in range(0, len(rows), step):
                    part = slice(start, start + step)
                    self._run({name: t[part] for name, t in tensors.items()}, rows[part])
                return
            self.failed[int(rows[0])] = f"the model failed: {telling(error)}"
            self.model.failures += 1
            if self.model.failures >= _HOPELESS and not self.model.successes:
                raise ModelFailed(
                    f"model {self.scorer.packed.model}: failed for each of the first "
                    f"{self.model.failures} rows, so it is not the rows; the last time with: "
                    f"{telling(error)}"
                ) from error
            return
        self.model.successes += 1
        self.scored.append((rows, arrays))
        if whole and self.model.tuner is not None:
            self.model.tuner.record(len(rows), self.model.clock() - started, self.limit)

    def outputs(self, rows: int) -> list[pa.Array]:
        """All outputs in the order of the rows."""
        specs = list(self.scorer.signature.outputs.values())
        if not self.scored:
            return [pa.nulls(rows, arrow_type(spec)) for spec in specs]
        parts = list(zip(*[arrays for _, arrays in self.scored], strict=True))
        whole = [arrays[0] if len(arrays) == 1 else pa.concat_arrays(arrays) for arrays in parts]
        order = np.concatenate([numbers for numbers, _ in self.scored])
        if len(order) == rows and (order[:-1] < order[1:]).all():
            return whole
        place = np.full(rows, -1)
        place[order] = np.arange(len(order))
        index = pa.array(place, mask=place < 0)
        return [pc.take(array, index) for array in whole]

    def reasons(self, rows: int) -> pa.Array:
        if not self.failed:
            return pa.nulls(rows, pa.string())
        return pa.array([self.failed.get(row) for row in range(rows)], pa.string())
