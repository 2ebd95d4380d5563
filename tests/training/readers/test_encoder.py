"""Rows as tensors: labels, weights, and rows that cannot be trained on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tests.training.small_table import COLUMNS, rows_of, write_dataset
from tfspark.config.recipe import Model, Training
from tfspark.dataset import SPLITS, Dataset, open_dataset
from tfspark.errors import ConfigError, IntegrityError, TrainingError
from tfspark.training.readers import open_reader
from tfspark.training.readers.encoder import Encoder, encoder_of, head
from tfspark.training.readers.label import Label

BINARY, MULTICLASS = Model(), Model(task="multiclass")
REGRESSION = Model(task="regression")


def opened(tmp_path: Path, rows: dict[str, list[Any]], **changed: dict[str, Any]) -> Dataset:
    """A dataset of these rows, with changed columns of its contract."""
    columns = [{**column, **changed.pop(column["name"], {})} for column in COLUMNS]
    columns += [{"name": name, **column} for name, column in changed.items()]
    return open_dataset(str(write_dataset(tmp_path, rows, columns)))


@dataclass
class Split:
    """A split as its reader gives it, in file order."""

    inputs: dict[str, Any]
    label: Any
    weight: Any = None


def encoder(dataset: Dataset, model: Model = BINARY, **training: Any) -> Encoder:
    return encoder_of(dataset, model, Training(**training), dataset.contract.tensor_specs())


def read(
    dataset: Dataset, model: Model = BINARY, **training: Any
) -> tuple[dict[str, Split], Encoder]:
    coder, splits = encoder(dataset, model, **training), {}
    for name in SPLITS:
        reader = open_reader(dataset, name, coder, batch=25)
        parts = [tf.nest.flatten(batch) for batch in reader.once()]
        if parts:
            flat = [np.concatenate([x.numpy() for x in some]) for some in zip(*parts, strict=True)]
            element = coder.element_spec(coder.weighs(name == "train"))
            splits[name] = Split(*tf.nest.pack_sequence_as(element, flat))
    return splits, coder


def test_every_split_in_the_order_of_its_files(tmp_path: Path) -> None:
    rows = rows_of(100)
    dataset = opened(tmp_path, rows)
    splits, coder = read(dataset)
    assert [len(split.label) for split in splits.values()] == [60, 20, 20]
    assert coder.label.classes == [0, 1]
    assert splits["train"].label[:, 0].tolist() == rows["y"][:60]
    words = splits["validation"].inputs["word"].tolist()
    assert words == [(w or "").encode() for w in rows["word"][60:80]]
    x = splits["test"].inputs["x"]
    assert np.isnan(x[[i for i in range(20) if rows["x"][80 + i] is None]]).all()
    first = head(dataset, coder, 35)
    assert first["word"].tolist() == [(w or "").encode() for w in rows["word"][:35]]
    assert np.array_equal(first["x"], splits["train"].inputs["x"][:35], equal_nan=True)
    assert len(head(dataset, coder, 1000)["x"]) == 60


def test_the_counts_of_the_manifest_are_taken_for_whole_ones(tmp_path: Path) -> None:
    rows = rows_of(100)
    rows["y"] = [bool(y) for y in rows["y"]]
    dataset = opened(tmp_path, rows, y={"physicalType": "boolean", "validValues": None})
    scanned = encoder(dataset)
    sizes = {"train": (0, 60), "validation": (60, 80), "test": (80, 100)}
    told = {
        name: {str(k).lower(): v for k, v in Counter(rows["y"][start:stop]).items()}
        for name, (start, stop) in sizes.items()
    }
    dataset.manifest["label_counts"] = told
    dataset.manifest["nulls"] = {name: {"y": 0} for name in sizes}
    for path in dataset.files("train"):
        Path(path).unlink()
    from_manifest = encoder(dataset)
    assert from_manifest.label == scanned.label
    assert scanned.counts is not None
    assert from_manifest.counts is not None
    assert from_manifest.counts.tolist() == scanned.counts.tolist()
    told["train"]["true"] -= 1  # counts that were cut off
    with pytest.raises(IntegrityError, match="cannot be read"):
        encoder(dataset)


def test_classes_of_any_type(tmp_path: Path) -> None:
    rows = rows_of(90)
    rows["y"] = ["cat", "dog", "cow"] * 30
    kind = {"physicalType": "string", "validValues": None}
    splits, coder = read(opened(tmp_path, rows, y=kind), MULTICLASS)
    assert coder.label.classes == ["cat", "cow", "dog"]
    assert splits["train"].label[:3].tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_a_boolean_and_a_number(tmp_path: Path) -> None:
    rows = rows_of(90)
    rows["y"] = [bool(y) for y in rows["y"]]
    kind = {"physicalType": "boolean", "validValues": None}
    splits, coder = read(opened(tmp_path / "a", rows, y=kind))
    assert coder.label.classes == [False, True]
    assert splits["test"].label[:, 0].tolist() == [float(y) for y in rows["y"][72:]]
    rows["y"] = [float(i) for i in range(90)]
    kind = {"physicalType": "double", "validValues": None}
    splits, coder = read(opened(tmp_path / "b", rows, y=kind), REGRESSION)
    assert coder.label.classes is None
    assert splits["validation"].label[:2].tolist() == [[54.0], [55.0]]


def test_an_empty_test_split(tmp_path: Path) -> None:
    splits, _ = read(open_dataset(str(write_dataset(tmp_path, shares=(0.8, 0.2)))))
    assert list(splits) == ["train", "validation"]


def test_balanced_class_weights_give_each_class_the_same_sum(tmp_path: Path) -> None:
    rows = rows_of(100)
    rows["y"] = [int(i % 10 == 0) for i in range(100)]
    splits, _ = read(opened(tmp_path, rows), class_weights="balanced")
    weight, label = splits["train"].weight, splits["train"].label[:, 0]
    assert weight is not None
    assert weight[label == 1].sum() == pytest.approx(weight[label == 0].sum())
    assert weight.sum() == pytest.approx(60)
    assert splits["validation"].weight is None


def test_given_class_weights_and_the_weight_of_rows(tmp_path: Path) -> None:
    rows = rows_of(100)
    rows["w"] = [float(i % 3) for i in range(100)]
    column = {"physicalType": "double", "role": "weight", "required": True}
    splits, _ = read(opened(tmp_path, rows, w=column), class_weights={"0": 1.0, "1": 5.0})
    expected = [w * (5.0 if y else 1.0) for w, y in zip(rows["w"], rows["y"], strict=True)]
    weight = splits["train"].weight
    assert weight is not None
    assert weight.tolist() == expected[:60]
    other = splits["validation"].weight
    assert other is not None
    assert other.tolist() == rows["w"][60:80]


def fail(dataset: Dataset, coder: Encoder) -> None:
    """Read until it fails, and raise why."""
    reader = open_reader(dataset, "train", coder, batch=25)
    with pytest.raises(tf.errors.OpError):
        list(reader.once())
    reader.raise_error()


def test_what_cannot_be_trained_on(tmp_path: Path) -> None:
    def refused(error: type[Exception], said: str, rows: Any, *more: Any, **columns: Any) -> None:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        model, training = (*more, BINARY, {})[:2]
        dataset = opened(folder, rows, **columns)
        with pytest.raises(error, match=said):
            fail(dataset, encoder(dataset, model, **training))

    refused(TrainingError, "9 rows to train on, at least 10", rows_of(15))
    one = rows_of(100) | {"y": [1] * 100}
    refused(TrainingError, "no row to train on has y 0", one)
    refused(TrainingError, "of at least two classes", one, y={"validValues": None})
    late = rows_of(100) | {"y": [i % 2 for i in range(90)] + [2] * 10}
    refused(
        TrainingError, r"test: y has values that are no class.*\[2\]", late, y={"validValues": None}
    )
    three = rows_of(99) | {"y": [0, 1, 2] * 33}
    refused(ConfigError, "task is binary, but y has 3 classes", three, y={"validValues": None})
    missing = rows_of(100)
    missing["y"][3] = None
    refused(TrainingError, "train: 1 of 60 rows have no y; make the label", missing)
    refused(ConfigError, "no column has `role: label`", rows_of(100), y={"role": "feature"})
    refused(
        ConfigError,
        r"names \['a'\], the classes are \['0', '1'\]",
        rows_of(100),
        BINARY,
        {"class_weights": {"a": 1.0}},
    )
    number = {"physicalType": "int", "validValues": None}
    refused(
        ConfigError,
        "rows of this task have no class of their own",
        rows_of(100),
        REGRESSION,
        {"class_weights": "balanced"},
        y=number,
    )
    negative = rows_of(100) | {"w": [-1.0] * 100}
    weight = {"physicalType": "double", "role": "weight"}
    refused(TrainingError, "must be 0 or more", negative, w=weight)
    nulls = rows_of(100) | {"list": [None] * 100}
    refused(
        TrainingError,
        "list: null.*in the contract",
        nulls,
        list={"physicalType": "array<float>", "tensor": {"shape": [2]}},
    )


def test_a_split_that_lost_rows(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path)
    dataset = open_dataset(str(folder))
    dataset.manifest["rows"]["train"] += 1
    with pytest.raises(IntegrityError, match="train holds 90 rows, its manifest says 91"):
        encoder(dataset)


def test_several_labels_are_a_list_of_0_and_1() -> None:
    label = Label("tags", None, several=2)
    assert label.units == 2
    given = pa.chunked_array([[[True, False], [True, True]]], pa.list_(pa.bool_()))
    assert label.encode(given, "train").tolist() == [[1, 0], [1, 1]]
    for odd, said in (
        ([[1, 2]], r"tags is \[1.0, 2.0\] in row 0; each label of task multilabel is 0 or 1"),
        ([[1, 0], [1]], r"tags: .* \(row 1\); the label of several labels is a list of 2 times"),
        ([[1, None]], r"tags: .* \(row 0\)"),
    ):
        with pytest.raises(TrainingError, match=said):
            label.encode(pa.chunked_array([odd], pa.list_(pa.int32())), "train")
