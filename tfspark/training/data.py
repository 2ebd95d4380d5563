"""A split of a dataset as tensors: the model's inputs, the label and the weights of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfspark import storage
from tfspark.contracts import Contract, TensorSpec
from tfspark.dataset import Dataset
from tfspark.errors import ConfigError, IntegrityError, TrainingError
from tfspark.recipe import Model, Training
from tfspark.tensors import Array, BadRows, batch_to_tensors, to_numpy

LEAST_ROWS = 10


@dataclass(frozen=True)
class Split:
    """Rows in memory.

    Attributes:
        inputs: raw column → [rows, ...].
        label: float32 [rows, units]: 0/1, one-hot, or the number.
        weight: float32 [rows], how much a row counts; None: all the same.
    """

    inputs: dict[str, Array]
    label: Array
    weight: Array | None = None

    @property
    def rows(self) -> int:
        return len(self.label)

    def take(self, rows: slice) -> dict[str, Array]:
        """The inputs of some rows."""
        return {name: values[rows] for name, values in self.inputs.items()}


@dataclass(frozen=True)
class Label:
    """The label column, and its classes in the order of the model's output (None: a number)."""

    column: str
    classes: list[Any] | None

    @property
    def units(self) -> int:
        return len(self.classes) if self.classes and len(self.classes) > 2 else 1

    def encode(self, column: pa.ChunkedArray, place: str) -> Array:
        """float32 [rows, units].

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
        index = pc.index_in(column, value_set=pa.array(self.classes, column.type))
        if index.null_count:
            odd = pc.unique(column.filter(pc.is_null(index))).to_pylist()[:5]
            raise TrainingError(
                f"{place}: {self.column} has values that are no class of the training split: "
                f"{odd}; list all classes in the contract's validValues"
            )
        ids: Array = index.to_numpy()
        if self.units > 1:
            ids = np.eye(self.units)[ids]
        return ids.reshape(len(ids), self.units).astype("float32")


def read_data(
    dataset: Dataset, model: Model, training: Training, specs: Mapping[str, TensorSpec]
) -> tuple[dict[str, Split], Label]:
    """Every split of a dataset (in memory, for now), and what its label is.

    Raises:
        ConfigError: the contract has no label, or the settings do not fit it.
        TrainingError: too few rows, one class only, rows without a label.
        IntegrityError: a split has another number of rows than the manifest says.
    """
    contract = dataset.contract
    if contract.label is None:
        raise ConfigError(
            f"contract {contract.name}: no column has `role: label`, so there is nothing to learn"
        )
    weight = next((c.name for c in contract.columns if c.role == "weight"), None)
    columns = [*specs, contract.label, *([weight] if weight else [])]
    if dataset.rows("train") < LEAST_ROWS:
        raise TrainingError(
            f"dataset {dataset.path}: {dataset.rows('train')} rows to train on, at least "
            f"{LEAST_ROWS} are needed; prepare more rows, or smaller shares for validation and test"
        )
    tables = {"train": _read(dataset, "train", columns)}
    for name in ("validation", "test"):
        tables[name] = _read(dataset, name, columns, tables["train"].schema)
    label = _label(tables["train"].column(contract.label), contract, model, dataset.path)
    splits = {}
    for name, table in tables.items():
        place = f"dataset {dataset.path}: {name}"
        inputs = _tensors(table, specs, place)
        given = _weights(table.column(weight), place) if weight else None
        splits[name] = Split(inputs, label.encode(table.column(label.column), place), given)
    scales = _class_weights(splits["train"].label, label, model, training)
    if scales is not None:
        base = splits["train"]
        by_row = scales[_class_ids(base.label)]
        both = by_row if base.weight is None else base.weight * by_row
        splits["train"] = Split(base.inputs, base.label, both.astype("float32"))
    return splits, label


def batches(split: Split, size: int) -> Iterator[dict[str, Array]]:
    """The inputs of a split, so many rows at a time, in their order."""
    for start in range(0, split.rows, size):
        yield split.take(slice(start, start + size))


def _read(
    dataset: Dataset, split: str, columns: list[str], schema: pa.Schema | None = None
) -> pa.Table:
    """The columns of all files of a split; `schema` is that of a split without files."""
    parts = []
    for path in dataset.files(split):
        fs, inner = storage.filesystem(path)
        with fs.open_input_file(inner) as file:
            parts.append(pq.ParquetFile(file).read(columns=columns))
    if not parts and schema is not None:
        parts = [schema.empty_table()]
    table = pa.concat_tables(parts).select(columns)
    if table.num_rows != dataset.rows(split):
        raise IntegrityError(
            f"dataset {dataset.path}: {split} holds {table.num_rows} rows, its manifest says "
            f"{dataset.rows(split)}; prepare it again"
        )
    return table


def _tensors(table: pa.Table, specs: Mapping[str, TensorSpec], place: str) -> dict[str, Array]:
    try:
        return batch_to_tensors(table, dict(specs))
    except (BadRows, TypeError) as error:
        raise TrainingError(
            f"{place}: {error}; change the column's type, `required` or `tensor` in the contract "
            "and prepare again"
        ) from None


def _label(column: pa.ChunkedArray, contract: Contract, model: Model, place: str) -> Label:
    name = str(contract.label)
    if model.task == "regression":
        return Label(name, None)
    there = sorted(pc.unique(column.drop_null()).to_pylist())
    listed = contract.column(name).valid_values
    classes = sorted(listed) if listed else there
    for value in classes:
        if value not in there:
            raise TrainingError(
                f"dataset {place}: no row to train on has {name} {value!r} (there are: {there}); "
                "prepare rows of every class"
            )
    if len(classes) < 2:
        raise TrainingError(
            f"dataset {place}: every row to train on has {name} {there}; a model needs rows of at "
            "least two classes"
        )
    if model.task == "binary" and len(classes) > 2:
        raise ConfigError(
            f"model.task is binary, but {name} has {len(classes)} classes; use multiclass or "
            "regression"
        )
    return Label(name, classes)


def _weights(column: pa.ChunkedArray, place: str) -> Array:
    try:
        weight = to_numpy(column, TensorSpec("float32"))
    except (BadRows, TypeError) as error:
        raise TrainingError(f"{place}: the weight of rows: {error}") from None
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise TrainingError(f"{place}: the weight of rows must be 0 or more; correct the column")
    return weight


def _class_ids(label: Array) -> Array:
    ids = label[:, 0] if label.shape[1] == 1 else label.argmax(1)
    return ids.astype("int64")


def _class_weights(encoded: Array, label: Label, model: Model, training: Training) -> Array | None:
    """The weight of each class; "balanced" gives every class the same sum of weights."""
    wanted = training.class_weights
    if wanted is None:
        return None
    if label.classes is None:
        raise ConfigError("training.class_weights: a regression has no classes; leave it out")
    counts = np.bincount(_class_ids(encoded), minlength=len(label.classes))
    if wanted == "balanced":
        balanced: Array = counts.sum() / (len(counts) * counts)
        return balanced
    names = [str(value) for value in label.classes]
    if set(wanted) != set(names):
        raise ConfigError(
            f"training.class_weights: names {sorted(wanted)}, the classes are {names}; give each"
        )
    return np.array([wanted[name] for name in names])
