"""Rows as tensors: the model's inputs, the label, and the weights of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tfspark.config.recipe import Model, Training
from tfspark.dataset import SPLITS, Dataset
from tfspark.errors import ConfigError, TrainingError
from tfspark.tensors import (
    NO_NULL,
    Array,
    BadRows,
    TensorSpec,
    batch_to_tensors,
    misfit,
    numpy_dtype,
    to_numpy,
)
from tfspark.training.readers.label import Label, class_weights, count_labels, label_of
from tfspark.training.readers.layout import aligned
from tfspark.training.readers.open import open_source
from tfspark.training.readers.source import arrow_schema, read_whole
from tfspark.training.readers.strings import to_tf_strings

LEAST_ROWS = 10


@dataclass(frozen=True)
class Encoder:
    """How rows become what a model is trained on.

    Attributes:
        specs: raw column → tensor, the model's inputs.
        weight: the column that weighs rows.
        scales: the weight of each class, which counts in the training split; None: all the same.
        counts: rows of each class in the training split; None for a number.
        schema: the columns to read, in the contract's Arrow types.
    """

    specs: dict[str, TensorSpec]
    label: Label
    weight: str | None
    scales: Array | None
    counts: Array | None
    schema: pa.Schema

    def weighs(self, train: bool) -> bool:
        """Whether rows of the training split (or of another) have a weight."""
        return self.weight is not None or (train and self.scales is not None)

    def encode(
        self, table: pa.Table, place: str, train: bool = False, rows: Array | None = None
    ) -> Iterator[Any]:
        """The inputs in the order of their names, the label, and the weight if there is one.

        Each is an array or a tensor [rows, ...], made when it is asked for; `element_spec` has
        their shapes.

        Args:
            table: the columns of `schema`.
            place: the table's place, used in messages.
            train: whether class weights count.
            rows: take these, in this order; None: all.

        Raises:
            TrainingError: rows that cannot become tensors.
        """
        try:
            for name, spec in sorted(self.specs.items()):
                yield _column(table, name, spec, rows)
        except (BadRows, TypeError) as error:
            raise TrainingError(
                f"{place}: {error}; change the column's type, `required` or `tensor` in the "
                "contract and prepare again"
            ) from None
        label = _take(self.label.encode(table.column(self.label.column), place), rows)
        yield label
        if not self.weighs(train):
            return
        weight = np.ones(len(label), "float32")
        if self.weight is not None:
            weight = _take(weights_of(table.column(self.weight), place), rows)
        if train and self.scales is not None:
            ids = label[:, 0].astype("int64") if label.shape[1] == 1 else label.argmax(1)
            weight = (weight * self.scales[ids]).astype("float32")
        yield weight

    def class_ids(self, table: pa.Table, place: str) -> Array:
        """The class of each row: int [rows]."""
        return self.label.ids(table.column(self.label.column), place)

    def element_spec(self, weighted: bool) -> Any:
        """tf.TensorSpecs of (inputs, label) or (inputs, label, weight)."""
        import tensorflow as tf

        inputs = {
            name: tf.TensorSpec([None, *spec.shape], spec.dtype)
            for name, spec in sorted(self.specs.items())
        }
        label = tf.TensorSpec([None, self.label.units], "float32")
        return (inputs, label, tf.TensorSpec([None], "float32")) if weighted else (inputs, label)


def encoder_of(
    dataset: Dataset, model: Model, training: Training, specs: Mapping[str, TensorSpec]
) -> Encoder:
    """What a dataset's rows become for a model that takes the columns of `specs`.

    The label of every split is checked, from the manifest where its counts are whole, else by
    reading that column.

    Raises:
        ConfigError: the contract has no label, or the settings do not fit it.
        TrainingError: too few rows, one class only, rows without a label or of an unknown class.
        IntegrityError: a split has another number of rows than the manifest says.
    """
    contract = dataset.contract
    if contract.label is None:
        raise ConfigError(
            f"contract {contract.name}: no column has `role: label`, so there is nothing to learn"
        )
    if dataset.rows("train") < LEAST_ROWS:
        raise TrainingError(
            f"dataset {dataset.path}: {dataset.rows('train')} rows to train on, at least "
            f"{LEAST_ROWS} are needed; prepare more rows, or smaller shares for validation and test"
        )
    weight = contract.weight
    columns = [*specs, contract.label, *([weight] if weight else [])]
    schema = arrow_schema(contract, list(dict.fromkeys(columns)))
    for name, spec in specs.items():
        if reason := misfit(schema.field(name).type, spec):
            raise ConfigError(f"contract {contract.name}: {name}: {reason}")
    numbers = model.task in ("regression", "multilabel")
    splits = {name: count_labels(dataset, name, schema, numbers) for name in SPLITS}
    label, counts = label_of(splits["train"], dataset, model)
    for name, counted in splits.items():
        place = f"dataset {dataset.path}: {name}"
        if nulls := counted.pop(None, 0):
            raise TrainingError(
                f"{place}: {nulls} of {dataset.rows(name)} rows have no {label.column}; make the "
                "label `required: true` in the contract, so that prepare takes them out"
            )
        if label.classes is not None:
            label.ids(pa.chunked_array([list(counted)], schema.field(label.column).type), place)
    scales = class_weights(counts, label, training)
    return Encoder(dict(specs), label, weight, scales, counts, schema)


def head(dataset: Dataset, encoder: Encoder, rows: int) -> dict[str, Array]:
    """The inputs of the first rows of the training split, strings as objects of bytes.

    Raises:
        TrainingError: rows that cannot become tensors.
    """
    source = open_source(dataset, "train")
    tables: list[pa.Table] = []
    for block in source.blocks:
        if sum(table.num_rows for table in tables) >= rows:
            break
        tables.append(read_whole(source, block, encoder.schema))
    source.close()
    place = f"dataset {dataset.path}: train"
    try:
        return batch_to_tensors(pa.concat_tables(tables).slice(0, rows), encoder.specs)
    except (BadRows, TypeError) as error:
        raise TrainingError(f"{place}: {error}") from None


def _column(table: pa.Table, name: str, spec: TensorSpec, rows: Array | None) -> Any:
    column = table.column(name)
    try:
        if spec.dtype == "string" and not pa.types.is_list(column.type):
            return _strings(column, spec, rows)
        return _take(_joined(column, spec), rows)
    except BadRows as bad:
        raise BadRows(bad.rows, f"{name}: {bad.reason}") from None
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None


def _strings(column: pa.ChunkedArray, spec: TensorSpec, rows: Array | None) -> Any:
    import tensorflow as tf

    if reason := misfit(column.type, spec):
        raise TypeError(reason)
    if column.null_count and spec.null != "":
        if spec.null is None:
            bad = np.flatnonzero(column.is_null().to_numpy()).tolist()
            raise BadRows(bad, NO_NULL)
        column = column.fill_null(pa.scalar(str(spec.null)).cast(column.type))
    tensor = to_tf_strings(column, rows)
    return tf.reshape(tensor, [-1, *spec.shape]) if spec.shape else tensor


def _joined(column: pa.ChunkedArray, spec: TensorSpec) -> Array:
    """`to_numpy`; plain numbers of several blocks go to memory that is used again."""
    kind = column.type
    plain = pa.types.is_floating(kind) or pa.types.is_integer(kind)
    if not plain or column.null_count or spec.shape or column.num_chunks < 2:
        return to_numpy(column, spec)
    if kind.to_pandas_dtype() != numpy_dtype(spec.dtype):
        return to_numpy(column, spec)
    values = aligned((len(column),), spec.dtype)
    return np.concatenate([chunk.to_numpy() for chunk in column.chunks], out=values)


def _take(values: Array, rows: Array | None) -> Array:
    if rows is None or values.dtype == object:
        return values if rows is None else values[rows]
    taken = aligned((len(rows), *values.shape[1:]), values.dtype)
    # "clip" checks nothing: every row is in range.
    return np.take(values, rows, axis=0, out=taken, mode="clip")


def weights_of(column: pa.ChunkedArray, place: str) -> Array:
    """How much each row counts, float32 [rows].

    Raises:
        TrainingError: there is one that is no number, or below 0.
    """
    try:
        weight = to_numpy(column, TensorSpec("float32"))
    except (BadRows, TypeError) as error:
        raise TrainingError(f"{place}: the weight of rows: {error}") from None
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise TrainingError(f"{place}: the weight of rows must be 0 or more; correct the column")
    return weight
