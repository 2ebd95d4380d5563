"""Metrics against their definitions, the gate."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfspark.errors import ConfigError
from tfspark.quality.evaluate import METRICS, auc, evaluate, measure
from tfspark.quality.gate import check_names, failures
from tfspark.quality.slices import MOST, by_slice, headline, slice_name


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.25, 0.5, 1.0])), max_size=40),
)
def test_auc_is_the_share_of_pairs_in_the_right_order(rows: list[tuple[bool, float]]) -> None:
    label = np.array([float(y) for y, _ in rows])
    score = np.array([p for _, p in rows])
    ones = [p for y, p in rows if y]
    zeros = [p for y, p in rows if not y]
    found = auc(label, score)
    if not ones or not zeros:
        assert found is None
    else:
        right = sum((a > b) + 0.5 * (a == b) for a in ones for b in zeros)
        assert found == pytest.approx(right / (len(ones) * len(zeros)))


def test_binary() -> None:
    label = np.array([[1.0], [0.0], [1.0], [0.0]])
    found = evaluate("binary", label, np.array([[0.9], [0.2], [0.4], [0.0]]))
    expected = -np.mean(np.log([0.9, 0.8, 0.4, 1 - 1e-7]))
    told = {"rows": 4, "auc": 1.0, "accuracy": 0.75, "logloss": pytest.approx(expected)}
    assert found == found | told


def test_multiclass_and_regression() -> None:
    label = np.eye(3)[[0, 1, 2, 2]]
    p = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.8, 0.1, 0.1]])
    found = evaluate("multiclass", label, p)
    assert found["accuracy"] == 0.75
    assert found["logloss"] == pytest.approx(-(3 * math.log(0.8) + math.log(0.1)) / 4)
    found = evaluate("regression", np.array([[1.0], [2.0]]), np.array([[1.0], [5.0]]))
    told = {"rows": 2, "rmse": pytest.approx(math.sqrt(4.5)), "mae": 1.5, "r2": -17.0}
    assert found == told


def test_what_cannot_be_computed_is_left_out() -> None:
    assert evaluate("binary", np.empty((0, 1)), np.empty((0, 1))) == {"rows": 0}
    assert "auc" not in evaluate("binary", np.ones((2, 1)), np.ones((2, 1)))


def test_gate() -> None:
    assert failures({}, {}) == []
    assert failures({"auc": 0.8}, {"auc": 0.8}) == []
    assert failures({"logloss": 0.5}, {"logloss": 0.4}) == []
    assert failures({"auc": 0.8}, {"auc": 0.79}) == ["auc is 0.7900, at least 0.8 is needed"]
    assert failures({"rmse": 1}, {"rmse": 2.0}) == ["rmse is 2.0000, at most 1 is allowed"]
    assert failures({"auc": 0.8}, {}) == ["auc cannot be computed on the test split"]
    assert failures({"auc": 0.8}, {"auc": math.nan})
    assert failures({"rmse": 0.8}, {"rmse": math.nan})


def test_a_gate_that_no_model_can_pass_is_refused() -> None:
    check_names({"auc": 0.5}, "binary", weighted=False)
    check_names({"weighted_auc": 0.5}, "binary", weighted=True)
    with pytest.raises(ConfigError, match="`role: weight`"):
        check_names({"weighted_auc": 0.5}, "binary", weighted=False)
    assert failures({"weighted_logloss": 0.5}, {"weighted_logloss": 0.6}) != []
    with pytest.raises(ConfigError, match="rmse is no metric of a binary model; use auc"):
        check_names({"rmse": 0.5}, "binary", weighted=True)


def test_several_labels_at_once() -> None:
    label = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]], "f4")
    score = np.array([[0.9, 0.2, 0.1], [0.1, 0.8, 0.1], [0.4, 0.7, 0.1], [0.6, 0.3, 0.1]], "f4")
    found = evaluate("multilabel", label, score)
    apart = np.where(label == 1, score, 1 - score).astype("f8")
    assert found == {
        "rows": 4,
        "auc": np.mean([0.75, 1.0]),  # the third has no positive row
        "accuracy": 10 / 12,
        "logloss": pytest.approx(-np.log(apart).mean()),
        "f1": pytest.approx(2 * 3 / (4 + 4)),
        "exact": 0.5,
    }


@pytest.mark.parametrize("task", METRICS)
def test_a_row_of_weight_three_counts_like_three_rows(task: str) -> None:
    random = np.random.default_rng(5)
    units, rows = {"binary": 1, "regression": 1, "multilabel": 3}.get(task, 7), 200
    weight = random.integers(0, 4, rows)
    prediction = random.random((rows, units)).round(1)
    label = (random.random((rows, units)) > 0.6).astype("float64")
    if task == "multiclass":
        label, prediction = np.eye(units)[random.integers(0, units, rows)], prediction + 0.01
        prediction /= prediction.sum(1, keepdims=True)
        weight[label[:, 3] > 0] = 0  # a class that no row with a weight has
    found = evaluate(task, label, prediction, 0.4, weight)
    repeated = evaluate(task, label.repeat(weight, 0), prediction.repeat(weight, 0), 0.4)
    assert found == pytest.approx(repeated | {"rows": rows})
    assert set(METRICS[task]) <= set(found)
    halves = evaluate(task, label, prediction, 0.4, weight / 1e6)  # sums below 1 divide as well
    assert halves == pytest.approx(found)
    both = measure(task, label, prediction, 0.4, weight)
    assert {f"weighted_{name}" for name in METRICS[task]} <= set(both)
    assert measure(task, label, prediction, 0.4, np.zeros(rows)) == evaluate(
        task, label, prediction, 0.4
    )


def test_slices_are_the_rows_with_a_value() -> None:
    random = np.random.default_rng(6)
    label, prediction = (random.random((100, 1)) > 0.5) * 1.0, random.random((100, 1))
    weight = random.random(100)
    sex = pa.chunked_array([["f", None, "m", "(none)"] * 20, ["f"] * 20])
    many = pa.chunked_array([list(range(60)) + [7] * 40])
    columns = {"sex": sex, "n": many}
    found = by_slice(columns, "binary", label, prediction, 0.5, weight)
    assert [(one["value"], one["rows"]) for one in found["sex"]] == [
        ("f", 40),
        ("(none)", 20),
        (None, 20),
        ("m", 20),
    ]
    rows = np.array([value == "f" for value in sex.to_pylist()])
    one = measure("binary", label[rows], prediction[rows], 0.5, weight[rows])
    assert found["sex"][0] == {"value": "f", **one}
    assert len(found["n"]) == MOST + 1
    assert (found["n"][0]["value"], found["n"][-1]["values"]) == (7, 10)
    assert sum(one["rows"] for one in found["n"]) == 100
    assert slice_name(found["n"][-1]) == "(10 others)"
    told = headline(found, "binary")
    assert told["auc.sex.f"] == one["auc"]
    assert told["weighted_auc.sex.f"] == one["weighted_auc"]
    assert told["rows.sex.m"] == 20
    assert "pr_auc.sex.f" not in told
