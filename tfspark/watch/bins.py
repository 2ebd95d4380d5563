"""The bins of the columns that a model is fed, by the statistics of its dataset."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from tfspark.contracts import Column, Contract
from tfspark.contracts.types import family
from tfspark.quality.bins import category_bins, number_bins
from tfspark.tensors import Array
from tfspark.watch.counted import Counted

_HEAD = 0.2
"""Text of which the frequent values have a smaller share is counted by its length."""
_TIMES = ("date", "timestamp")  # they move on every day
SCORE_BINS = 20
_STEPS = 1000


def watched(contract: Contract, fed: Collection[str]) -> list[Column]:
    """The columns whose distribution is watched: what the model is fed of single values."""
    return [
        column
        for column in contract.columns
        if column.name in fed
        and not column.key
        and column.role == "feature"
        and family(column.physical_type) not in ("array", "binary", *_TIMES)
    ]


def by_statistics(
    columns: Sequence[Column], statistics: Mapping[str, Any], narrow: Mapping[str, str]
) -> tuple[list[Counted], list[Counted]]:
    """How the columns are counted.

    Args:
        statistics: of the training split, by column.
        narrow: what a column became in TFRecord files.

    Returns:
        Those whose reference the statistics tell, and those whose values have to be counted.
    """
    told: list[Counted] = []
    open_ones: list[Counted] = []
    for column in columns:
        known = statistics.get(column.name)
        if not known or not known["count"]:
            continue
        rows = known["count"] + known["nulls"]
        single = narrow.get(column.name) == "float"
        if family(column.physical_type) == "string":
            made = _text(column.name, known, rows)
        else:
            quantiles = known["quantiles"]
            common = {float(v): n for v, n in known["values"]} if "values" in known else None
            common = repeated(quantiles, known["count"]) if common is None else common
            bins = number_bins(quantiles, common, rows)
            made = Counted(column.name, "number", bins, single)
            made = _told(made, known, rows)
        (told if made.reference else open_ones).append(made)
    return told, open_ones


def repeated(quantiles: Sequence[float], rows: int) -> dict[float, int]:
    """Values that stand in several quantiles, and about how many rows have them."""
    values, counts = np.unique(np.asarray(quantiles), return_counts=True)
    share = (counts - 1) / max(1, len(quantiles) - 1)
    pairs = zip(values.tolist(), share.tolist(), strict=True)
    return {value: round(part * rows) for value, part in pairs if part}


def of_scores(name: str, values: Array) -> Counted:
    """The bins of a score, and their counts, by the scores of the validation split.

    Args:
        values: finite numbers; at least one.
    """
    import pyarrow as pa

    quantiles = np.quantile(values.astype("float64"), np.linspace(0, 1, _STEPS + 1)).tolist()
    bins = number_bins(quantiles, repeated(quantiles, len(values)), len(values), SCORE_BINS)
    counts = bins.count(pa.array(values.astype("float64")))
    return Counted(name, "number", bins, reference=tuple(counts.tolist()))


def of_classes(name: str, values: Array, classes: int) -> Counted:
    """The bins of the class that has the highest score.

    Args:
        values: places of classes.
    """
    counts = np.bincount(values, minlength=classes)
    bins = category_bins({place: int(counts[place]) for place in range(classes)}, 0)
    rare = sum(int(counts[place]) for place in bins.seen)
    reference = (0, 0, rare, *(int(counts[place]) for place in bins.frequent))
    return Counted(name, "class", bins, reference=reference)


def _told(made: Counted, known: Mapping[str, Any], rows: int) -> Counted:
    """With the reference, where the statistics hold every value."""
    import pyarrow as pa

    if known.get("distinct") != len(known.get("values", ())) or "values" not in known:
        return made
    values = pa.array([float(value) for value, _ in known["values"]], pa.float64())
    counts = np.zeros(len(made.labels()), "int64")
    for place, (_, count) in enumerate(known["values"]):
        counts += made.bins.count(values.slice(place, 1)) * count
    counts[0] += known["nulls"]
    return _with(made, counts)


def _text(name: str, known: Mapping[str, Any], rows: int) -> Counted:
    values = dict(known["values"])
    bins = category_bins(values, rows)
    frequent = [values[value] for value in bins.frequent]
    if sum(frequent) < _HEAD * known["count"]:
        lengths: dict[float, int] = {}
        for value, count in known["values"]:
            lengths[float(len(value))] = lengths.get(float(len(value)), 0) + count
        whole = sum(lengths.values())
        ordered = np.repeat(list(lengths), list(lengths.values()))
        quantiles = np.quantile(ordered, np.linspace(0, 1, 101), method="nearest").tolist()
        made = Counted(name, "length", number_bins(quantiles, lengths, rows))
        if known["distinct"] != len(known["values"]) or whole != known["count"]:
            return made
        import pyarrow as pa

        counts = made.bins.count(pa.array(ordered, pa.float64()))
        counts[0] += known["nulls"]
        return _with(made, counts)
    # Of values that were there once, as many will come that were never there (Good and Turing).
    once = sum(1 for count in values.values() if count == 1)
    unseen = known["count"] - sum(values.values()) + once
    rare = known["count"] - sum(frequent) - unseen
    reference = (known["nulls"], unseen, max(0, rare), *frequent)
    return Counted(name, "category", bins, reference=reference)


def _with(made: Counted, counts: Array) -> Counted:
    reference = tuple(int(count) for count in counts)
    return Counted(made.name, made.form, made.bins, made.single, reference)
