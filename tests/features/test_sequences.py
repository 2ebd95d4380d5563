"""Lists in order: ids, numbers, what fills up, builders, what is refused, a saved model."""

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tfspark.config.recipe import Numeric, Sequence
from tfspark.contracts import parse_contract
from tfspark.errors import ConfigError
from tfspark.features.build import build_features
from tfspark.models.output import Output
from tfspark.models.structured import mlp
from tfspark.models.text import bag, conv, recurrent
from tfspark.registry.safety import check_ops
from tfspark.tensors.read import to_numpy

CONTRACT = parse_contract(
    b"""
apiVersion: v3.0.0
kind: DataContract
id: visits
version: 1.0.0
status: active
schema:
  - name: visits
    properties:
      - {name: id, logicalType: integer, physicalType: long, primaryKey: true, required: true}
      - {name: pages, physicalType: array<string>, tensor: {shape: [null], padValue: ""}}
      - {name: codes, physicalType: array<int>, tensor: {shape: [null], padValue: -1}}
      - {name: seconds, physicalType: array<double>, tensor: {shape: [null], padValue: .nan}}
      - {name: three, physicalType: array<float>, tensor: {shape: [3]}}
      - {name: open, physicalType: array<string>, tensor: {shape: [null]}}
      - {name: age, physicalType: double}
""",
    "visits.yaml",
)
LISTS = {
    "pages": [["b", "a", "new"], [], ["a", "b", "a", "a"]],
    "codes": [[0, 7, 1], [], [9, 2, 3, 0]],
    "seconds": [[1.0, math.inf, 3.0], [], [4.0, 2.0, 2.0, 8.0]],
}
MOMENTS = {"age": {"mean": 30.0, "std": 10.0}}


def sequence(column, **settings):
    return Sequence(kind="sequence", column=column, **settings)


def made(*features):
    return build_features(features, CONTRACT, MOMENTS)


def tensors(**lists):
    """Lists as the engine hands them over: the shorter ones filled up."""
    specs = {c.name: c.tensor_spec() for c in CONTRACT.columns if c.name in lists}
    return {name: tf.constant(to_numpy(pa.array(lists[name]), specs[name])) for name in specs}


def ids_of(column, lists=None, **settings):
    found = made(sequence(column, **settings))
    model = tf.keras.Model(found.inputs, found.sequences[column].ids)
    rows = model(tensors(**{column: lists or LISTS[column]})).numpy()
    return [row[: max([0, *np.flatnonzero(row) + 1])].tolist() for row in rows]


def test_ids_of_values_of_a_file_of_buckets_and_of_integers_that_are_ids(tmp_path: Path):
    assert ids_of("pages", values=["a", "b"]) == [[3, 2, 1], [], [2, 3, 2, 2]]
    assert ids_of("pages", values=["a"], oov=1, length=2) == [[2, 1], [], [2, 2]]
    (tmp_path / "pages.txt").write_text("b\na\n")
    assert ids_of("pages", file=str(tmp_path / "pages.txt")) == [[2, 3, 1], [], [3, 2, 3, 3]]
    assert ids_of("codes", values=[9, 0]) == [[3, 1, 1], [], [2, 1, 1, 3]]
    assert ids_of("codes", size=9) == [[1, 8, 2], [], [0, 3, 4, 1]]
    assert ids_of("codes", size=9, length=3) == [[1, 8, 2], [], [3, 4, 1]]
    assert ids_of("pages", buckets=1000, length=9) == ids_of("pages", buckets=1000)
    first, second = ids_of("pages", buckets=10**6)[::2]
    assert (first[0], first[1]) == (second[1], second[0])
    # A batch of empty lists alone, too.
    for length in (None, 2):
        assert ids_of("pages", [[], []], values=["a"], length=length) == [[], []]


