"""The records of CSV files as Arrow batches: every column is text, exactly as it stands there.

A record ends at a line break outside quotes (RFC 4180), so a quoted value may hold line breaks and
commas; a quote inside quotes is doubled. An empty value is null, in quotes or not. Empty lines are
no records.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark import lazy
from tfspark.errors import ContractViolation
from tfspark.textblocks import CORRUPT, UTF8, Coding, Span, as_text, blocks

kernels: Any = lazy.Module("tfspark.csvfiles.kernels")
_BLOCK: int | None = None  # bytes that are read at once; None: as `blocks` has it
_LONGEST = 256 << 20  # bytes of a record
_ROOM = 1 << 15  # records of a batch


@dataclass(frozen=True)
class Form:
    """How records are written.

    Attributes:
        comma: what stands between fields.
        quote: "": there are no quotes.
        escape: what stands before a quote in a value in quotes; "": the quote itself.
        nulls: what stands for null beside an empty value.
        header: whether the first record of each file has the names.
    """

    comma: str = ","
    quote: str = '"'
    escape: str = ""
    nulls: tuple[str, ...] = ()
    header: bool = True
    coding: Coding = UTF8


def read_header(path: str, form: Form) -> list[str] | None:
    """The fields of the first record; None where a file has none.

    Raises:
        StorageError: the file cannot be read.
        ContractViolation: it is not like a header.
    """
    cutter = _Cutter(1, form, room=1)
    for data, last in blocks(path, form.coding, _BLOCK):
        why = cutter.cut(data, 0, last)
        if cutter.first is not None:
            return _fields(path, data[slice(*cutter.first)].decode("utf-8", "replace"), form)
        if why == kernels.UNCLOSED or (why == kernels.MORE and len(data) > _LONGEST):
            raise _unclosed(path, 1)
        data.left = cutter.after
    return None


def _fields(path: str, record: str, form: Form) -> list[str]:
    escape = form.escape if form.escape not in ("", form.quote) else None
    quoted = {"quotechar": form.quote, "escapechar": escape, "doublequote": escape is None}
    given: dict[str, Any] = quoted if form.quote else {"quoting": csv.QUOTE_NONE}
    lines = io.StringIO(record, newline="")
    try:
        records = csv.reader(lines, delimiter=form.comma, strict=True, **given)
        return next(fields for fields in records if fields)
    except csv.Error as error:
        raise ContractViolation(f"{path}: the first record is no header: {error}") from None


def read_csv(
    path: str,
    columns: Sequence[str],
    form: Form,
    wanted: Sequence[str] | None = None,
    span: Span | None = None,
) -> Iterator[pa.RecordBatch]:
    """The records of a file: strings, and `CORRUPT` for those that do not have the columns.

    Args:
        columns: the names of all columns of the file.
        wanted: those that are read; None: all. `CORRUPT` is always behind them.
        span: a piece of the file, which begins and ends at line breaks; no value may hold one.

    Raises:
        StorageError: the file cannot be read.
        ContractViolation: a quote is opened and not closed, or a value of a piece holds a line
            break.
    """
    chosen = [n for n, name in enumerate(columns) if wanted is None or name in set(wanted)]
    schema = pa.schema([(name, pa.string()) for name in (*(columns[n] for n in chosen), CORRUPT)])
    cutter = _Cutter(len(columns), form)
    before = 0 if span is None else span[0]
    skip = form.header and not before
    for data, last in blocks(path, form.coding, _BLOCK, span):
        at = 0
        while True:
            start, why = at, cutter.cut(data, at, last)
            at = cutter.after
            if span is not None and (broken := cutter.over_lines(data)) is not None:
                raise _broken(path, _line(path, form, before + broken))
            if cutter.rows or cutter.odds:
                yield cutter.batch(data, chosen, schema, skip)
                skip = False
            if why == kernels.UNCLOSED or (why == kernels.MORE and len(data) - at > _LONGEST):
                line = _line(path, form, before + at)
                raise _unclosed(path, line) if span is None else _broken(path, line)
            if why == kernels.MORE or at == start or at >= len(data):
                break
        before, data.left = before + at, at


def _unclosed(path: str, line: int) -> ContractViolation:
    return ContractViolation(
        f"{path}: line {line}: a quote is opened in this record and not closed; correct the file, "
        "or say that it has no quotes (source.options.quote: '')"
    )


def _broken(path: str, line: int) -> ContractViolation:
    return ContractViolation(
        f"{path}: line {line}: a value holds a line break, or its quote is not closed, and the "
        "source says that there are none (source.options.multiLine: false); leave that out, or "
        "correct the file"
    )


def _line(path: str, form: Form, place: int) -> int:
    """The number of the line in which a byte of the text is."""
    lines, before = 1, 0
    for data, _ in blocks(path, form.coding, _BLOCK):
        lines += kernels.line_ends(np.frombuffer(data, np.uint8), place - before)
        before, data.left = before + len(data), len(data)
    return lines


class _Cutter:
    """The fields of the records of a block."""

    rows = odds = after = 0

    def __init__(self, columns: int, form: Form, room: int | None = None) -> None:
        room = room or max(1, min(_ROOM, (64 << 20) // (16 * columns)))
        self._begins = np.empty((room, columns), np.int64)
        self._ends = np.empty((room, columns), np.int64)
        self._doubled = np.empty((room, columns), bool)
        self._odd = np.empty((room, 2), np.int64)
        self._comma, self._nulls = ord(form.comma), pa.array(form.nulls, pa.string())
        self._quote = ord(form.quote) if form.quote else -1
        self._escape = ord(form.escape) if form.escape else self._quote

    def cut(self, data: bytes, at: int, last: bool) -> int:
        """Cut records from a place on; why it ended: see `kernels.cut`."""
        given = np.frombuffer(data, np.uint8), at, last, self._comma, self._quote, self._escape
        self.rows, self.odds, self.after, why = kernels.cut(
            *given, self._begins, self._ends, self._doubled, self._odd
        )
        return int(why)

    @property
    def first(self) -> tuple[int, int] | None:
        """Where the first record begins and ends, if there is one, with lines before it."""
        return (0, self.after) if self.rows or self.odds else None

    def over_lines(self, data: bytes) -> int | None:
        """Where a record begins that holds a line break; None: there is none."""
        text = np.frombuffer(data, np.uint8)[: self.after]
        ends = np.flatnonzero((text == 10) | (text == 13))
        whole = np.stack([self._begins[: self.rows, 0], self._ends[: self.rows, -1]], axis=1)
        spans = np.concatenate([whole, self._odd[: self.odds]])
        first, last = np.searchsorted(ends, spans[:, 0]), np.searchsorted(ends, spans[:, 1])
        broken = spans[first != last, 0]
        return int(broken.min()) if len(broken) else None

    @property
    def _odd_first(self) -> bool:
        return self.odds > 0 and (not self.rows or self._odd[0, 0] < self._begins[0, 0])

    def batch(
        self, data: bytes, chosen: Sequence[int], schema: pa.Schema, skip: bool
    ) -> pa.RecordBatch:
        """The records as rows.

        Args:
            chosen: numbers of the columns.
            skip: leave the first record out.
        """
        odd = int(skip and self._odd_first)
        first, rows = int(skip and not odd), self.rows
        columns = [self._column(data, number, first, rows) for number in chosen]
        spans = self._odd[odd : self.odds]
        columns = [pa.concat_arrays([c, pa.nulls(len(spans), pa.string())]) for c in columns]
        texts = as_text(pa.array([data[start:end] for start, end in spans], pa.binary()))
        broken = pa.concat_arrays([pa.nulls(rows - first, pa.string()), texts])
        return pa.RecordBatch.from_arrays([*columns, broken], schema=schema)

    def _column(self, data: bytes, number: int, first: int, rows: int) -> pa.Array:
        every = (self._begins, self._ends, self._doubled)
        begins, ends, doubled = (one[first:rows] for one in every)
        spans = np.frombuffer(data, np.uint8), begins, ends, doubled
        offsets = np.empty(rows - first + 1, np.int64)
        about = (self._quote, self._escape, number, offsets)
        kernels.measure(*spans, *about)
        out = np.empty(int(offsets[-1]) + 1, np.uint8)
        kernels.fill(*spans, *about, out)
        missing = offsets[1:] == offsets[:-1]
        places = pa.py_buffer(offsets.astype(np.int32))
        array = pa.StringArray.from_buffers(len(missing), places, pa.py_buffer(out))
        if len(self._nulls):
            missing |= pc.is_in(array, self._nulls).to_numpy(zero_copy_only=False)
        if not missing.any():
            return array
        return pc.if_else(pa.array(~missing), array, pa.scalar(None, pa.string()))
