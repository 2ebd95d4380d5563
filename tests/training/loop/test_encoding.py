"""A model in two parts: the first encodes features, the second learns."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter

from tests.features.test_build_features import CONTRACT, STATISTICS
from tfspark.config.recipe import Feature, Model, Training
from tfspark.contracts import parse_contract
from tfspark.features.build import Features, build_features
from tfspark.models.build import build_model
from tfspark.training.loop.encoding import encoding_of

KINDS: list[dict[str, Any]] = [
    {"kind": "numeric", "column": "x", "normalize": "zscore"},
    {"kind": "numeric", "column": "list", "normalize": "none", "impute": 0},
    {"kind": "bucketize", "name": "steps", "column": "x", "quantiles": 4},
    {"kind": "vocabulary", "column": "s"},
    {"kind": "vocabulary", "name": "ns", "column": "n", "encode": {"embedding": 3}},
    {"kind": "hash", "column": "t", "buckets": 7, "encode": {"embedding": 2}},
    {"kind": "identity", "name": "own", "column": "n", "size": 9},
    {"kind": "cross", "name": "both", "column": ["steps", "s"], "buckets": 11},
]


def features(listed: list[dict[str, Any]]) -> Features:
    given = TypeAdapter(list[Feature]).validate_python(listed)
    return build_features(given, parse_contract(CONTRACT.encode(), "t.yaml"), STATISTICS)


def test_both_parts_are_the_model() -> None:
    found = features(KINDS)
    model = build_model(Model(params={"units": [8], "dropout": 0.0}), found, 1)
    encoding = encoding_of(model, Training())
    assert encoding is not None
    assert encoding.raw == ()
    assert {spec.dtype for spec in encoding.made.values()} <= {"float32", "int32", "int64"}
    rows = {
        "x": np.array([0.5, np.nan, 99.0]),
        "list": np.array([[1, 2, 3], [0, 0, 0], [-1, 5, np.nan]], "float32"),
        "s": np.array([b"a", b"", b"new"]),
        "n": np.array([3, -(2**31), 8], "int32"),
        "t": np.array([b"Mr. X", b"", b"Dr. Q"]),
    }
    columns = {name: tf.constant(rows[name], found.inputs[name].dtype) for name in found.inputs}
    assert set(encoding.taken) == set(columns)
    made = dict(zip(encoding.made, encoding.first(columns), strict=True))
    assert [made[name].dtype.name for name in made] == [s.dtype for s in encoding.made.values()]
    np.testing.assert_array_equal(encoding.forward(made), model(columns))
    wide = sum(int(np.prod(spec.shape)) for spec in encoding.made.values())
    assert wide < found.encoded.shape[1]  # ids are kept, no one-hot rows


@pytest.mark.parametrize("listed", [KINDS[:1], []])
def test_columns_that_a_builder_takes_itself_stay(listed: list[dict[str, Any]]) -> None:
    found = features([*listed, KINDS[1]])
    raw = (
        keras.layers.Reshape([1])(keras.ops.cast(found.inputs["x"], "float32")) if listed else None
    )
    tensors = [*found.by_name.values(), *([raw] if listed else [])]
    joined = keras.layers.Concatenate()(tensors) if listed else found.inputs["list"]
    model = keras.Model(found.inputs, keras.layers.Dense(1)(joined))
    encoding = encoding_of(model, Training())
    assert (encoding and encoding.raw) == (("x",) if listed else None)
    assert encoding is None or encoding.taken == ("x", "list")
    assert encoding_of(model, Training(xla=True)) is None
    assert encoding_of(keras.Sequential([keras.layers.Dense(1)]), Training()) is None
