"""The label of rows: its classes, counted and encoded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.config.recipe import Model, Training
from tfspark.dataset import Dataset
from tfspark.errors import ConfigError, TrainingError
from tfspark.tensors import Array, BadRows, TensorSpec, to_numpy
from tfspark.training.readers.open import open_source
from tfspark.training.readers.source import read_whole

_COARSE = 1e-3  # the most that a step of float32 may be of the label's spread
_MOST_COUNTS = 1000  # the manifest keeps so many of a label's values


@dataclass(frozen=True)
class Label:
    """The label column, and its classes in the order of the model's output.

    Attributes:
        classes: None of a number, and of several labels.
        several: how many labels a row has at once; 0: one.
        mean, std: of a number in the training split, transformed as it is learned.
    """

    column: str
    classes: list[Any] | None
    mean: float = 0.0
    std: float = 1.0
    several: int = 0

    @property
    def units(self) -> int:
        if self.several:
            return self.several
        return len(self.classes) if self.classes and len(self.classes) > 2 else 1

    def encode(self, column: pa.ChunkedArray, place: str) -> Array:
        """float32 [rows, units]: 0/1, one-hot, several of 0/1, or the number.

        Raises:
            TrainingError: rows without a label, or with one that no class is for.
        """
        if column.null_count:
            raise TrainingError(
                f"{place}: {column.null_count} of {len(column)} rows have no {self.column}; make "
                "the label `required: true` in the contract, so that prepare takes them out"
            )
        if self.several:
            return self._flags(column, place)
        if self.classes is None:
            return to_numpy(column, TensorSpec("float32")).reshape(-1, 1)
        ids = self.ids(column, place)
        if self.units > 1:
            return np.eye(self.units, dtype="float32")[ids]
        return ids.reshape(-1, 1).astype("float32")

    def _flags(self, column: pa.ChunkedArray, place: str) -> Array:
        try:
            flags = to_numpy(column, TensorSpec("float32", (self.several,)))
        except BadRows as bad:
            raise TrainingError(
                f"{place}: {self.column}: {bad.reason} (row {bad.rows[0]}); the label of several "
                f"labels is a list of {self.several} times 0 or 1"
            ) from None
        odd = np.flatnonzero(((flags != 0) & (flags != 1)).any(1))
        if len(odd):
            raise TrainingError(
                f"{place}: {self.column} is {flags[odd[0]].tolist()} in row {odd[0]}; each label "
                "of task multilabel is 0 or 1 (false or true)"
            )
        return flags

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


def count_labels(dataset: Dataset, split: str, schema: pa.Schema, numbers: bool) -> dict[Any, int]:
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


def label_of(counted: dict[Any, int], dataset: Dataset, model: Model) -> tuple[Label, Array | None]:
    """The label, and the rows of each of its classes."""
    name = str(dataset.contract.label)
    shape = dataset.contract.column(name).tensor_spec().shape
    if model.task == "multilabel":
        if len(shape) != 1 or not shape[0]:
            raise ConfigError(
                f"model.task is multilabel, and {name} is no list of a known length; say it in the "
                "contract: physicalType: array<boolean>, tensor: {shape: [3]} for three labels"
            )
        return Label(name, None, several=shape[0]), None
    if shape:
        raise ConfigError(f"{name} is a list, a label for model.task: multilabel, not {model.task}")
    if model.task == "regression":
        if model.target_transform == "log1p":
            return Label(name, None, *_spread_of_logs(dataset, name)), None
        return Label(name, None, *_spread(dataset, name)), None
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


def _spread(dataset: Dataset, name: str) -> tuple[float, float]:
    """Mean and standard deviation of a number; (0, 1) where there is no spread.

    Raises:
        TrainingError: its values lie closer together than float32, the type of a prediction,
            tells apart.
    """
    known = dataset.statistics.get(name, {})
    mean, std = (float(known.get(key) or 0.0) for key in ("mean", "std"))
    if not (math.isfinite(mean) and math.isfinite(std) and std > 0):
        return 0.0, 1.0
    largest = max(abs(float(known.get(key) or 0.0)) for key in ("min", "max"))
    step = float(np.spacing(np.float32(largest)))
    if step > _COARSE * std:
        raise TrainingError(
            f"dataset {dataset.path}: {name} has values up to {largest:.6g} that differ by about "
            f"{std:.3g}, and a model's numbers (float32) come in steps of {step:.3g} there; take "
            "a constant away from the label, in a column of its own"
        )
    return mean, std


def _spread_of_logs(dataset: Dataset, name: str) -> tuple[float, float]:
    """Mean and standard deviation of log(1 + x); (0, 1) where there is no spread.

    Raises:
        ConfigError: a value is negative.
    """
    known = dataset.statistics.get(name, {})
    if known.get("log1p_mean") is None:
        raise ConfigError(
            f"model.target_transform: {name} has values below 0 in the training split (or none at "
            "all), and log1p needs 0 or more; leave it out"
        )
    mean, std = float(known["log1p_mean"]), float(known["log1p_std"])
    return (mean, std) if std > 0 else (0.0, 1.0)


def class_weights(counts: Array | None, label: Label, training: Training) -> Array | None:
    """The weight of each class; "balanced" gives every class the same sum of weights."""
    wanted = training.class_weights
    if wanted is None:
        return None
    if label.classes is None or counts is None:
        raise ConfigError(
            "training.class_weights: rows of this task have no class of their own; leave it out"
        )
    if wanted == "balanced":
        balanced: Array = counts.sum() / (len(counts) * counts)
        return balanced
    names = [str(value) for value in label.classes]
    if set(wanted) != set(names):
        raise ConfigError(
            f"training.class_weights: names {sorted(wanted)}, the classes are {names}; give each"
        )
    return np.array([wanted[name] for name in names])
