"""Labels that come late: how right each of the last days was, as far as it is known tonight.

Scored rows and labels are joined by key and counted by day, score and label: one query, whatever
the number of days. What is found is appended with tonight's date, so that a label that changes
gives a new value and leaves the old one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from tfspark import storage, tables
from tfspark.config import Settings, Source
from tfspark.console import Steps
from tfspark.contracts import load_contract
from tfspark.errors import ConfigError
from tfspark.quality.evaluate import LOWER_IS_BETTER, METRICS
from tfspark.registry.resolve import ModelFolder
from tfspark.tensors import Array
from tfspark.watch.joined import Columns, counted
from tfspark.watch.metric import (
    FINE,
    Value,
    auc_of,
    biased,
    calibrated,
    expected_auc,
    mean_of,
)
from tfspark.watch.reference import resolved
from tfspark.watch.store import read_rows, replace_rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_ENOUGH = 0.8
_LEAST_DAYS = 7
_SHOWN = 90
METRIC_ROWS = pa.schema(
    {
        "as_of": pa.date32(),
        "model": pa.string(),
        "day": pa.date32(),
        "version": pa.string(),
        "metric": pa.string(),
        "rows": pa.int64(),
        "labelled": pa.int64(),
        "value": pa.float64(),
        "low": pa.float64(),
        "high": pa.float64(),
        "estimate": pa.float64(),
        "counts": pa.bool_(),
        "said": pa.string(),
    }
)


@dataclass(frozen=True)
class Labelled:
    """How right the last days were.

    Attributes:
        verdict: `off`: no labels are configured; `warn`: the newest day that counts is worse than
            the days before it swing.
        days: `date`, `version`, `rows`, `coverage`, `metric`, `value`, `low`, `high` (95 %),
            `estimate` (made without labels), `counts` (enough labels are there, or their delay is
            over), `said`.
    """

    verdict: Literal["ok", "warn", "not computed", "off"]
    said: str
    metric: str = ""
    days: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return asdict(self)


@dataclass(frozen=True)
class Day:
    """A scored day in counts.

    Attributes:
        ones, zeros, none: rows by bin of the score: of either class, and without a label.
        rows, labelled: how many there are.
        total, squares: of what each labelled row costs.
        conflicting: rows with several labels that differ.
    """

    day: dt.date
    version: str
    ones: Array
    zeros: Array
    none: Array
    rows: int = 0
    labelled: int = 0
    total: float = 0.0
    squares: float = 0.0
    conflicting: int = 0


def labels(
    spark: SparkSession,
    settings: Settings,
    steps: Steps,
    day: dt.date,
    target: str,
    model: ModelFolder | str,
    *,
    backfilled: Collection[dt.date] = (),
) -> Labelled:
    """Compare the last days of a scored table with the labels that have come.

    Args:
        day: tonight's.
        model: of tonight; a folder or an MLflow URI is looked up.
        backfilled: days that were scored later than their night: a model may have been trained on
            them, so it is not judged by them.

    Returns:
        The days. What could not be computed is said in it; nothing is raised.
    """
    if not settings.labels.path:
        return Labelled("off", "no labels are configured (labels.path)")
    with steps.step("labels") as info:
        try:
            scorer = resolved(settings, model)
            found = _labels(spark, settings, day, target, scorer, backfilled)
        except Exception as error:  # the table is published, whatever breaks here
            lines = str(error).strip().splitlines() or [type(error).__name__]
            found = Labelled("not computed", f"not computed: {lines[0][:500]}")
        info["verdict"] = found.verdict
    return found


def metrics_table(settings: Settings) -> str:
    """The Delta table of what was found each night."""
    return storage.join(settings.warehouse, "watch", "metrics")


def _labels(
    spark: SparkSession,
    settings: Settings,
    day: dt.date,
    target: str,
    model: ModelFolder,
    backfilled: Collection[dt.date],
) -> Labelled:
    columns = _columns(settings, model)
    asked = settings.labels
    source = Source(format=asked.format, path=asked.path, options=asked.options)
    named = [*columns.keys, columns.label, *filter(None, [asked.day, asked.updated])]
    late = tables.read_source(spark, source, None, named)
    since = day - dt.timedelta(days=asked.window - 1)
    scored = tables.read_table(spark, target)
    found = days_of(counted(scored, late, columns, asked, since, day).to_pylist())
    told = describe(found, day, columns.task, model.version, asked.delay, backfilled)
    table, tonight = metrics_table(settings), day.isoformat()
    rows = [{"as_of": day, "model": model.name, **one} for one in told]
    for row in rows:
        row["day"] = dt.date.fromisoformat(row.pop("date"))
        del row["coverage"]
    before = _before(table, model.name, since)
    replace_rows(
        table,
        pa.Table.from_pylist(rows, METRIC_ROWS),
        {
            "as_of": tonight,
            "model": model.name,
        },
    )
    return summed([*before, *told], METRICS[columns.task][0])


def _columns(settings: Settings, model: ModelFolder) -> Columns:
    """What is joined and compared, by the settings, the contract and the model's manifest."""
    asked, manifest = settings.labels, model.manifest or {}
    contract = load_contract(settings.contract) if settings.contract else None
    keys = asked.key or (contract.keys if contract else [])
    label = asked.label or (contract.label if contract else None)
    task = (manifest.get("recipe") or {}).get("model", {}).get("task")
    if not keys or not label:
        raise ConfigError("labels.key, labels.label: name the columns, there is no contract to")
    if task not in METRICS:
        raise ConfigError(f"model {model.path}: its manifest does not say what it predicts")
    output = next(iter(model.signature.outputs))
    name = settings.score.outputs.get(output, output)
    return Columns(tuple(keys), label, name, task, tuple(manifest.get("classes") or ()))


