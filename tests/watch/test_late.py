"""Late labels: the metric of a day by counts, and the join that counts."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfspark.config import Settings
from tfspark.console import Steps
from tfspark.quality.evaluate import auc
from tfspark.watch import labels
from tfspark.watch.late import Day, days_of, describe, summed
from tfspark.watch.metric import FINE, auc_of, biased, calibrated, expected_auc, mean_of

FRIDAY = dt.date(2026, 11, 20)
RANDOM = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def anew() -> None:
    """The same numbers in every order of tests."""
    global RANDOM
    RANDOM = np.random.default_rng(3)


def scored(rows: int, slope: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels of which the scores are the true chances."""
    score = 1 / (1 + np.exp(-RANDOM.normal(-1, slope / 3, rows)))
    return score, (RANDOM.random(rows) < score).astype(int)


def counts(score: np.ndarray) -> np.ndarray:
    return np.bincount((score * FINE).astype(int), minlength=FINE)


def a_day(number: int, rows: int = 4_000, covered: float = 1.0, version: str = "1") -> Day:
    score, label = scored(rows)
    known = RANDOM.random(rows) < covered
    return Day(
        FRIDAY - dt.timedelta(days=number),
        version,
        counts(score[known & (label == 1)]),
        counts(score[known & (label == 0)]),
        counts(score[~known]),
        rows,
        int(known.sum()),
    )


def test_the_area_by_counts_is_that_of_the_rows_and_its_interval_holds() -> None:
    score, label = scored(3_000)
    found = auc_of(counts(score[label == 1]), counts(score[label == 0]))
    assert found is not None
    assert found.value == pytest.approx(auc(label, score), abs=1e-4)
    truth, inside = auc(*reversed(scored(400_000))), 0
    for _ in range(300):
        score, label = scored(800)
        one = auc_of(counts(score[label == 1]), counts(score[label == 0]))
        assert one is not None
        inside += one.low <= truth <= one.high
    assert 270 <= inside <= 296
    assert auc_of(counts(score), np.zeros(FINE, int)) is None


def test_the_mean_of_costs_and_its_root() -> None:
    cost = RANDOM.random(1_000)
    found = mean_of(1_000, cost.sum(), (cost**2).sum())
    assert found is not None
    assert found.value == pytest.approx(cost.mean())
    assert found.high - found.value == pytest.approx(1.96 * cost.std() / np.sqrt(1_000), rel=0.01)
    root = mean_of(1_000, cost.sum(), (cost**2).sum(), root=True)
    assert root is not None
    assert root.value == pytest.approx(np.sqrt(cost.mean()))
    assert mean_of(1, 1.0, 1.0) is None


def test_labels_that_come_for_high_scores_first_are_told() -> None:
    score, _ = scored(5_000)
    first = np.argsort(score)[-2_000:]
    rest = np.setdiff1d(np.arange(5_000), first)
    found = biased(counts(score[first]), counts(score[rest]))
    assert found is not None
    assert found > 0.1
    assert biased(counts(score[::2]), counts(score[1::2])) is None
    assert biased(counts(score[:50]), counts(score[50:])) is None


def test_an_estimate_without_labels_is_near_the_truth() -> None:
    score, label = scored(20_000)
    chance = calibrated(counts(score[label == 1]), counts(score[label == 0]))
    assert chance is not None
    assert (np.diff(chance) >= 0).all()
    new, truth = scored(20_000)
    assert expected_auc(counts(new), chance) == pytest.approx(auc(truth, new), abs=0.02)
    assert calibrated(counts(score[:50]), counts(score[50:100])) is None


def test_a_day_counts_from_80_percent_or_after_its_delay() -> None:
    days = [
        a_day(9, covered=0.3),
        a_day(3, covered=0.9),
        a_day(2, covered=0.5),
        a_day(1, covered=0),
    ]
    told = describe(days, FRIDAY, "binary", "1", delay=7)
    assert [one["counts"] for one in told] == [True, True, False, False]
    assert told[3]["value"] is None
    assert told[3]["estimate"] == pytest.approx(told[1]["value"], abs=0.04)
    out = describe(days, FRIDAY, "binary", "1", 7, backfilled=[days[1].day])
    assert [one["counts"] for one in out] == [True, False, False, False]
    assert "not judged by it" in out[1]["said"]
    assert summed(told, "auc").verdict == "ok"
    assert "2 days count" in summed(told, "auc").said
    assert summed(told[2:], "auc").said == "no day has enough labels yet"


