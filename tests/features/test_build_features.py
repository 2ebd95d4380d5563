"""The nine kinds of features: what a raw value becomes, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tfspark.config.recipe import Feature
from tfspark.contracts import Contract, parse_contract
from tfspark.errors import ConfigError
from tfspark.features.build import Features, build_features
from tfspark.features.columns import input_columns
from tfspark.tensors import INT_NULL

CONTRACT = """
kind: DataContract
id: t
version: 1
schema:
  - name: t
    properties:
      - {name: id, physicalType: bigint, primaryKey: true, required: true}
      - {name: k, physicalType: string, role: key}
      - {name: y, physicalType: int, role: label, required: true}
      - {name: w, physicalType: double, role: weight}
      - {name: x, physicalType: double}
      - {name: z, physicalType: float}
      - {name: n, physicalType: int}
      - {name: s, physicalType: string}
      - {name: t, physicalType: string}
      - {name: when, physicalType: timestamp}
      - {name: flag, physicalType: boolean}
      - {name: day, physicalType: date, role: time}
      - {name: list, physicalType: array<float>, tensor: {shape: [3]}}
      - {name: ragged, physicalType: array<float>}
      - {name: empty, physicalType: double}
      - {name: none, physicalType: string}
      - {name: odd-name, physicalType: double}
      - {name: odd_name, physicalType: double}
      - {name: a/b, physicalType: double}
