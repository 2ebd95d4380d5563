"""The verdict on a day, on counts alone."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pyarrow as pa
import pytest

from tfspark.quality.bins import category_bins, number_bins
from tfspark.watch.bins import of_classes, of_scores, repeated
from tfspark.watch.counted import Counted, count_batches
from tfspark.watch.power import power
from tfspark.watch.reference import Reference
from tfspark.watch.store import ROWS, Stored, read, replace
from tfspark.watch.verdict import Day, Watched, judge, not_computed, usual_of

FRIDAY = dt.date(2026, 11, 20)
RANDOM = np.random.default_rng(7)


@pytest.fixture(autouse=True)
def anew() -> None:
    """The same numbers in every order of tests."""
    global RANDOM
    RANDOM = np.random.default_rng(7)


TRAINED = RANDOM.normal(size=50_000)
CITIES = {"Bern": 30_000, "Rome": 15_000, "Oslo": 5_000}


def known(scores: Counted | None = None) -> Reference:
    bins = number_bins(np.quantile(TRAINED, np.linspace(0, 1, 101)).tolist(), {}, len(TRAINED))
    age = Counted("age", "number", bins, reference=tuple(bins.count(pa.array(TRAINED)).tolist()))
    city = Counted(
        "city", "category", category_bins(CITIES, 50_000), reference=(0, 0, 0, *CITIES.values())
    )
    return Reference((age, city), scores, "", 100, 50_100)


def day(age: np.ndarray, cities: list[str | None], when: dt.date = FRIDAY, **more: int) -> Day:
    batch = pa.record_batch({"age": pa.array(age), "city": pa.array(cities, pa.string())})
    rows = len(age)
    counts = count_batches(known().columns, [batch])
    return Day(when, "1", rows, more.get("bad", 0), counts)


def usual_day(rows: int = 5_000, when: dt.date = FRIDAY, shift: float = 0.0) -> Day:
    cities = RANDOM.choice(list(CITIES), rows, p=[0.6, 0.3, 0.1]).tolist()
    return day(RANDOM.normal(shift, size=rows), cities, when)


def column(watched: Watched, name: str) -> dict[str, object]:
    return next(one for one in watched.columns if one["name"] == name)


def test_a_day_like_the_training_is_ok_and_says_what_it_could_have_seen() -> None:
    watched, kept = judge(known(), usual_day(), [])
    assert (watched.verdict, watched.said) == ("ok", "nothing has drifted")
    assert {one.name for one in kept} == {"age", "city", ""}
    assert watched.power is not None
    assert 0.1 < watched.power["deviations"] < 0.4
    json.dumps(watched.to_json(), allow_nan=False)


def test_shifts_are_named_worst_first() -> None:
    watched, _ = judge(known(), usual_day(shift=0.6), [])
    assert watched.verdict == "alert"
    assert watched.columns[0]["name"] == "age"
    assert "age has drifted (the day: PSI 0.3" in watched.said
    assert column(watched, "city")["level"] == ""


def test_one_outlier_is_no_drift() -> None:
    age = RANDOM.normal(size=5_000)
    age[0] = 1e9
    watched, _ = judge(known(), day(age, ["Bern", "Bern", "Bern", "Rome", "Oslo"] * 1_000), [])
    assert column(watched, "age")["level"] == ""


def test_what_was_never_so_is_an_alert_without_a_test() -> None:
    rows = 1_000
    nulls = day(RANDOM.normal(size=rows), [None] * 600 + ["Bern"] * 400)
    watched, _ = judge(known(), nulls, [])
    said = str(column(watched, "city")["said"])
    assert "never null in training, 60% are null now" in said
    assert "gone: Rome, Oslo" in said
    assert [one["name"] for one in watched.rates if one["level"]] == ["null city"]
    constant, _ = judge(known(), day(np.zeros(rows), ["Bern"] * rows), [])
    assert "all rows are in one bin" in str(column(constant, "age")["said"])


def test_few_rows_have_a_window_but_no_verdict_of_their_own() -> None:
    watched, kept = judge(known(), usual_day(100, shift=2.0), [])
    assert watched.verdict == "ok"
    assert column(watched, "age")["level"] == "few rows"
    past = [
        Stored(FRIDAY - dt.timedelta(days=n), "1", one.kind, one.name, one.counts)
        for n in range(1, 6)
        for one in kept
    ]
    again, _ = judge(known(), usual_day(100, shift=2.0), past)
    assert again.verdict == "alert"
    assert "7 days" in str(column(again, "age")["said"])


def test_days_of_another_version_backfilled_or_judged_now_are_in_no_window() -> None:
    _, kept = judge(known(), usual_day(5_000, shift=3.0), [])
    strange = [Stored(FRIDAY, "1", one.kind, one.name, one.counts) for one in kept] + [
        Stored(FRIDAY - dt.timedelta(1), version, one.kind, one.name, one.counts, backfilled=late)
        for one in kept
        for version, late in (("2", False), ("1", True))
    ]
    assert judge(known(), usual_day(), strange)[0].verdict == "ok"


def test_what_swings_is_warned_later() -> None:
    days = [FRIDAY - dt.timedelta(days=n) for n in range(1, 40)]
    past = [Stored(one, "1", "column", "age", (1,), psi=0.05) for one in days]
    assert usual_of(past, FRIDAY) == pytest.approx(0.075)
    assert usual_of(past[:10], FRIDAY) == 0.02
    alarmed = [Stored(one, "1", "column", "age", (1,), psi=0.05, level="warn") for one in days]
    assert usual_of(alarmed, FRIDAY) == 0.02


def test_rows_are_compared_with_the_same_weekday() -> None:
    past = [
        Stored(FRIDAY - dt.timedelta(days=n), "1", ROWS, "", (5_000 if n % 7 == 0 else 90_000, 0))
        for n in range(1, 50)
    ]
    assert judge(known(), usual_day(), past)[0].rows["level"] == ""
    few, _ = judge(known(), usual_day(300), past)
    assert (few.verdict, few.rows["level"]) == ("alert", "alert")
    assert "300 rows, 5,000 are usual on this weekday" in few.said


def test_more_refused_rows_than_in_training() -> None:
    cities = ["Bern", "Bern", "Bern", "Rome", "Oslo"] * 1_000
    watched, _ = judge(known(), day(RANDOM.normal(size=5_000), cities, bad=400), [])
    assert watched.verdict == "warn"
    assert "quarantine: 0.20% in training, 8.00% now" in watched.said


def test_what_is_missing_is_said_and_is_no_alarm() -> None:
    watched, _ = judge(known(), Day(FRIDAY, "1", 10, 0, None, None, ("drift: no contract",)), [])
    assert (watched.verdict, watched.said) == ("not computed", "not computed: drift: no contract")
    assert not_computed("x").verdict == "not computed"


def test_no_alarm_without_a_shift() -> None:
    rows, alarms = 2_000, 0
    for _ in range(50):
        alarms += judge(known(), usual_day(rows), [])[0].verdict != "ok"
    assert alarms <= 1


def test_scores_and_classes_have_bins() -> None:
    scores = of_scores("p", np.concatenate([np.zeros(400), RANDOM.random(600)]).astype("float32"))
    assert sum(scores.reference) == 1_000
    assert scores.labels()[4] == "= 0"
    assert scores.reference[4] == 400
    assert repeated([0.0, 0.0, 0.0, 1.0, 2.0], 100) == {0.0: 50}
    classes = of_classes("p", np.array([0] * 70 + [1] * 30), 3)
    lists = pa.array([[0.1, 0.2, 0.7], [0.9, 0.1, 0.0], None])
    assert classes.count(lists).tolist()[0] == 1
    assert classes.labels()[3:] == ["0", "1", "2"]
    for one in (scores, classes, *known().columns):
        assert Counted.from_json(json.loads(json.dumps(one.to_json()))) == one


def test_what_a_night_can_tell_is_what_is_drawn() -> None:
    # A true PSI at the border of what is seen is warned in about 4 of 5 nights.
    found = power(2_000, 100_000, 10, 0.001)
    assert found.warns == pytest.approx(0.05, abs=0.01)
    assert found.alerts == pytest.approx(0.15, abs=0.02)
    shift = np.sqrt(found.seen)
    reference = known().columns[0]
    hits = 0
    for _ in range(200):
        counts = reference.count(pa.array(RANDOM.normal(shift, size=2_000)))
        p, q = (np.asarray(c) + 0.5 for c in (reference.reference, counts))
        p, q = p / p.sum(), q / q.sum()
        hits += ((p - q) * np.log(p / q)).sum() > found.warns
    assert 100 < hits < 200


def test_counts_of_a_day_are_replaced_as_a_whole(tmp_path) -> None:
    table = str(tmp_path / "counts")
    one = Stored(FRIDAY, "1", "column", "age", (1, 2), 0.5, "warn")
    replace(table, "m", FRIDAY, "1", [one, Stored(FRIDAY, "1", ROWS, "", (3, 0))])
    replace(table, "m", FRIDAY, "1", [one])
    replace(table, "m", FRIDAY, "2", [Stored(FRIDAY, "2", "column", "age", (7,))])
    replace(table, "o'm", FRIDAY, "1", [Stored(FRIDAY, "1", "column", "age", (9,))])
    assert [o for o in read(table, "m", FRIDAY) if o.version == "1"] == [one]
    assert len(read(table, "m", FRIDAY)) == 2
    assert read(table, "m", FRIDAY + dt.timedelta(1)) == []
    assert read(str(tmp_path / "none"), "m", FRIDAY) == []
