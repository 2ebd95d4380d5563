"""What follows from labels and scores: metrics, slices, what one look at them refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.sizes import size
from tfspark.config import load_settings
from tfspark.config.gate import MARGINS, Gate
from tfspark.errors import ConfigError
from tfspark.judge import measure as measures
from tfspark.judge.checks import of_scores
from tfspark.judge.measure import by_slice, decide, leaks, measure
from tfspark.judge.scores import Scores
from tfspark.quality.evaluate import evaluate


def drawn(rows: int, seed: int = 0, noise: tuple[float, float] = (0.5, 0.5)) -> Any:
    """Labels, and two models' probabilities of them, each with its own noise."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=rows)
    label = (rng.random(rows) < 1 / (1 + np.exp(-true))).astype("float32")[:, None]
    scores = [1 / (1 + np.exp(-(true + n * rng.normal(size=rows)))) for n in noise]
    return label, [score.astype("float32")[:, None] for score in scores]


def test_metrics_are_those_of_training() -> None:
    label, scores = drawn(500)
    found = {one.name: one for one in measure("binary", label, scores, {})}
    for name in ("auc", "logloss"):
        for which, score in zip(("champion", "challenger"), scores, strict=True):
            told = evaluate("binary", label, score)[name]
            assert getattr(found[name], which) == pytest.approx(told, rel=1e-9)
        better = found[name].challenger - found[name].champion
        sign = 1 if name == "auc" else -1
        assert found[name].difference.value == pytest.approx(sign * better, abs=1e-12)
    assert found["logloss"].margin == pytest.approx(0.01 * found["logloss"].champion)
    numbers = {one.name: one for one in measure("regression", label, scores, {"mae": 0.5})}
    told = evaluate("regression", label, scores[0])
    assert numbers["mse"].champion == pytest.approx(told["rmse"] ** 2)
    assert numbers["mae"].margin == pytest.approx(0.5 * told["mae"])


def test_the_second_metric_may_object() -> None:
    """Ranked as before, but sure of itself without reason."""
    label, (score, _) = drawn(4000)
    sure = (score > 0.5) * 0.5 + score * 0.5
    word, reason = decide(measure("binary", label, [score, sure], {}), 50)
    assert word == "worse"
    assert reason.startswith("logloss")
    one_class = measure("binary", np.ones_like(label), [score, sure], {})
    assert decide(one_class, 50)[0] == "cannot tell"
    assert not leaks(one_class, 0.1)


def test_of_many_slices_one_looks_bad_by_chance() -> None:
    """Equal models, 20 slices each: in one of 20 gates at most a slice is called worse."""
    wolves = 0
    for seed in range(size(30, soak=300)):
        label, scores = drawn(6000, seed, (0.6, 0.6))
        values = pa.chunked_array([(np.arange(6000) % 20).astype(str)])
        found = by_slice("binary", label, scores, {"column": values}, {"auc": 1e-9})
        assert len(found) == 20
        wolves += any(one["worse"] for one in found)
    assert wolves <= size(6, soak=24)


def test_small_slices_are_put_together() -> None:
    label, scores = drawn(2000)
    texts = [f"v{i % 100}" if i < 1000 else "large" for i in range(2000)]
    values = pa.chunked_array([texts[:700], texts[700:]])
    found = by_slice("binary", label, scores, {"column": values}, {})
    assert [(one["value"], one["rows"]) for one in found] == [("large", 1000), ("small", 1000)]
    # Perfect, and reversed: no spread, and no doubt.
    sharp = [label, 1 - label]
    assert all(one["worse"] for one in by_slice("binary", label, sharp, {"c": values}, {}))
    assert not any(
        one["worse"] for one in by_slice("binary", label, [label] * 2, {"c": values}, {})
    )


def test_of_a_rare_class_all_rows_count(monkeypatch: pytest.MonkeyPatch) -> None:
    label, scores = drawn(5000, noise=(0.2, 1.5))
    whole = measure("binary", label, scores, {})[0].difference
    monkeypatch.setattr(measures, "_MOST_ZEROS", 1000)
    drawn_ones = measure("binary", label, scores, {})[0].difference
    assert drawn_ones.rows == int(label.sum()) + 1000
    assert drawn_ones.value == pytest.approx(whole.value, abs=3 * drawn_ones.error)
    assert drawn_ones.error > whole.error


def test_one_look_at_the_scores() -> None:
    label, (one, other) = drawn(2000)

    def failed(champion: Any, challenger: Any, task: str = "binary", **more: Any) -> list[str]:
        given = {"failed": [(0, ""), (0, "")], "slices": {}, "seconds": [1.0, 1.0], **more}
        checks = of_scores(Gate(), task, Scores(label, [champion, challenger], **given), None)
        return [check.name for check in checks if not check.passed]

    assert failed(one, other) == []
    assert failed(one, np.round(other)) == ["not constant"]
    assert failed(np.round(one), np.round(other)) == []  # as the champion does
    holes = np.where(np.arange(2000)[:, None] < 3, np.nan, other).astype("float32")
    assert failed(one, holes) == ["finite"]
    assert failed(one, holes, failed=[(0, ""), (3, "null")]) == ["scored"]
    assert failed(holes, other) == ["champion"]
    assert failed(one, other * 0.7) == ["mean score"]
    assert failed(one * 0.7, other) == []  # towards the labels
    assert failed(one, other, seconds=[1.0, 1.6]) == ["latency"]
    assert failed(one, other, seconds=[1e-4, 1e-3]) == []
    away = one - one.mean()
    assert failed(away, away + 0.01, "regression") == []  # the champion's mean is 0


def test_settings_name_their_metrics() -> None:
    with pytest.raises(ConfigError, match=r"gate\.margin: roc is no metric; there are auc"):
        load_settings(None, {"gate.margin": {"roc": 0.1}})
    with pytest.raises(ConfigError, match="a margin is above 0"):
        load_settings(None, {"gate.slice_margin": {"auc": 0}})
    assert load_settings(None, {"gate.slices": ["country"]}).gate.slices == ["country"]
    assert {n for names in measures.METRICS.values() for n in names} == MARGINS.keys()
