"""How good a model is on parts of a split: by the values of columns that the recipe names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.quality.evaluate import EPOCH_METRICS, WEIGHTED, measure
from tfspark.tensors import Array

MOST = 50
"""Values of a column with rows of their own in the table: the most frequent ones."""

_TOLD = 20  # of a column, beside a run's other metrics; the manifest has all

Slices = dict[str, list[dict[str, Any]]]


def by_slice(
    columns: Mapping[str, pa.ChunkedArray],
    task: str,
    label: Array,
    prediction: Array,
    threshold: float,
    weight: Array | None,
) -> Slices:
    """Of each column its values, the most frequent first, each with the metrics of its rows.

    `value` is None for rows without one; what is beyond `MOST` values is one entry, which has
    `values`, their number, in its place.
    """
    return {
        name: [
            told | measure(task, label[rows], prediction[rows], threshold, _of(weight, rows))
            for told, rows in _parts(column)
        ]
        for name, column in columns.items()
    }


def headline(slices: Slices, task: str) -> dict[str, float]:
    """What a run's metrics say of slices: `auc.sex.female`, and the rows."""
    wanted = ("rows", *(f"{kind}{name}" for kind in ("", WEIGHTED) for name in EPOCH_METRICS[task]))
    return {
        f"{metric}.{column}.{slice_name(part)}": part[metric]
        for column, parts in slices.items()
        for part in parts[:_TOLD]
        for metric in wanted
        if metric in part
    }


def slice_name(part: Mapping[str, Any]) -> str:
    """What the rows of a slice have in common, in words."""
    if "values" in part:
        return f"({part['values']} others)"
    return "(none)" if part["value"] is None else str(part["value"])


def _of(weight: Array | None, rows: Array) -> Array | None:
    return None if weight is None else weight[rows]


def _parts(column: pa.ChunkedArray) -> Iterator[tuple[dict[str, Any], Array]]:
    """What is said of each slice, and its rows."""
    coded = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    ids, values = coded.indices.to_numpy(), coded.dictionary.to_pylist()
    counts = np.bincount(ids, minlength=len(values))
    order = sorted(range(len(values)), key=lambda n: (-counts[n], str(values[n])))
    for number in order[:MOST]:
        yield {"value": _plain(values[number])}, np.flatnonzero(ids == number)
    if rest := order[MOST:]:
        yield {"values": len(rest)}, np.flatnonzero(np.isin(ids, rest))


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | str) else str(value)
