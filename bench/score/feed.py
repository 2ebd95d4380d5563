"""Columns to tensors as somebody writes it by hand who knows how; and scores back to columns."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from bench.score.kinds import Input, Kind, second

Tensors = dict[str, Any]
DAY = dt.date(2026, 11, 20)
ABOUT = {"model_name": "bench", "model_version": "1", "model_digest": "0" * 64, "run_id": "r" * 32}
SCORED_AT = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)


def from_arrow(batch: pa.RecordBatch, inputs: Sequence[Input]) -> Tensors:
    """The tensors of a batch, without an object a row but for text."""
    tensors = {}
    for one in inputs:
        if len(one.columns) > 1:
            whole = np.empty((batch.num_rows, *one.shape), one.dtype)
            for place, name in enumerate(one.columns):
                whole[:, place] = batch.column(name).to_numpy()
            tensors[one.name] = whole
            continue
        array = batch.column(one.columns[0])
        if one.dtype == "string":
            array = array.cast(pa.binary()).fill_null((one.null or "").encode())
            values = array.to_numpy(zero_copy_only=False)
        elif pa.types.is_binary(array.type):
            _, offsets, data = array.buffers()
            ends = np.frombuffer(offsets, "int32")[array.offset : array.offset + len(array) + 1]
            values = np.frombuffer(data, one.dtype)[ends[0] : ends[-1]]
        elif pa.types.is_list(array.type):
            values = array.flatten().to_numpy()
        else:
            values = array.to_numpy(zero_copy_only=False)
        tensors[one.name] = _shaped(values, one, batch.num_rows)
    return tensors


def from_numpy(arrays: Sequence[np.ndarray], inputs: Sequence[Input]) -> Tensors:
    """The tensors of what Spark's predict_batch_udf hands over, an array an input."""
    tensors = {}
    for one, values in zip(inputs, arrays, strict=True):
        rows = len(values)
        if values.dtype == object and one.dtype != "string":
            values = np.frombuffer(b"".join(values), one.dtype)
        tensors[one.name] = _shaped(values, one, rows)
    return tensors


def from_pandas(frame: Any, inputs: Sequence[Input]) -> Tensors:
    """The tensors of a data frame with the columns by name."""
    arrays = []
    for one in inputs:
        if len(one.columns) > 1:
            arrays.append(frame[list(one.columns)].to_numpy())
            continue
        values = frame[one.columns[0]].to_numpy()
        lists = values.dtype == object and isinstance(values[0], np.ndarray)
        arrays.append(np.concatenate(values).reshape(len(values), -1) if lists else values)
    return from_numpy(arrays, inputs)


def _shaped(values: np.ndarray, one: Input, rows: int) -> np.ndarray:
    dtype = object if one.dtype == "string" else one.dtype
    return np.asarray(values, dtype).reshape(rows, *(one.shape or (1,)))


def opened(folder: str) -> Callable[[Tensors], np.ndarray]:
    """The model as a function of tensors, with one thread: [rows] or [rows, values] scores."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        pass  # another way of this process has set them before
    model = tf.saved_model.load(folder)
    function = model.signatures["serving_default"]

    def score(tensors: Tensors, held: Any = model) -> np.ndarray:  # its variables live with it
        fed = {name: tf.constant(values) for name, values in tensors.items()}
        scores: np.ndarray = function(**fed)["score"].numpy()
        return scores[:, 0] if scores.shape[1] == 1 else scores

    return score


class Bare:
    """A model over Arrow batches: what a process without Spark does, here and in Ray."""

    def __init__(self, folder: str, kind: Kind) -> None:
        self._score, self._kind = opened(folder), kind
        if kind.joined:
            columns = second(kind)
            self._second = {name: pa.array(columns[name]) for name in kind.joined}
        self.columns = [
            *["id"],
            *(["key"] if kind.joined else []),
            *(name for name in kind.columns if name not in kind.joined),
        ]
        self.schema = pa.schema(
            [
                pa.field("id", pa.int64()),
                pa.field("score", pa.list_(pa.float32()) if kind.values else pa.float32()),
                *(pa.field(name, pa.dictionary(pa.int32(), pa.string())) for name in ABOUT),
                pa.field("scored_at", pa.timestamp("us", "UTC")),
            ]
        )

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        rows = batch.num_rows
        if self._kind.joined:
            key = batch.column("key")
            arrays = [*batch.columns, *(values.take(key) for values in self._second.values())]
            names = [*batch.schema.names, *self._second]
            batch = pa.RecordBatch.from_arrays(arrays, names=names)
        scores: Any = self._score(from_arrow(batch, self._kind.inputs))
        if self._kind.values:
            offsets = pa.array(np.arange(rows + 1, dtype="int32") * self._kind.values)
            scores = pa.ListArray.from_arrays(offsets, pa.array(scores.reshape(-1)))
        same = pa.array(np.zeros(rows, "int32"))
        about = [pa.DictionaryArray.from_arrays(same, pa.array([text])) for text in ABOUT.values()]
        at = pa.repeat(pa.scalar(SCORED_AT, pa.timestamp("us", "UTC")), rows)
        arrays = [batch.column("id"), pa.array(scores), *about, at]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)
