"""Thresholds against all there are, and the metrics of classes against scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from tfspark.config.recipe import Model
from tfspark.errors import TrainingError
from tfspark.quality.details import class_ids, describe
from tfspark.quality.evaluate import evaluate
from tfspark.quality.threshold import choose

SCORES = st.sampled_from([0.0, 1e-45, 0.1, 0.25, 0.5, float(np.nextafter(np.float32(0.5), 1)), 1.0])
ROWS = st.lists(st.tuples(st.booleans(), SCORES), min_size=2, max_size=30)


@settings(deadline=None)
@given(ROWS, st.sampled_from(["f1", {"precision": 0.7}, {"recall": 0.7}]))
def test_a_threshold_is_the_best_of_all(rows: list[tuple[bool, float]], rule: Any) -> None:
    label = np.array([float(y) for y, _ in rows])
    score = np.array([p for _, p in rows], "float32")

    def at(threshold: float) -> tuple[float, float, float]:
        found = class_ids(score[:, None], threshold)
        kinds: dict[str, Any] = {"average": "binary", "zero_division": 0}
        p, r, f1, _ = metrics.precision_recall_fscore_support(label, found, **kinds)
        return float(p), float(r), float(f1)

    limit = max(score.max(), np.float32(1e-45))  # 0 is always one
    every = [at(float(t)) for t in np.unique(np.append(score, np.float32(0))) if t < limit]
    if rule == "f1":
        able = every
    else:
        name, least = next(iter(rule.items()))
        able = [e for e in every if e[name == "recall"] >= least]
    if len({*label}) < 2 or not able:
        with pytest.raises(TrainingError, match=r"model\.threshold"):
            choose(rule, label, score)
        return
    chosen = choose(rule, label, score)
    assert 0 <= chosen < 1
    assert np.float32(chosen) == chosen
    place = 2 if rule == "f1" else 0 if "recall" in rule else 1
    assert at(chosen) in able
    assert at(chosen)[place] == pytest.approx(max(e[place] for e in able))


def test_metrics_of_two_classes_are_scikit_learn_s() -> None:
    random = np.random.default_rng(0)
    label = random.integers(0, 2, 200)
    score = np.round(np.clip(label * 0.3 + random.random(200) * 0.7, 0, 1), 2)
    found = evaluate("binary", label[:, None], score[:, None], 0.4)
    told = score > 0.4
    assert found == {
        "rows": 200,
        "auc": pytest.approx(metrics.roc_auc_score(label, score)),
        "accuracy": pytest.approx(metrics.accuracy_score(label, told)),
        "logloss": pytest.approx(metrics.log_loss(label, np.clip(score, 1e-7, 1 - 1e-7))),
        "pr_auc": pytest.approx(metrics.average_precision_score(label, score)),
        "precision": pytest.approx(metrics.precision_score(label, told)),
        "recall": pytest.approx(metrics.recall_score(label, told)),
        "f1": pytest.approx(metrics.f1_score(label, told)),
        "ece": pytest.approx(found["ece"]),
    }
    bins = np.minimum((score * 10).astype(int), 9)
    apart = [abs((score - label)[bins == b].sum()) for b in range(10)]
    assert found["ece"] == pytest.approx(sum(apart) / 200)
    about = describe(label[:, None], score[:, None], ["no", "yes"], 0.4)
    assert about["confusion"] == metrics.confusion_matrix(label, told).tolist()
    assert about["classes"]["yes"]["recall"] == pytest.approx(found["recall"], abs=1e-6)
    assert sum(one["rows"] for one in about["reliability"]) == 200


def test_metrics_of_many_classes_and_of_numbers_are_scikit_learn_s() -> None:
    random = np.random.default_rng(1)
    label = random.integers(0, 46, 300)
    p = random.random((300, 46)) + np.eye(46)[label] * 0.5
    p /= p.sum(1, keepdims=True)
    found = evaluate("multiclass", np.eye(46)[label], p)
    every = list(range(46))
    top = metrics.top_k_accuracy_score(label, p, k=5, labels=every)
    assert found["top_5"] == pytest.approx(top)
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(label, p.argmax(1), average="macro"))
    about = describe(np.eye(46)[label], p, every, 0.5)
    wanted = metrics.confusion_matrix(label, p.argmax(1), labels=every)
    assert about["confusion"] == wanted.tolist()
    y, q = random.random((50, 1)), random.random((50, 1))
    assert evaluate("regression", y, q)["r2"] == pytest.approx(metrics.r2_score(y, q))
    assert describe(y, q, None, 0.5) == {}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"threshold": 1.5}, "from 0 to below 1"),
        ({"threshold": {"recall": 0.9, "precision": 0.9}}, "one of them"),
        ({"threshold": "f1", "task": "multiclass"}, "task: binary"),
        ({"target_transform": "log1p"}, "task: regression"),
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Model(**settings)
