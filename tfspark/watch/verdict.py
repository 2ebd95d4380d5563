"""From counts to a verdict: nothing here reads or writes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from tfspark.quality.drift import ALPHA, LEAST_ROWS, WARN, drifts, rises, rows_level, usual
from tfspark.tensors import Array
from tfspark.watch.counted import Counted, Counts
from tfspark.watch.power import Power, power
from tfspark.watch.reference import Reference
from tfspark.watch.store import COLUMN, ROWS, SCORES, Stored

Verdict = Literal["ok", "warn", "alert", "not computed"]
WINDOWS = (1, 7, 28)
_NULLS, _VANISHED = 0.5, 0.05
_CLEAN, _MOST_CLEAN = 14, 28
_SAME_DAYS = 8
_RANK = {"": 0, "ok": 0, "few rows": 0, "not computed": 1, "warn": 2, "alert": 3}


@dataclass(frozen=True)
class Watched:
    """What is said of a day.

    Attributes:
        said: one sentence.
        rows: `in`, `scored`, `quarantined`, `level`, `said` and `same_days` (date and rows).
        columns: what the model is fed, worst first: `name`, `psi` and `x` of the day (None: too
            few rows), `level`, `edges` (what bins are called), `shares_reference`, `shares_day`,
            `windows` (days → PSI and level), `warns_above`, `said`.
        scores: the same of the model's scores.
        rates: shares that were compared: `name`, `before`, `today`, `level`, `said`.
        power: which shift tonight's rows can tell.
        alpha: how likely a night without any shift has an alarm.
        not_computed: what could not be computed, and why.
    """

    verdict: Verdict
    said: str
    rows: dict[str, Any] = field(default_factory=dict)
    columns: list[dict[str, Any]] = field(default_factory=list)
    scores: dict[str, Any] | None = None
    rates: list[dict[str, Any]] = field(default_factory=list)
    power: dict[str, Any] | None = None
    alpha: float = ALPHA
    not_computed: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return asdict(self)


@dataclass(frozen=True)
class Day:
    """A day that was scored.

    Attributes:
        rows: that came in, of which `bad` were refused.
        columns, scores: the counts; None where there are none, and why.
        backfilled: it was scored later than its night.
    """

    day: dt.date
    version: str
    rows: int
    bad: int
    columns: Counts | None = None
    scores: Array | None = None
    not_computed: tuple[str, ...] = ()
    backfilled: bool = False


def judge(known: Reference, day: Day, past: Sequence[Stored]) -> tuple[Watched, list[Stored]]:
    """The verdict on a day, and what is kept of it.

    Args:
        known: what the model was trained on.
        past: what is stored of the last 28 days and more, of any version; what is stored of the
            day itself is not looked at.
    """
    past = [one for one in past if one.day != day.day and not one.backfilled]
    todays: dict[tuple[str, str], tuple[Counted, Array]] = {}
    for one in known.columns:
        if day.columns is not None and one.name in day.columns:
            todays[COLUMN, one.name] = one, day.columns[one.name]
    if known.scores is not None and day.scores is not None:
        todays[SCORES, known.scores.name] = known.scores, day.scores
    judged = _judged(todays, day, past)
    said = {key: _said(key, *todays[key], judged[key]) for key in todays}
    rates = _rates(known, day, todays)
    rows = _rows(day, past)
    columns = [said[key] for key in todays if key[0] == COLUMN]
    columns.sort(key=lambda one: (-_RANK[one["level"]], -(one["psi"] or 0.0)))
    scores = next((said[key] for key in todays if key[0] == SCORES), None)
    missing = list(day.not_computed)
    if known.no_scores:
        missing.append(f"drift of the scores: {known.no_scores}")
    levels = [one["level"] for one in [*columns, *rates, rows, *([scores] if scores else [])]]
    verdict = _verdict(levels, missing)
    watched = Watched(
        verdict,
        _sentence(verdict, rows, scores, columns, rates, missing),
        rows,
        columns,
        scores,
        rates,
        power=_power(todays, day),
        not_computed=missing,
    )
    kept = [
        Stored(
            day.day,
            day.version,
            *key,
            counts=tuple(counts.tolist()),
            psi=said[key]["psi"],
            level=said[key]["level"],
            backfilled=day.backfilled,
        )
        for key, (_, counts) in todays.items()
    ]
    counts = (day.rows, day.bad)
    kept.append(Stored(day.day, day.version, ROWS, "", counts, None, rows["level"], day.backfilled))
    return watched, kept


def not_computed(why: str) -> Watched:
    """Of a day about which nothing can be said."""
    return Watched("not computed", f"not computed: {why}", not_computed=[why])


def _judged(
    todays: Mapping[tuple[str, str], tuple[Counted, Array]], day: Day, past: Sequence[Stored]
) -> dict[tuple[str, str], dict[str, Any]]:
    """Per column: PSI and level of each window, judged together."""
    asked: dict[str, tuple[Array, Array]] = {}
    warns: dict[str, float] = {}
    names: dict[str, tuple[tuple[str, str], int]] = {}
    for number, (key, (one, counts)) in enumerate(todays.items()):
        own = [p for p in past if (p.kind, p.name) == key and p.version == day.version]
        own = [p for p in own if len(p.counts) == len(counts)]
        for window in WINDOWS:
            first = day.day - dt.timedelta(days=window - 1)
            before = [p for p in own if first <= p.day < day.day]
            if window > 1 and not before:
                continue
            total = counts + np.sum([p.counts for p in before], axis=0, dtype="int64")
            name = f"{number} {window}"
            names[name] = key, window
            asked[name] = np.asarray(one.reference, "int64"), total
        warns[f"{number} 1"] = usual_of(own, day.day)
    found: dict[tuple[str, str], dict[str, Any]] = {
        key: {"windows": {}, "warns_above": warns[f"{number} 1"]}
        for number, key in enumerate(todays)
    }
    for name, drift in drifts(asked, warn=warns).items():
        key, window = names[name]
        found[key]["windows"][str(window)] = {
            "psi": drift.psi,
            "level": drift.level,
            "rows": int(asked[name][1].sum()),
        }
    return found


def usual_of(past: Sequence[Stored], day: dt.date) -> float:
    """The PSI above which a column is warned, by its clean days of the same kind.

    A kind is a working day or a weekend; until there are 14 of them, what is usual is not known.
    """
    same = [
        one.psi
        for one in past
        if one.psi is not None
        and one.level == ""
        and one.day < day
        and (one.day.weekday() >= 5) == (day.weekday() >= 5)
    ]
    return usual(same[-_MOST_CLEAN:]) if len(same) >= _CLEAN else WARN


def _said(
    key: tuple[str, str], one: Counted, counts: Array, judged: dict[str, Any]
) -> dict[str, Any]:
    """What is said of a column."""
    windows = judged["windows"]
    today, reference = windows["1"], np.asarray(one.reference, "int64")
    level = max((w["level"] for w in windows.values()), key=lambda name: _RANK[name])
    if today["level"] == "few rows" and _RANK[level] == 0:
        level = "few rows" if all(w["level"] == "few rows" for w in windows.values()) else ""
    n, m = int(counts.sum()), int(reference.sum())
    shares, before = _shares(counts), _shares(reference)
    sudden = _sudden(one, before, shares, n)
    reasons = [
        f"the {'day' if window == '1' else window + ' days'}: PSI {found['psi']:.3f} ({w_level})"
        for window, found in windows.items()
        if (w_level := found["level"]) in ("warn", "alert")
    ]
    if sudden:
        level, reasons = "alert", [*sudden, *reasons]
    if level == "few rows":
        reasons.append(f"{n} rows are too few for a verdict, it takes {LEAST_ROWS}")
    psi = today["psi"]
    return {
        "name": one.name,
        "kind": key[0],
        "form": one.form,
        "psi": psi,
        "x": None if psi is None or not (n and m) else psi / (1 / n + 1 / m),
        "level": level,
        "edges": one.labels(),
        "shares_reference": before,
        "shares_day": shares,
        "rows": n,
        "said": "; ".join(reasons),
        **judged,
    }


def _sudden(one: Counted, before: list[float], today: list[float], rows: int) -> list[str]:
    """What needs no test: it was never so, and it is so for most rows or all."""
    if rows < LEAST_ROWS:
        return []
    said, labels = [], one.labels()
    if before[0] == 0 and today[0] >= _NULLS:
        said.append(f"never null in training, {today[0]:.0%} are null now")
    if max(today) == 1 and max(before) < 1 - _VANISHED:
        said.append(f"all rows are in one bin now ({labels[int(np.argmax(today))]})")
    if one.form in ("category", "class"):
        gone = [
            labels[place]
            for place in range(3, len(labels))
            if before[place] >= _VANISHED and today[place] == 0
        ]
        if gone:
            said.append(f"gone: {', '.join(gone)}")
    return said


def _rates(
    known: Reference, day: Day, todays: Mapping[tuple[str, str], tuple[Counted, Array]]
) -> list[dict[str, Any]]:
    """The shares of nulls, of unseen values and of refused rows."""
    pairs: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {}
    if known.rows and day.rows:
        pairs["quarantine"] = (known.bad, known.rows), (day.bad, day.rows)
    for (kind, name), (one, counts) in todays.items():
        n, m = int(counts.sum()), sum(one.reference)
        if kind == COLUMN and n and m:
            pairs[f"null {name}"] = (one.reference[0], m), (int(counts[0]), n)
            if one.form == "category":
                pairs[f"unseen {name}"] = (one.reference[1], m), (int(counts[1]), n)
    found = []
    alpha = ALPHA / max(1, len(pairs))
    for name, (before, today) in pairs.items():
        up = rises(before, today, alpha)
        p, q = before[0] / before[1], today[0] / today[1]
        said = f"{name}: {p:.2%} in training, {q:.2%} now" if up else ""
        level = "warn" if up else ""
        found.append({"name": name, "before": p, "today": q, "level": level, "said": said})
    return found


def _rows(day: Day, past: Sequence[Stored]) -> dict[str, Any]:
    """How many rows there are, beside those of the same weekdays."""
    by_day = {one.day: one.counts[0] for one in past if one.kind == ROWS and one.day < day.day}
    same = [(d, n) for d, n in sorted(by_day.items()) if d.weekday() == day.day.weekday()]
    same = same[-_SAME_DAYS:]
    level = {"": "", "warn": "warn", "fail": "alert"}[rows_level(day.rows, [n for _, n in same])]
    said = ""
    if level:
        middle = int(np.median([n for _, n in same]))
        said = f"{day.rows:,} rows, {middle:,} are usual on this weekday"
    return {
        "in": day.rows,
        "scored": day.rows - day.bad,
        "quarantined": day.bad,
        "level": level,
        "said": said,
        "same_days": [[d.isoformat(), n] for d, n in same],
        "days": [[d.isoformat(), n] for d, n in sorted(by_day.items())[-28:]]
        + [[day.day.isoformat(), day.rows]],
    }


def _power(
    todays: Mapping[tuple[str, str], tuple[Counted, Array]], day: Day
) -> dict[str, Any] | None:
    """Which shift the rows of the day can tell, in the column of most bins."""
    if not todays:
        return None
    one, counts = max(todays.values(), key=lambda two: len(two[1]))
    n, m = int(counts.sum()), sum(one.reference)
    if n < LEAST_ROWS or not m:
        return None
    found: Power = power(n, m, len(counts), ALPHA / (len(todays) * len(WINDOWS)))
    return {**asdict(found), "rows": n}


def _verdict(levels: Sequence[str], missing: Sequence[str]) -> Verdict:
    worst = max(levels, key=lambda name: _RANK[name], default="")
    if worst in ("warn", "alert"):
        return "alert" if worst == "alert" else "warn"
    return "not computed" if missing else "ok"


def _sentence(
    verdict: str,
    rows: Mapping[str, Any],
    scores: Mapping[str, Any] | None,
    columns: Sequence[Mapping[str, Any]],
    rates: Sequence[Mapping[str, Any]],
    missing: Sequence[str],
) -> str:
    """The verdict in words: scores first, they are what people use."""
    said = []
    if scores and scores["level"] in ("warn", "alert"):
        said.append(f"the scores have drifted ({scores['said']})")
    drifted = [one for one in columns if one["level"] in ("warn", "alert")]
    said += [f"{one['name']} has drifted ({one['said']})" for one in drifted[:3]]
    if len(drifted) > 3:
        said.append(f"so have {len(drifted) - 3} more columns")
    said += [one["said"] for one in rates if one["level"]][:3]
    if rows["level"]:
        said.append(rows["said"])
    if verdict == "ok":
        return "nothing has drifted"
    said += [f"not computed: {why}" for why in missing[:2]]
    return "; ".join(said)


def _shares(counts: Array) -> list[float]:
    total = int(counts.sum())
    return [round(float(count) / total, 6) if total else 0.0 for count in counts.tolist()]
