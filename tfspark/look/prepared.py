"""A dataset that `prepare` wrote: by its manifest and statistics, without reading its rows."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from tfspark import storage
from tfspark.dataset import (
    CONTRACT,
    MANIFEST,
    SPLITS,
    Dataset,
    find_dataset,
    open_dataset,
    versions,
)
from tfspark.look.columns import NOT_PUBLIC, first_rows, pictures
from tfspark.look.public import hidden
from tfspark.look.table import sample
from tfspark.look.view import Plot, Section, View
from tfspark.page.words import cut, number, share
from tfspark.starter.look import first_rows as rows_of
from tfspark.tfrecord.folder.manifest import list_folder

_BINS, _SEEN = 20, 200


def find(folder: str) -> Dataset | None:
    """The dataset of a version's folder, or the newest version below a folder."""
    if storage.exists(storage.join(folder, MANIFEST)) and storage.exists(
        storage.join(folder, CONTRACT)
    ):
        return open_dataset(folder)
    if storage.is_dir(folder) and versions(folder):
        return find_dataset(folder)
    return None


def view(data: Dataset, shown: int) -> View:
    """What is known of it."""
    hide = hidden(_contract(data))
    manifest = data.manifest
    counts = {split: number(manifest["rows"].get(split)) for split in SPLITS}
    bytes_of = sum(int(entry.get("bytes", 0)) for entry in manifest["files"].values())
    about = [
        ("version", str(data.version)),
        ("day", cut(manifest.get("day"))),
        ("rows", ", ".join(f"{split} {count}" for split, count in counts.items())),
        ("quarantined", number(manifest.get("quarantined"))),
        ("format", cut(manifest.get("format"))),
        ("files", f"{len(manifest['files']):,}, {bytes_of:,} bytes"),
        ("split", cut(manifest.get("split"), 200)),
        ("digest", cut(data.digest)),
    ]
    made = [Section("Dataset", facts=[one for one in about if one[1]])]
    labels = manifest.get("label_counts") or {}
    label = data.contract.label
    if labels and label not in hide:
        made.append(_labels(labels))
    told = data.statistics
    rows = [_line(name, entry, name in hide) for name, entry in told.items()]
    head = ("column", "type", "missing", "different", "values")
    made.append(Section("Columns", "of the training split, all of its rows", (), head, rows))
    plots = [p for name, entry in told.items() if name not in hide if (p := _plot(name, entry))]
    if plots:
        made.append(Section("Distributions", plots=plots[:40]))
    seen = _rows(data)
    if seen.num_rows:
        made += _images(seen, hide, label)
        if shown:
            some = seen.slice(0, shown)
            made.append(first_rows(some, hide, "First rows of the training split"))
    return View(f"{data.name} version {data.version}", data.path, made)


def _contract(data: Dataset) -> str:
    table = data.manifest.get("table")
    path = storage.join(data.path, CONTRACT)
    return f"{path}#{table}" if table else path


def _labels(labels: Mapping[str, Any]) -> Section:
    names = list(dict.fromkeys(name for one in labels.values() for name in one))[:50]
    rows = [[cut(n), *(number(one.get(n, 0)) for one in labels.values())] for n in names]
    return Section("Labels", head=["label", *labels], rows=rows)


def _line(name: str, entry: Mapping[str, Any], hide: bool) -> tuple[str, ...]:
    rows = entry["count"] + entry["nulls"]
    missing = share(entry["nulls"] / rows) if rows else "–"
    different = number(entry.get("distinct"))
    values = entry.get("values") or []
    if hide:
        said = NOT_PUBLIC
    elif entry.get("mean") is not None and len(values) != (entry.get("distinct") or -1):
        said = f"{number(entry['min'])} to {number(entry['max'])}, mean {number(entry['mean'])}"
    else:
        said = ", ".join(f"{cut(value, 24)} ({count:,})" for value, count in values[:5])
    return name, entry["type"], missing, different, said


def _plot(name: str, entry: Mapping[str, Any]) -> Plot | None:
    values, points = entry.get("values") or [], entry.get("quantiles")
    few = len(values) == entry.get("distinct", -1) and len(values) <= 12
    if points and not few and entry["min"] is not None and entry["max"] > entry["min"]:
        low, high = float(entry["min"]), float(entry["max"])
        if not math.isfinite(high - low):
            return None
        step = (high - low) / _BINS
        counts = [0] * _BINS
        for point in points:
            counts[min(_BINS - 1, int((point - low) / step))] += 1
        total = len(points)
        bars = [(number(low + n * step), count / total) for n, count in enumerate(counts)]
        return Plot(name, bars)
    if values and entry["count"]:
        return Plot(name, [(cut(v, 24), count / entry["count"]) for v, count in values[:10]])
    return None


def _rows(data: Dataset) -> pa.Table:
    if data.manifest.get("format") == "tfrecord":
        return sample(list_folder(storage.join(data.path, "train")), _SEEN)[0]
    files = data.files("train")
    if not files:
        return pa.table({})
    fs, _ = storage.filesystem(files[0])
    inner = [storage.filesystem(file)[1] for file in files]
    found = ds.dataset(inner, format="parquet", filesystem=fs)
    return rows_of(found, _SEEN, "Parquet", data.path)[0]


def _images(rows: pa.Table, hide: Collection[str], label: str | None) -> list[Section]:
    for name in rows.column_names:
        if pa.types.is_binary(rows.schema.field(name).type) and name not in hide:
            named = label in rows.column_names and label not in hide
            names = rows.column(label).to_pylist() if named else [""] * rows.num_rows
            if sheet := pictures(zip(names, rows.column(name).to_pylist(), strict=True)):
                return [Section("Images", sheet=sheet)]
    return []
