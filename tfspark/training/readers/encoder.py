"""Rows as tensors: the model's inputs, the label, and the weights of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
from tfspark.training.readers.layout import aligned
from tfspark.training.readers.open import open_source
from tfspark.training.readers.source import arrow_schema, read_whole
from tfspark.training.readers.strings import to_tf_strings

LEAST_ROWS = 10
_MOST_COUNTS = 1000  # the manifest keeps so many of a label's values


@dataclass(frozen=True)
class Label:
    """The label column, and its classes in the order of the model's output (None: a number)."""

    column: str
    classes: list[Any] | None

    @property
    def units(self) -> int:
        return len(self.classes) if self.classes and len(self.classes) > 2 else 1

    def encode(self, column: pa.ChunkedArray, place: str) -> Array:
        """float32 [rows, units]: 0/1, one-hot, or the number.

        Raises:
            TrainingError: rows without a label, or with one that no class is for.
        """
        if column.null_count:
            raise TrainingError(
                f"{place}: {column.null_count} of {len(column)} rows have no {self.column}; make "
                "the label `required: true` in the contract, so that prepare takes them out"
            )
        if self.classes is None:
            return to_numpy(column, TensorSpec("float32")).reshape(-1, 1)
        ids = self.ids(column, place)
        if self.units > 1:
            return np.eye(self.units, dtype="float32")[ids]
        return ids.reshape(-1, 1).astype("float32")

    def ids(self, column: pa.ChunkedArray, place: str) -> Array:
        """Which class each row is of: int [rows]."""
        if self.classes == list(range(len(self.classes or []))) and pa.types.is_integer(
            column.type
        ):
            values: Array = column.to_numpy()
            if len(values) and values.min() >= 0 and values.max() < len(self.classes):
                return values
        index = pc.index_in(column, value_set=pa.array(self.classes, column.type))
        if index.null_count:
            odd = pc.unique(column.filter(pc.is_null(index))).to_pylist()[:5]
            raise TrainingError(
                f"{place}: {self.column} has values that are no class of the training split: "
                f"{odd}; list all classes in the contract's validValues"
            )
        ids: Array = index.to_numpy()
        return ids


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
            weight = _take(_weights(table.column(self.weight), place), rows)
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
    weight = next((c.name for c in contract.columns if c.role == "weight"), None)
    columns = [*specs, contract.label, *([weight] if weight else [])]
    schema = arrow_schema(contract, list(dict.fromkeys(columns)))
    for name, spec in specs.items():
        if reason := misfit(schema.field(name).type, spec):
            raise ConfigError(f"contract {contract.name}: {name}: {reason}")
    numbers = model.task == "regression"
    splits = {name: _count_labels(dataset, name, schema, numbers) for name in SPLITS}
    label, counts = _label(splits["train"], dataset, model)
    for name, counted in splits.items():
        place = f"dataset {dataset.path}: {name}"
        if nulls := counted.pop(None, 0):
            raise TrainingError(
                f"{place}: {nulls} of {dataset.rows(name)} rows have no {label.column}; make the "
                "label `required: true` in the contract, so that prepare takes them out"
            )
        if label.classes is not None:
            label.ids(pa.chunked_array([list(counted)], schema.field(label.column).type), place)
    scales = _class_weights(counts, label, training)
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


def _count_labels(dataset: Dataset, split: str, schema: pa.Schema, numbers: bool) -> dict[Any, int]:
    """Rows of a split by the value of the label, None for those without; of numbers only these."""
    name = str(dataset.contract.label)
    kind = schema.field(name).type
    told: dict[str, int] = (dataset.manifest.get("label_counts") or {}).get(split, {})
    nulls = dataset.manifest.get("nulls", {}).get(split, {}).get(name)
    if numbers and nulls is not None:
        return {None: nulls}
    t = pa.types
    exact = t.is_integer(kind) or t.is_boolean(kind) or t.is_string(kind)
    whole = len(told) < _MOST_COUNTS and sum(told.values()) == dataset.rows(split)
    if exact and whole and nulls == 0:
        values = pa.array(told, pa.string()).cast(kind).to_pylist()
        return dict(zip(values, told.values(), strict=True))
    source, counted = open_source(dataset, split), dict[Any, int]()
    for block in source.blocks:
        column = read_whole(source, block, pa.schema([schema.field(name)])).column(0)
        if numbers:
            column = column.filter(column.is_null())
        for entry in pc.value_counts(column).to_pylist():
            counted[entry["values"]] = counted.get(entry["values"], 0) + entry["counts"]
    source.close()
    return counted


def _label(counted: dict[Any, int], dataset: Dataset, model: Model) -> tuple[Label, Array | None]:
    """The label, and the rows of each of its classes."""
    name = str(dataset.contract.label)
    if model.task == "regression":
        return Label(name, None), None
    there = sorted(value for value in counted if value is not None)
    listed = dataset.contract.column(name).valid_values
    classes = sorted(listed) if listed else there
    for value in classes:
        if value not in there:
            raise TrainingError(
                f"dataset {dataset.path}: no row to train on has {name} {value!r} (there are: "
                f"{there}); prepare rows of every class"
            )
    if len(classes) < 2:
        raise TrainingError(
            f"dataset {dataset.path}: every row to train on has {name} {there}; a model needs rows "
            "of at least two classes"
        )
    if model.task == "binary" and len(classes) > 2:
        raise ConfigError(
            f"model.task is binary, but {name} has {len(classes)} classes; use multiclass or "
            "regression"
        )
    return Label(name, classes), np.array([counted[value] for value in classes])


def _weights(column: pa.ChunkedArray, place: str) -> Array:
    try:
        weight = to_numpy(column, TensorSpec("float32"))
    except (BadRows, TypeError) as error:
        raise TrainingError(f"{place}: the weight of rows: {error}") from None
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise TrainingError(f"{place}: the weight of rows must be 0 or more; correct the column")
    return weight


def _class_weights(counts: Array | None, label: Label, training: Training) -> Array | None:
    """The weight of each class; "balanced" gives every class the same sum of weights."""
    wanted = training.class_weights
    if wanted is None:
        return None
    if label.classes is None or counts is None:
        raise ConfigError("training.class_weights: a regression has no classes; leave it out")
    if wanted == "balanced":
        balanced: Array = counts.sum() / (len(counts) * counts)
        return balanced
    names = [str(value) for value in label.classes]
    if set(wanted) != set(names):
        raise ConfigError(
            f"training.class_weights: names {sorted(wanted)}, the classes are {names}; give each"
        )
    return np.array([wanted[name] for name in names])