def test_a_day_far_below_the_days_before_is_a_warning() -> None:
    told = describe([a_day(n) for n in range(12, 0, -1)], FRIDAY, "binary", "1", 7)
    assert summed(told, "auc").verdict == "ok"
    worse = {**told[-1], "value": 0.5, "low": 0.48, "high": 0.52}
    assert summed([*told[:-1], worse], "auc").verdict == "warn"
    high = {**worse, "value": 9.0, "low": 8.0, "high": 10.0}
    assert summed([*told[:-1], high], "rmse").verdict == "warn"


def test_labels_are_joined_by_key_and_day(spark: Any, tmp_path: Path) -> None:
    days = [FRIDAY - dt.timedelta(days=1), FRIDAY]
    score, label = scored(600)
    made = pa.table(
        {
            "id": pa.array(np.tile(np.arange(600), 2), pa.int64()),
            "p": pa.array(np.tile(score, 2), pa.float32()),
            "model_version": ["1"] * 1_200,
            "day": pa.array([days[0]] * 600 + [days[1]] * 600, pa.date32()),
        }
    )
    pq.write_table(made, tmp_path / "scored.parquet")
    late = [f"{n},{label[n]},{days[0]},1" for n in range(600)]
    late += [f"{n},{label[n]},{days[1]},1" for n in range(300)]
    late += [f"0,{1 - label[0]},{days[0]},2", "x,1,2026-11-19,1", f"5,maybe,{days[1]},2"]
    (tmp_path / "late.csv").write_text("id,y,when,seen\n" + "\n".join(late), "utf-8")
    settings = Settings(
        name="m",
        warehouse=str(tmp_path / "warehouse"),
        labels={
            "path": str(tmp_path / "late.csv"),
            "format": "csv",
            "key": ["id"],
            "label": "y",
            "day": "when",
            "updated": "seen",
        },
    )
    manifest = {"recipe": {"model": {"task": "binary"}}, "classes": [0, 1]}
    signature = SimpleNamespace(outputs={"p": None})
    model: Any = SimpleNamespace(
        name="m", version="1", path="m", manifest=manifest, signature=signature
    )
    asked = (spark, settings, Steps("night"), FRIDAY, str(tmp_path / "scored.parquet"), model)
    found = labels(*asked)
    assert found.said.startswith("auc 0."), found.said
    first, second = found.days
    assert first["coverage"] == 1
    assert second["coverage"] == pytest.approx(299 / 600)
    changed = np.where(np.arange(600) == 0, 1 - label, label)
    assert first["value"] == pytest.approx(auc(changed, score), abs=1e-3)
    assert (first["counts"], second["counts"]) == (True, False)
    assert labels(*asked) == found
    # A later night tells the days that it does not look at again as they were last told.
    later = (spark, settings, Steps("night"), FRIDAY + dt.timedelta(days=28), *asked[4:])
    settings.labels.window = 28
    assert [one["date"] for one in labels(*later).days] == ["2026-11-19", "2026-11-20"]
    settings.labels.updated = ""
    told = [one["said"] for one in labels(*asked).days]
    assert told == ["left out, as they have labels that differ: 1 rows"] * 2
    settings.labels.key = ["nobody"]
    assert "no column nobody" in labels(*asked).said
    settings.labels.path = ""
    assert labels(*asked).verdict == "off"


def test_regression_and_classes_are_costs() -> None:
    rows = [
        {
            "day": FRIDAY,
            "version": "1",
            "bin": 0,
            "truth": 0,
            "rows": 4,
            "total": 8.0,
            "squares": 40.0,
            "conflicting": 0,
        },
        {
            "day": FRIDAY,
            "version": "1",
            "bin": 0,
            "truth": None,
            "rows": 1,
            "total": 0.0,
            "squares": 0.0,
            "conflicting": 1,
        },
    ]
    told = describe(days_of(rows), FRIDAY, "regression", "1", 7)[0]
    assert told["value"] == pytest.approx(np.sqrt(2))
    assert told["coverage"] == 0.8
    assert describe(days_of(rows), FRIDAY, "multiclass", "1", 7)[0]["value"] == 2.0