def test_numbers_are_scaled_and_known_to_be_there():
    found = made(sequence("seconds", shift=1.0, scale=2.0, length=3))
    series = found.sequences["seconds"]
    model = tf.keras.Model(found.inputs, [series.embedded, series.mask, found.by_name["seconds"]])
    values, mask, mean = (x.numpy() for x in model(tensors(seconds=LISTS["seconds"])))
    huge = np.finfo("float32").max
    assert values[..., 0].tolist() == [[0.0, huge, 1.0], [0.0] * 3, [0.5, 0.5, 3.5]]
    assert mask.tolist() == [[1.0] * 3, [0.0] * 3, [1.0] * 3]
    assert mean[1:, 0].tolist() == [0.0, 1.5]


def test_numbers_of_one_known_length_need_nothing_that_fills_up():
    found = made(sequence("three"))
    model = tf.keras.Model(found.inputs, found.sequences["three"].mask)
    given = tf.constant([[1.0, math.nan, 3.0]])
    assert model({"three": given}).numpy().tolist() == [[1.0, 0.0, 1.0, 0.0]]


@pytest.mark.parametrize(
    ("builder", "params"),
    [
        (bag, {}),
        (conv, {"kernel": 2}),
        (mlp, {}),
        (recurrent, {}),
        (recurrent, {"cell": "lstm", "both_ways": True}),
    ],
)
def test_neighbours_change_no_row_and_a_saved_model_is_allowed(builder, params, tmp_path: Path):
    """A longer list in the batch fills the others up; no row is told from when it is alone."""
    features = made(
        sequence("pages", values=["a", "b"], encode={"embedding": 4}),
        sequence("seconds", scale=10.0),
        Numeric(kind="numeric", column="age"),
    )
    model = builder(features, Output("p", 1, "sigmoid"), **params)
    lists = {"pages": [["a"], [], ["a", "b", "a", "a"]], "seconds": [[], [1.5], [4.0, 2.0]]}
    ages = tf.constant([20.0, 30.0, 40.0], features.inputs["age"].dtype)
    together = model(tensors(**lists) | {"age": ages}).numpy()
    for row in range(3):
        alone = tensors(**{name: [values[row]] for name, values in lists.items()})
        one = model(alone | {"age": ages[row : row + 1]}).numpy()
        np.testing.assert_allclose(one, together[row : row + 1], atol=1e-6)
    assert len(set(together[:, 0].tolist())) == 3
    model.export(str(tmp_path / "m"), verbose=False)
    check_ops(str(tmp_path / "m"), tensorflow=True)


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        (sequence("age", size=3), "column age is float64\\[\\], and sequence takes lists"),
        (sequence("open", buckets=3), "nothing says what fills up the shorter ones"),
        (sequence("pages"), "give values, file or buckets$"),
        (sequence("codes"), "or size for integers that are ids"),
        (sequence("pages", size=3), "holds strings; use values, file or buckets"),
        (sequence("seconds", buckets=3), "holds numbers; leave buckets out"),
        (sequence("pages", values=["a", "a"]), "a value is given twice"),
        (sequence("pages", values=[]), "no value is given"),
        (sequence("codes", values=["x"]), "the column holds integers"),
    ],
)
def test_what_cannot_be_built_says_so(feature, said):
    with pytest.raises(ConfigError, match=said):
        made(feature)


def test_a_recipe_gives_one_way():
    with pytest.raises(ValueError, match="one of values, buckets"):
        sequence("pages", values=["a"], buckets=3)
    with pytest.raises(ValueError, match="shift and scale are for numbers"):
        sequence("pages", buckets=3, scale=2.0)
    with pytest.raises(ConfigError, match="no feature of kind text or sequence"):
        recurrent(made(Numeric(kind="numeric", column="age")), Output("p", 1, "sigmoid"))
    with pytest.raises(ConfigError, match="there are gru and lstm"):
        recurrent(made(sequence("three")), Output("p", 1, "sigmoid"), cell="rnn")
