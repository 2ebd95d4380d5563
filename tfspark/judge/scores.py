"""Both models score the same rows, each in a process of its own that it may end or hang."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.contracts import Contract
from tfspark.dataset import Dataset
from tfspark.errors import GateError, ModelFailed, SignatureError
from tfspark.registry.resolve import ModelFolder
from tfspark.scoring.kinds.bound import feeds_of
from tfspark.scoring.local import scorer_of
from tfspark.scoring.model.binding import Binding, Inputs, bind
from tfspark.scoring.worker.guard import Scorer
from tfspark.scoring.worker.parent import Child, Ended
from tfspark.tensors import Array, TensorSpec, to_numpy
from tfspark.training.readers.encoder import weights_of
from tfspark.training.readers.label import Label
from tfspark.training.readers.open import open_source
from tfspark.training.readers.source import arrow_schema, read_whole

_BATCH = 8192
_TIMED_ROWS, _TIMES = 1000, 7


@dataclass(frozen=True)
class Opponent:
    """A model in a comparison.

    Attributes:
        said: what messages call it.
        output: the output that is its prediction.
        inputs: what feeds an input that has no column of its name, see `bind`.
    """

    said: str
    model: ModelFolder
    output: str
    inputs: Inputs = field(default_factory=dict)

    def bound(self, contract: Contract) -> list[Binding]:
        """The columns of a dataset that feed it.

        Raises:
            GateError: there are none that can.
        """
        known = {
            name: by for name, by in self.inputs.items() if name in self.model.signature.inputs
        }
        try:
            return bind(self.model, contract.spark_schema(), known, case_sensitive=True)
        except SignatureError as error:
            raise GateError(f"{self.said}: {error}") from error


@dataclass(frozen=True)
class Scores:
    """What both said of the rows.

    Attributes:
        label: float32 [rows, units], see `Label.encode`.
        scores: of each model float32 [rows, units]; NaN where it failed for the row.
        failed: of each model how many rows it failed for, and why the first.
        slices: column → its value in each row, as text.
        seconds: of each model the median time of one batch.
        weight: float64 [rows], how much each row counts; None: all the same.
    """

    label: Array
    scores: list[Array]
    failed: list[tuple[int, str]]
    slices: dict[str, pa.ChunkedArray]
    seconds: list[float]
    weight: Array | None = None


def score_all(
    dataset: Dataset,
    label: Label,
    models: Sequence[Opponent],
    slices: Sequence[str],
    deadline: float,
    settings: dict[str, Any],
) -> Scores:
    """Score the test split by each of the models.

    Args:
        slices: columns whose values are wanted too.
        deadline: seconds for all of it.
        settings: of the scorers, by the names of their fields.

    Raises:
        GateError: a model cannot be opened, fails for every row, ends its process or takes too
            long; or a column is not in the dataset.
    """
    contract = dataset.contract
    there = {column.name for column in contract.columns}
    if missing := [name for name in (label.column, *slices) if name not in there]:
        raise GateError(f"dataset {dataset.path}: has no column {', '.join(missing)}")
    bound = [one.bound(contract) for one in models]
    names = [name for bindings in bound for binding in bindings for name in binding.columns]
    weighs = next((column.name for column in contract.columns if column.role == "weight"), None)
    beside = [label.column, *slices, *([weighs] if weighs else [])]
    schema = arrow_schema(contract, list(dict.fromkeys([*names, *beside])))
    turns = _Turns(models, bound, deadline, settings)
    source, place = open_source(dataset, "test"), f"dataset {dataset.path}: test"
    labels: list[Array] = []
    weights: list[Array] = []
    values: dict[str, list[Any]] = {name: [] for name in slices}
    try:
        for block in source.blocks:
            table = read_whole(source, block, schema)
            for start in range(0, table.num_rows, _BATCH):
                turns.score(table.slice(start, _BATCH))
            labels.append(label.encode(table.column(label.column), place))
            if weighs:
                weights.append(weights_of(table.column(weighs), place).astype("float64"))
            for name in slices:
                texts = pc.fill_null(pc.cast(table.column(name), pa.string()), "null")
                values[name] += texts.chunks
        seconds = turns.timed()
    finally:
        source.close()
        turns.close()
    empty = np.empty((0, label.units), "float32")
    return Scores(
        np.concatenate([empty, *labels]),
        [np.concatenate([empty, *made]) for made in turns.made],
        turns.failed,
        {name: pa.chunked_array(found, pa.string()) for name, found in values.items()},
        seconds,
        np.concatenate([np.empty(0), *weights]) if weighs else None,
    )


class _Turns:
    """One batch after the other, by all models at once."""

    def __init__(
        self,
        models: Sequence[Opponent],
        bound: Sequence[Sequence[Binding]],
        deadline: float,
        settings: dict[str, Any],
    ) -> None:
        self.models, self.seconds = models, deadline
        self.columns = [[name for one in bindings for name in one.columns] for bindings in bound]
        self.ends = time.monotonic() + deadline
        self.children = [Child() for _ in models]
        self.threads = ThreadPoolExecutor(len(models))
        self.scorers: list[Scorer] = [
            scorer_of(one.model, feeds_of(bindings), **settings)
            for one, bindings in zip(models, bound, strict=True)
        ]
        self.made: list[list[Array]] = [[] for _ in models]
        self.failed = [(0, "") for _ in models]
        self.first: pa.Table | None = None

    def score(self, table: pa.Table) -> None:
        self.first = table.slice(0, _TIMED_ROWS) if self.first is None else self.first
        answers = self.threads.map(lambda at: self._call(at, table), range(len(self.models)))
        for at, (scores, reasons) in enumerate(answers):
            self.made[at].append(scores)
            if bad := len(reasons) - reasons.null_count:
                count, why = self.failed[at]
                self.failed[at] = count + bad, why or str(reasons.drop_null()[0])

    def timed(self) -> list[float]:
        """The median time of one batch: in turns, so that a busy machine is busy for both."""
        if self.first is None:
            return [0.0 for _ in self.models]
        took: list[list[float]] = [[] for _ in self.models]
        for _ in range(_TIMES):
            for at in range(len(self.models)):
                began = time.perf_counter()
                self._call(at, self.first)
                took[at].append(time.perf_counter() - began)
        return [statistics.median(one) for one in took]

    def close(self) -> None:
        """Leave no process."""
        self.threads.shutdown()
        for child in self.children:
            child.close()

    def _call(self, at: int, table: pa.Table) -> tuple[Array, pa.Array]:
        one, left = self.models[at], self.ends - time.monotonic()
        if left <= 0:
            raise GateError(
                f"the comparison was not done within gate.deadline ({self.seconds:g} s)"
            )
        columns = [_whole(table.column(name)) for name in self.columns[at]]
        try:
            outputs, reasons = self.children[at].score(self.scorers[at], columns, left)
        except (Ended, ModelFailed, SignatureError) as error:
            raise GateError(f"{one.said}: {error}") from error
        place = list(one.model.signature.outputs).index(one.output)
        spec = one.model.signature.outputs[one.output]
        return _numbers(outputs[place], spec, reasons, one.said), reasons


def _numbers(array: pa.Array, spec: TensorSpec, reasons: pa.Array, said: str) -> Array:
    """float32 [rows, units] of an output; NaN where the row failed."""
    if "float" not in spec.dtype:
        raise GateError(f"{said}: its output is {spec.dtype}, no number that could be compared")
    good = reasons.is_null()
    found = to_numpy(array.filter(good), spec).astype("float32")
    found = found.reshape(len(found), -1) if len(found) else found
    units = found.shape[1] if len(found) else 1
    made = np.full((len(array), units), np.nan, "float32")
    made[good.to_numpy(zero_copy_only=False)] = found
    return made


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks != 1 else column.chunk(0)
