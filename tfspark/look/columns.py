"""Columns of a sample of rows: a line each, a plot each, and the first rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.config.textoptions import TextForms
from tfspark.look.view import Picture, Plot, Section
from tfspark.page.words import cut, number, share
from tfspark.starter.facts import Facts, facts, told

NOT_PUBLIC = "(not public)"
_BINS, _PLOTS, _COLUMNS = 20, 40, 500
_SHEET, _SHEET_BYTES = 24, 3 << 20


def sections(
    rows: pa.Table, shown: int, hide: Collection[str], forms: TextForms, seen: str
) -> list[Section]:
    """What a sample says.

    Args:
        shown: how many rows are shown.
        hide: columns whose values are not shown.
        seen: how many rows that are, in words.
    """
    names = rows.column_names[:_COLUMNS]
    found = [facts(name, rows.column(name), forms) for name in names]
    told_of = [_line(one, one.name in hide, str(rows.schema.field(one.name).type)) for one in found]
    plots = [plot for one in found if one.name not in hide if (plot := _plot(one))]
    more = len(rows.column_names) - len(names)
    head = ("column", "type", "missing", "different", "values")
    made = [
        Section(
            "Columns", f"{seen}{f'; {more} more columns' if more > 0 else ''}", (), head, told_of
        )
    ]
    if plots:
        made.append(Section("Distributions", plots=plots[:_PLOTS]))
    if sheet := _sheet(rows, hide):
        made.append(Section("Images", sheet=sheet))
    if shown:
        made.append(first_rows(rows.slice(0, shown), hide))
    return made


def first_rows(rows: pa.Table, hide: Collection[str], title: str = "First rows") -> Section:
    """Rows as they are."""
    names = rows.column_names[:_COLUMNS]
    columns = [
        [NOT_PUBLIC] * rows.num_rows if name in hide else _values(rows.column(name))
        for name in names
    ]
    return Section(title, head=names, rows=list(zip(*columns, strict=True)))


def _values(column: pa.ChunkedArray) -> list[str]:
    kind = column.type
    if pa.types.is_temporal(kind) and not pa.types.is_duration(kind):
        column = column.cast(pa.string())  # beyond Python's years, too
    return [_cell(value) for value in column.to_pylist()]


def _cell(value: Any) -> str:
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, list):
        inner = ", ".join(_cell(one) for one in value[:8])
        return f"[{inner}{', …' if len(value) > 8 else ''}]"
    return "" if value is None else told(value) if isinstance(value, float) else str(value)


def _line(one: Facts, hide: bool, stored: str) -> tuple[str, ...]:
    kind = one.type or stored
    missing = share(one.nulls / one.rows) if one.rows else "–"
    different = number(one.distinct) if one.values is not None else "–"
    return one.name, kind, missing, different, NOT_PUBLIC if hide else _said(one)


def _said(one: Facts) -> str:
    if one.least is not None and one.distinct > 12:
        return f"{told(one.least)} to {told(one.most)}"
    if one.type == "binary":
        return "bytes"
    return ", ".join(f"{told(value)} ({count:,})" for value, count in one.common[:5])


def _plot(one: Facts) -> Plot | None:
    values = one.values
    if values is None or not one.distinct or one.type == "binary":
        return None
    there = len(values) - values.null_count
    t = pa.types
    spread = t.is_integer(values.type) or t.is_floating(values.type) or t.is_temporal(values.type)
    if not spread or one.distinct <= 12:
        if one.distinct > 100:
            return None
        return Plot(one.name, [(told(v), count / there) for v, count in one.common])
    if t.is_temporal(values.type):
        values = values.cast(pa.int32() if t.is_date32(values.type) else pa.int64())
    plain = np.asarray(values.drop_null(), "float64")
    plain = plain[np.isfinite(plain)]
    if not len(plain):
        return None
    counts, edges = np.histogram(plain, _BINS)
    names = _edges(one, edges)
    return Plot(one.name, [(n, int(c) / len(plain)) for n, c in zip(names, counts, strict=True)])


def _edges(one: Facts, edges: Any) -> Sequence[str]:
    t = pa.types
    if not t.is_temporal(one.values.type):
        return [number(float(edge)) for edge in edges[:-1]]
    days = pa.array(edges[:-1].astype("int64"))
    days = days.cast(pa.int32()) if t.is_date32(one.values.type) else days
    return [str(v)[:16] for v in days.cast(one.values.type).cast(pa.string()).to_pylist()]


def _sheet(rows: pa.Table, hide: Collection[str]) -> list[Picture]:
    """Images that stand in a column of bytes."""
    label = next((n for n in ("label", "class") if n in rows.column_names and n not in hide), None)
    for name in rows.column_names:
        if pa.types.is_binary(rows.schema.field(name).type) and name not in hide:
            some = rows.slice(0, 4 * _SHEET)
            names = some.column(label).to_pylist() if label else [""] * some.num_rows
            sheet = pictures(zip(names, some.column(name).to_pylist(), strict=True))
            if sheet:
                return sheet
    return []


def pictures(found: Any) -> list[Picture]:
    """The first images of (name, bytes) that fit on a page."""
    sheet: list[Picture] = []
    size = 0
    for name, content in found:
        one = Picture(cut(name, 40), content or b"")
        if one.kind and size + len(one.content) <= _SHEET_BYTES:
            sheet.append(one)
            size += len(one.content)
        if len(sheet) == _SHEET:
            break
    return sheet


def distinct_of(rows: pa.Table, name: str) -> str:
    """The values of a column that has few."""
    if name not in rows.column_names:
        return ""
    found = pc.unique(rows.column(name)).to_pylist()
    return ", ".join(cut(one) for one in found[:5]) + (", …" if len(found) > 5 else "")