"""
STATISTICS: dict[str, Any] = {
    "x": {
        "type": "double",
        "count": 4,
        "nulls": 1,
        "mean": 4.0,
        "std": 2.0,
        "min": 0.0,
        "max": 10.0,
        "log1p_mean": 1.0,
        "log1p_std": 0.5,
        "quantiles": [i / 10 for i in range(101)],
    },
    "z": {"mean": 1.0, "std": 0.0, "min": -1.0, "max": -1.0, "quantiles": [1.0] * 101},
    "n": {
        "mean": 2.0,
        "std": 1.0,
        "min": 0,
        "max": 5,
        "log1p_mean": 1.0,
        "log1p_std": 1.0,
        "quantiles": [float(i // 20) for i in range(101)],
        "values": [[3, 5], [1, 4], [7, 1]],
    },
    "s": {"values": [["a", 5], ["", 4], ["b", 2], ["c", 1]], "distinct": 4},
    "t": {"values": [["Mr. X", 3], ["Ms. Y", 2], ["Mr. Z", 2], ["nobody", 9], ["Dr. Q", 1]]},
    "when": {"mean": 1.7e15, "std": 1e6, "min": 1.6e15, "max": 1.8e15},
    "flag": {"mean": 0.5, "std": 0.5, "values": [[0, 3], [1, 2]]},
    "empty": {"mean": None, "std": None, "min": None, "max": None, "quantiles": [None] * 101},
    "none": {"values": [], "distinct": 0},
}
RECIPE: TypeAdapter[list[Feature]] = TypeAdapter(list[Feature])


@pytest.fixture(scope="module")
def contract() -> Contract:
    return parse_contract(CONTRACT.encode(), "t.yaml")


def built(contract: Contract, *features: dict[str, Any]) -> Features:
    return build_features(RECIPE.validate_python(list(features)), contract, STATISTICS)


def encode(contract: Contract, feature: dict[str, Any], **columns: Any) -> np.ndarray:
    """What one feature makes of raw columns."""
    import keras
    import tensorflow as tf

    made = built(contract, feature)
    (tensor,) = made.by_name.values()
    model = keras.Model(made.inputs, tensor)
    dtypes = {name: tensor.dtype for name, tensor in made.inputs.items()}
    given = {name: tf.constant(v, dtypes[name]) for name, v in columns.items()}
    result: np.ndarray = model(given).numpy()
    return result


def ids(contract: Contract, feature: dict[str, Any], **columns: Any) -> list[int]:
    """The category of each row of an indicator feature, which must be one."""
    hot = encode(contract, feature, **columns)
    assert (hot.sum(1) == 1).all()
    return [int(i) for i in hot.argmax(1)]


def test_numeric_fills_flags_and_scales(contract: Contract) -> None:
    feature = {"kind": "numeric", "column": "x", "missing_flag": True}
    assert encode(contract, feature, x=[4.0, 6.0, math.nan]).tolist() == [[0, 0], [1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("settings", "value", "expected"),
    [
        ({"impute": "median"}, math.nan, 0.5),
        ({"impute": 8.0}, math.nan, 2.0),
        ({"normalize": "minmax"}, 10.0, 1.0),
        ({"normalize": "none"}, 1e9, 1e9),
        ({"transform": "log1p"}, math.e - 1, 0.0),
        ({"transform": "log1p", "normalize": "minmax"}, 10.0, 1.0),
        ({"transform": "log1p", "normalize": "none"}, -5.0, 0.0),
        ({}, 1e300, 10.0),
        ({}, -math.inf, -10.0),
        ({"clip": 2.5}, 1e300, 2.5),
    ],
)
def test_numeric_settings(
    contract: Contract, settings: dict[str, Any], value: float, expected: float
) -> None:
    feature = {"kind": "numeric", "column": "x", **settings}
    assert encode(contract, feature, x=[value])[0, 0] == pytest.approx(expected)


def test_numeric_sum_and_concat(contract: Contract) -> None:
    columns = {"x": [4.0, 5.0, 1.0], "n": [2, 3, INT_NULL]}
    feature = {"kind": "numeric", "column": ["x", "n"], "missing_flag": True}
    assert encode(contract, feature, **columns).tolist() == [
        [0, 0, 0, 0],
        [0.5, 1, 0, 0],
        [-1.5, 0, 0, 1],
    ]
    total = {**feature, "combine": "sum", "normalize": "none"}
    assert encode(contract, total, **columns).tolist() == [[6, 0], [8, 0], [3, 1]]


def test_a_constant_column_is_not_divided_by_zero(contract: Contract) -> None:
    assert encode(contract, {"kind": "numeric", "column": "z"}, z=[1.0]).tolist() == [[0.0]]


def test_a_timestamp_keeps_its_microseconds_until_it_is_scaled(contract: Contract) -> None:
    feature = {"kind": "numeric", "column": "when"}
    found = encode(contract, feature, when=[1_700_000_000_000_000, 1_700_000_001_000_000])
    assert found[:, 0].tolist() == [0.0, 1.0]


def test_a_list_of_known_length(contract: Contract) -> None:
    feature = {"kind": "numeric", "column": "list", "normalize": "none", "impute": 0.0}
    found = encode(contract, feature, list=[[1.0, math.nan, 3.0]])
    assert found.tolist() == [[1.0, 0.0, 3.0]]


def test_bucketize_by_bounds_and_quantiles(contract: Contract) -> None:
    bounds = {"kind": "bucketize", "column": "x", "bounds": [1, 5]}
    assert ids(contract, bounds, x=[math.nan, -9, 1, 4.9, 5, math.inf]) == [0, 1, 2, 2, 3, 3]
    quantiles = {"kind": "bucketize", "column": "x", "quantiles": 4}
    assert ids(contract, quantiles, x=[2.4, 2.6, 5.1, 7.6]) == [1, 2, 3, 4]
    total = {"kind": "bucketize", "column": ["x", "n"], "bounds": [3]}
    assert ids(contract, total, x=[1.0, 1.0, 1.0], n=[1, 2, INT_NULL]) == [1, 2, 0]


def test_vocabulary_of_strings(contract: Contract) -> None:
    feature = {"kind": "vocabulary", "column": "s"}
    assert ids(contract, feature, s=["", "zz", "a", "b", "c"]) == [0, 1, 2, 3, 4]
    assert ids(contract, {**feature, "min_count": 2}, s=["a", "b", "c"]) == [2, 3, 1]
    assert ids(contract, {**feature, "size": 1, "oov": 2}, s=["a", ""]) == [3, 0]
    assert set(ids(contract, {**feature, "oov": 2}, s=list("efghij"))) == {1, 2}
    assert ids(contract, {**feature, "values": ["q", "a"]}, s=["a", "b"]) == [3, 1]


def test_vocabulary_of_integers_and_booleans(contract: Contract) -> None:
    feature = {"kind": "vocabulary", "column": "n"}
    assert ids(contract, feature, n=[INT_NULL, 99, -1, 3, 1, 7]) == [0, 1, 1, 2, 3, 4]
    assert ids(contract, {"kind": "vocabulary", "column": "flag"}, flag=[0, 1, INT_NULL]) == [
        2,
        3,
        0,
    ]


def test_vocabulary_from_a_file(contract: Contract, tmp_path: Any) -> None:
    file = tmp_path / "words.txt"
    file.write_text("b\n\nä\n", encoding="utf-8")
    feature = {"kind": "vocabulary", "column": "s", "file": str(file)}
    assert ids(contract, feature, s=["b", "ä", "x"]) == [2, 3, 1]
    file.write_bytes(b"\xff\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        built(contract, feature)


def test_a_part_of_a_text(contract: Contract) -> None:
    feature = {"kind": "vocabulary", "column": "t", "extract": r"^(\w+)\.", "min_count": 2}
    texts = ["Mr. A", "Ms. B", "Dr. Q", "nobody", "", "Mr. \n B", "x Mr. Y"]
    assert ids(contract, feature, t=texts) == [2, 3, 1, 0, 0, 2, 0]


def test_hash(contract: Contract) -> None:
    feature = {"kind": "hash", "column": "s", "buckets": 10}
    # FarmHash Fingerprint64 of the bytes, modulo 10, plus 1: the same for ever, everywhere.
    assert ids(contract, feature, s=["", "a", "b", "a"]) == [0, 10, 3, 10]
    numbers = {"kind": "hash", "column": "n", "buckets": 10}
    assert ids(contract, numbers, n=[INT_NULL, 5])[0] == 0
    part = {"kind": "hash", "column": "t", "buckets": 50, "extract": r"(\d+)$"}
    found = ids(contract, part, t=["PC 17", "S.O. 17", "none"])
    assert found[0] == found[1] != 0 == found[2]


def test_identity(contract: Contract) -> None:
    feature = {"kind": "identity", "column": "n", "size": 3}
    assert ids(contract, feature, n=[0, 2, 3, -1, INT_NULL]) == [1, 3, 0, 0, 0]


def test_cross_of_columns_and_of_earlier_features(contract: Contract) -> None:
    import keras
    import tensorflow as tf

    made = built(
        contract,
        {"name": "x_band", "kind": "bucketize", "column": "x", "bounds": [5]},
        {"name": "both", "kind": "cross", "column": ["x_band", "s", "n"], "buckets": 1000},
    )
    model = keras.Model(made.inputs, made.by_name["both"])
    rows = {
        "x": tf.constant([1, 2, 9, 1], tf.float64),
        "s": tf.constant(["a", "a", "a", ""]),
        "n": tf.constant([1, 1, 1, INT_NULL], tf.int64),
    }
    found = model(rows).numpy().argmax(1)
    assert found[0] == found[1]
    assert len(set(found.tolist())) == 3


def test_embedding_and_shared_embedding(contract: Contract) -> None:
    feature = {"kind": "hash", "column": "s", "buckets": 5, "encode": {"embedding": 4}}
    assert encode(contract, feature, s=["a", "b"]).shape == (2, 4)
    shared = {"embedding": 3, "shared": "text"}
    made = built(
        contract,
        {"kind": "hash", "column": "s", "buckets": 5, "encode": shared},
        {"kind": "hash", "column": "t", "buckets": 5, "encode": shared},
    )
    import keras

    model = keras.Model(made.inputs, made.encoded)
    assert model.count_params() == 6 * 3
    with pytest.raises(ConfigError, match="feature t: it cannot share the embedding text"):
        built(
            contract,
            {"kind": "hash", "column": "s", "buckets": 5, "encode": shared},
            {"kind": "hash", "column": "t", "buckets": 6, "encode": shared},
        )


def test_inputs_are_the_columns_that_the_recipe_uses(contract: Contract) -> None:
    made = built(
        contract,
        {"kind": "hash", "column": "s", "buckets": 5},
        {"kind": "numeric", "column": "day", "normalize": "none", "impute": 0.0},
        {"kind": "numeric", "column": "x"},
    )
    assert {name: t.dtype for name, t in made.inputs.items()} == {
        "x": "float64",
        "s": "string",
        "day": "int64",
    }
    assert made.encoded.shape == (None, 6 + 1 + 1)
    assert list(made.by_name) == ["s", "day", "x"]


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        ({"kind": "numeric", "column": "nope"}, r"contract t has no column nope; it has id, x, z"),
        ({"kind": "numeric", "column": "y"}, "column y has the role label"),
        ({"kind": "numeric", "column": "w"}, "column w has the role weight"),
        ({"kind": "vocabulary", "column": "id"}, "keeps no values of id"),
        ({"kind": "hash", "column": "k", "buckets": 3}, "column k has the role key"),
        ({"kind": "numeric", "column": "s"}, "column s is string.*use vocabulary or hash"),
        ({"kind": "bucketize", "column": "s", "bounds": [1]}, "needs numbers"),
        ({"kind": "vocabulary", "column": "x"}, "needs strings or integers: use bucketize"),
        ({"kind": "hash", "column": "z", "buckets": 3}, "use bucketize, and cross"),
        ({"kind": "identity", "column": "s", "size": 3}, "needs integers"),
        ({"kind": "cross", "column": ["x", "s"], "buckets": 3}, "use bucketize, and cross"),
        ({"kind": "hash", "column": "n", "buckets": 3, "extract": "(.)"}, "from strings only"),
        ({"kind": "hash", "column": "list", "buckets": 3}, "takes single values"),
        ({"kind": "numeric", "column": "ragged"}, "lists of one known length"),
        ({"kind": "numeric", "column": "list"}, "has no such statistic"),
        ({"kind": "numeric", "column": "empty"}, "mean of empty, which is always missing"),
        ({"kind": "numeric", "column": "empty", "impute": "median"}, "always missing"),
        ({"kind": "numeric", "column": "z", "transform": "log1p"}, "which has negative values"),
        (
            {"kind": "numeric", "column": ["x", "n"], "combine": "sum", "transform": "log1p"},
            "use normalize: minmax",
        ),
        ({"kind": "bucketize", "column": "empty", "quantiles": 4}, "has no quantiles"),
        ({"kind": "bucketize", "column": "z", "quantiles": 4}, "nearly one value"),
        ({"kind": "vocabulary", "column": "none"}, "no value is left.*none is empty"),
        ({"kind": "vocabulary", "column": "s", "min_count": 99}, "min_count is too high"),
        ({"kind": "vocabulary", "column": "s", "values": ["a", "a"]}, "given twice"),
        ({"kind": "vocabulary", "column": "n", "values": ["a"]}, "holds integers"),
        ({"kind": "vocabulary", "column": "s", "file": "no/such"}, "no vocabulary file"),
        ({"kind": "vocabulary", "column": "t", "extract": "(a"}, "extract: '.a'"),
        ({"kind": "vocabulary", "column": "t", "extract": "a"}, "it has no group"),
        ({"kind": "hash", "column": "t", "buckets": 3, "extract": "(?=a)(b)"}, "extract"),
        ({"kind": "numeric", "column": "a/b"}, "no model input can have a name with /"),
    ],
)
def test_what_cannot_be_built_is_refused_with_its_place(
    contract: Contract, feature: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        built(contract, feature)


def test_names_of_features(contract: Contract) -> None:
    with pytest.raises(ConfigError, match="two are named x"):
        built(contract, {"kind": "numeric", "column": "x"}, {"kind": "numeric", "column": "x"})
    with pytest.raises(ConfigError, match="x_band comes later; list it before"):
        built(
            contract,
            {"name": "both", "kind": "cross", "column": ["x_band", "s"], "buckets": 9},
            {"name": "x_band", "kind": "bucketize", "column": "x", "bounds": [5]},
        )


def test_a_recipe_without_features_takes_every_feature_column(contract: Contract) -> None:
    plain = contract.model_copy(
        update={
            "tables": (
                contract.table.model_copy(
                    update={"properties": tuple(c for c in contract.columns if "d" not in c.name)}
                ),
            )
        }
    )
    plain_columns = [c for c in plain.columns if c.name != "a/b"]
    table = plain.table.model_copy(update={"properties": tuple(plain_columns)})
    plain = plain.model_copy(update={"tables": (table,)})
    assert "day" not in input_columns([], plain)
    assert set(input_columns([], plain)) == {c.name for c in plain_columns} - {"id", "k", "y", "w"}
    with pytest.raises(ConfigError, match="the recipe names none"):
        _ = build_features([], plain, STATISTICS).encoded


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        ({"kind": "numeric", "column": "x", "buckets": 3}, "Extra inputs"),
        ({"kind": "nonsense", "column": "x"}, "nonsense"),
        ({"kind": "bucketize", "column": "x"}, "takes quantiles or bounds"),
        ({"kind": "bucketize", "column": "x", "bounds": [2, 1]}, "bounds must rise"),
        ({"kind": "bucketize", "column": ["x", "n"], "quantiles": 3}, "known for one column"),
        ({"kind": "vocabulary", "column": "s", "values": ["a"], "file": "f"}, "not both"),
        ({"kind": "vocabulary", "column": "s", "oov": 0}, "greater than or equal to 1"),
        ({"kind": "cross", "column": ["s"], "buckets": 3}, "at least 2"),
        ({"kind": "numeric", "column": []}, "names no column"),
    ],
)
def test_what_the_recipe_itself_refuses(feature: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RECIPE.validate_python([feature])


@pytest.fixture(scope="module")
def every_kind(contract: Contract) -> Any:
    """A compiled function over one feature of every kind."""
    import keras
    import tensorflow as tf

    part = {"extract": r"(\w+)\.", "column": "t"}
    made = built(
        contract,
        {"name": "n1", "kind": "numeric", "column": ["x", "n"], "missing_flag": True},
        {"name": "n2", "kind": "numeric", "column": "x", "transform": "log1p"},
        {"name": "n3", "kind": "numeric", "column": ["x", "n"], "combine": "sum"},
        {"name": "n4", "kind": "numeric", "column": "x", "normalize": "none"},
        {"name": "b", "kind": "bucketize", "column": ["x", "n"], "bounds": [0, 5]},
        {"name": "v1", "kind": "vocabulary", "column": "s"},
        {"name": "v2", "kind": "vocabulary", "column": "n"},
        {"name": "v3", "kind": "vocabulary", **part},
        {"name": "h1", "kind": "hash", "buckets": 7, **part},
        {"name": "h2", "kind": "hash", "column": "n", "buckets": 7},
        {"name": "i", "kind": "identity", "column": "n", "size": 4},
        {"name": "c", "kind": "cross", "column": ["b", "s", "n"], "buckets": 11},
    )
    model = keras.Model(made.inputs, made.by_name)
    specs = [
        {
            "x": tf.TensorSpec([None], tf.float64),
            "n": tf.TensorSpec([None], tf.int64),
            "s": tf.TensorSpec([None], tf.string),
            "t": tf.TensorSpec([None], tf.string),
        }
    ]
    return tf.function(lambda row: model(row), input_signature=specs)


@settings(max_examples=200, deadline=None)
@given(
    x=st.floats(allow_nan=True, allow_infinity=True),
    n=st.integers(-(2**63), 2**63 - 1),
    s=st.one_of(st.binary(max_size=20), st.text(max_size=20).map(lambda t: t.encode())),
    t=st.one_of(
        st.binary(max_size=20),
        st.text(max_size=10).map(lambda t: f"{t}.".encode("utf-8", "surrogatepass")),
    ),
)
def test_no_value_breaks_a_feature(every_kind: Any, x: float, n: int, s: bytes, t: bytes) -> None:
    import tensorflow as tf

    row = {"x": tf.constant([x], tf.float64), "n": tf.constant([n], tf.int64)}
    found = every_kind(row | {"s": tf.constant([s]), "t": tf.constant([t])})
    for name, value in found.items():
        assert np.isfinite(value.numpy()).all(), name
        if name[0] != "n":
            assert value.numpy().sum() == 1.0, name