def days_of(rows: Sequence[Mapping[str, Any]]) -> list[Day]:
    """The counts of each day; a day that several versions scored is told by version."""
    found: dict[tuple[dt.date, str], dict[str, Any]] = {}
    for row in rows:
        key = row["day"], row["version"]
        empty = {name: np.zeros(FINE, "int64") for name in ("ones", "zeros", "none")}
        one = found.setdefault(
            key, {**empty, "rows": 0, "labelled": 0, "total": 0.0, "squares": 0.0, "conflicting": 0}
        )
        name = {None: "none", 1: "ones"}.get(row["truth"], "zeros")
        one[name][row["bin"]] += row["rows"]
        one["rows"] += row["rows"]
        one["conflicting"] += row["conflicting"] or 0
        if row["truth"] is not None:
            one["labelled"] += row["rows"]
            one["total"] += row["total"]
            one["squares"] += row["squares"]
    return [Day(*key, **one) for key, one in sorted(found.items())]


def describe(
    days: Sequence[Day],
    tonight: dt.date,
    task: str,
    version: str,
    delay: int,
    backfilled: Collection[dt.date] = (),
) -> list[dict[str, Any]]:
    """What is said of each day."""
    chance = None
    if task == "binary":
        own = [d for d in days if d.version == version and d.day not in backfilled]
        own = [d for d in own if _counts(d, tonight, delay)]
        if own:
            chance = calibrated(_added(d.ones for d in own), _added(d.zeros for d in own))
    told = []
    for one in days:
        value, said = _value(one, task), []
        if one.day in backfilled:
            value = None
            said.append("scored later than its night: not judged by it")
        elif one.labelled and value is None:
            said.append("one class only, or too few labels")
        bias = biased(one.ones + one.zeros, one.none) if task != "regression" else None
        if bias is not None and value is not None:
            said.append(f"labels have come for other scores than the rest has (PSI {bias:.2f})")
        if one.conflicting:
            said.append(f"left out, as they have labels that differ: {one.conflicting:,} rows")
        estimate = None
        if chance is not None and one.version == version:
            estimate = expected_auc(one.ones + one.zeros + one.none, chance)
        told.append(
            {
                "date": one.day.isoformat(),
                "version": one.version,
                "rows": one.rows,
                "labelled": one.labelled,
                "coverage": one.labelled / one.rows if one.rows else 0.0,
                "metric": METRICS[task][0],
                "value": value and value.value,
                "low": value and value.low,
                "high": value and value.high,
                "estimate": estimate,
                "counts": value is not None and _counts(one, tonight, delay),
                "said": "; ".join(said),
            }
        )
    return told


def summed(days: Sequence[Mapping[str, Any]], metric: str) -> Labelled:
    """The verdict on the days, oldest first."""
    shown = [dict(one) for one in days][-_SHOWN:]
    known = [one for one in shown if one["counts"]]
    if not known:
        return Labelled("ok", "no day has enough labels yet", metric, shown)
    newest, before = known[-1], [one["value"] for one in known[:-1]]
    said = f"{metric} {newest['value']:.4g} on {newest['date']}, with {newest['coverage']:.0%} of "
    said += f"its labels; {len(known)} days count"
    if len(before) >= _LEAST_DAYS:
        middle, spread = float(np.mean(before)), 3 * float(np.std(before, ddof=1))
        low_is_good = metric in LOWER_IS_BETTER
        bound = middle + spread if low_is_good else middle - spread
        worse = newest["low"] > bound if low_is_good else newest["high"] < bound
        if worse:
            return Labelled("warn", f"{said}; it was {middle:.4g} before", metric, shown)
    return Labelled("ok", said, metric, shown)


def _before(table: str, model: str, since: dt.date) -> list[dict[str, Any]]:
    """Older days, each as it was last told."""
    first = since - dt.timedelta(days=_SHOWN)
    rows = read_rows(table, [("model", "==", model), ("day", "<", since), ("day", ">=", first)])
    last: dict[tuple[dt.date, str], dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row["as_of"]):
        last[row["day"], row["version"]] = row
    told = []
    for key, row in sorted(last.items()):
        kept = {name: row[name] for name in METRIC_ROWS.names[3:]}
        coverage = row["labelled"] / row["rows"] if row["rows"] else 0.0
        told.append({"date": key[0].isoformat(), "coverage": coverage, **kept})
    return told


def _counts(one: Day, tonight: dt.date, delay: int) -> bool:
    covered = one.labelled >= _ENOUGH * one.rows
    return bool(one.labelled) and (covered or one.day + dt.timedelta(days=delay) <= tonight)


def _value(one: Day, task: str) -> Value | None:
    if task == "binary":
        return auc_of(one.ones, one.zeros)
    return mean_of(one.labelled, one.total, one.squares, root=task == "regression")


def _added(parts: Iterable[Array]) -> Array:
    total: Array = np.sum(list(parts), axis=0)
    return total
