"""The records of CSV files as Arrow batches: every column is text, exactly as it stands there.

A record ends at a line break outside quotes (RFC 4180), so a quoted value may hold line breaks and
commas; a quote inside quotes is doubled. An empty value is null, in quotes or not. Empty lines are
no records.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark import storage
from tfspark.csvfiles import kernels
from tfspark.errors import ContractViolation, StorageError
from tfspark.tensors import Array

CORRUPT = "_tfspark_corrupt"
"""The column of records that do not have the columns of the table: their text."""

_BLOCK = 8 << 20
_LONGEST = 256 << 20  # bytes of a record
_ROOM = 1 << 15  # records of a batch


@dataclass(frozen=True)
class Form:
    """How records are written.

    Attributes:
        comma: what stands between fields.
        quote: "": there are no quotes.
        null: what stands for null beside an empty value; "": nothing else does.
        header: whether the first record of each file has the names.
    """

    comma: str = ","
    quote: str = '"'
    null: str = ""
    header: bool = True
    encoding: str = "utf-8"

    @property
    def is_utf8(self) -> bool:
        return codecs.lookup(self.encoding).name in ("utf-8", "ascii", "utf-8-sig")


def read_header(path: str, form: Form) -> list[str] | None:
    """The fields of the first record; None where a file has none.

    Raises:
        StorageError: the file cannot be read.
    """
    encoding = "utf-8-sig" if form.is_utf8 else form.encoding
    with _opened(path) as stream:
        text = io.TextIOWrapper(stream, encoding, "replace", newline="")
        if form.quote:
            records = csv.reader(text, delimiter=form.comma, quotechar=form.quote)
        else:
            records = csv.reader(text, delimiter=form.comma, quoting=csv.QUOTE_NONE)
        return next((record for record in records if record), None)


def read_csv(
    path: str, columns: Sequence[str], form: Form, wanted: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The records of a file: strings, and `CORRUPT` for those that do not have the columns.

    Args:
        columns: the names of all columns of the file.
        wanted: those that are read; None: all. `CORRUPT` is always behind them.

    Raises:
        StorageError: the file cannot be read.
        ContractViolation: a quote is opened and not closed.
    """
    chosen = [n for n, name in enumerate(columns) if wanted is None or name in set(wanted)]
    schema = pa.schema([(name, pa.string()) for name in (*(columns[n] for n in chosen), CORRUPT)])
    cutter = _Cutter(len(columns), form)
    skip, before = form.header, 0
    for data, last in _blocks(path, form):
        at = 0
        while True:
            start, why = at, cutter.cut(data, at, last)
            at = cutter.after
            if cutter.rows or cutter.odds:
                yield cutter.batch(data, chosen, schema, skip and cutter.rows > 0)
                skip = skip and not cutter.rows
            if why == kernels.UNCLOSED or (why == kernels.MORE and len(data) - at > _LONGEST):
                line = _line(path, form, before + at)
                raise ContractViolation(
                    f"{path}: line {line}: a quote is opened in this record and not closed; "
                    "correct the file, or say that it has no quotes (source.options.quote: '')"
                )
            if why == kernels.MORE or at == start or at >= len(data):
                break
        before, data.left = before + at, at


def _line(path: str, form: Form, place: int) -> int:
    """The number of the line in which a byte of the file is."""
    lines, before = 1, 0
    for data, _ in _blocks(path, form):
        lines += kernels.line_ends(np.frombuffer(data, np.uint8), place - before)
        before, data.left = before + len(data), len(data)
    return lines


class _Block(bytes):
    """Bytes of a file that begin with a record. `left`: where those begin that are not used."""

    left = 0


def _blocks(path: str, form: Form) -> Iterator[tuple[_Block, bool]]:
    """The bytes of a file, as UTF-8, with those that the block before has left; whether it ends."""
    decode = codecs.getincrementaldecoder(form.encoding)("replace")
    with _opened(path) as stream:
        block, last, first = _Block(), False, True
        while not last:
            read = stream.read(_BLOCK)
            last = not read
            if not form.is_utf8:
                read = decode.decode(read, last).encode()
            if first and read.startswith(codecs.BOM_UTF8):
                read = read[len(codecs.BOM_UTF8) :]
            first = False
            block = _Block(block[block.left :] + read)
            yield block, last


class _Cutter:
    """The fields of the records of a block."""

    rows = odds = after = 0

    def __init__(self, columns: int, form: Form) -> None:
        room = max(1, min(_ROOM, (64 << 20) // (16 * columns)))
        self._begins = np.empty((room, columns), np.int64)
        self._ends = np.empty((room, columns), np.int64)
        self._doubled = np.empty((room, columns), bool)
        self._odd = np.empty((room, 2), np.int64)
        self._comma, self._null = ord(form.comma), form.null
        self._quote = ord(form.quote) if form.quote else -1

    def cut(self, data: bytes, at: int, last: bool) -> int:
        """Cut records from a place on; why it ended: see `kernels.cut`."""
        given = np.frombuffer(data, np.uint8), at, last, self._comma, self._quote
        self.rows, self.odds, self.after, why = kernels.cut(
            *given, self._begins, self._ends, self._doubled, self._odd
        )
        return int(why)

    def batch(
        self, data: bytes, chosen: Sequence[int], schema: pa.Schema, skip: bool
    ) -> pa.RecordBatch:
        """The records as rows.

        Args:
            chosen: numbers of the columns.
            skip: leave the first record out.
        """
        first, rows = int(skip), self.rows
        columns = [self._column(data, number, first, rows) for number in chosen]
        texts = [
            data[start:end].decode("utf-8", "replace") for start, end in self._odd[: self.odds]
        ]
        columns = [pa.concat_arrays([c, pa.nulls(self.odds, pa.string())]) for c in columns]
        odd = pa.concat_arrays([pa.nulls(rows - first, pa.string()), pa.array(texts, pa.string())])
        return pa.RecordBatch.from_arrays([*columns, odd], schema=schema)

    def _column(self, data: bytes, number: int, first: int, rows: int) -> pa.Array:
        every = (self._begins, self._ends, self._doubled)
        begins, ends, doubled = (one[first:rows] for one in every)
        buffer = np.frombuffer(data, np.uint8)
        offsets = np.empty(rows - first + 1, np.int64)
        kernels.measure(buffer, begins, ends, doubled, self._quote, number, offsets)
        out = np.empty(int(offsets[-1]) + 1, np.uint8)
        kernels.fill(buffer, begins, ends, doubled, self._quote, number, offsets, out)
        missing = offsets[1:] == offsets[:-1]
        places = pa.py_buffer(offsets.astype(np.int32))
        array = pa.StringArray.from_buffers(len(missing), places, pa.py_buffer(out))
        array = _utf8(array, out[:-1])
        if self._null:
            missing |= pc.equal(array, self._null).to_numpy(zero_copy_only=False)
        if not missing.any():
            return array
        return pc.if_else(pa.array(~missing), array, pa.scalar(None, pa.string()))


def _utf8(array: pa.Array, content: Array) -> pa.Array:
    """The texts, with the replacement character where bytes are no UTF-8."""
    if not len(content) or content.max() < 0x80:
        return array
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        raw = pa.Array.from_buffers(pa.binary(), len(array), array.buffers())
        return pa.array([value.decode("utf-8", "replace") for value in raw.to_pylist()])
    return array


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    """A file's bytes, without its compression, which its name tells."""
    fs, inner = storage.filesystem(path)
    try:
        with fs.open_input_stream(inner) as stream:
            yield stream
    except (OSError, pa.ArrowException) as error:
        raise StorageError(f"cannot read {path}: {error}") from error
