"""The records of JSON files as Arrow batches: of each the text, and the fields that are asked for.

A record is a line that is not blank, or a value of a list that is the whole file. It is one object
and nothing else; a number keeps its digits, and null is no value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark import lazy
from tfspark.errors import ContractViolation
from tfspark.jsonfiles import values
from tfspark.tensors import Array
from tfspark.textblocks import CORRUPT, UTF8, Block, Coding, blocks, decoded, strings

cutting: Any = lazy.Module("tfspark.jsonfiles.cutting")
kernels: Any = lazy.Module("tfspark.jsonfiles.kernels")
TEXT = "_tfspark_json"
"""The column of the records as they are."""

_BLOCK: int | None = None  # bytes that are read at once; None: as `blocks` has it
_LONGEST = 256 << 20  # bytes of a record
_ROOM = 1 << 15  # records of a batch


@dataclass(frozen=True)
class Form:
    """How records are written.

    Attributes:
        whole: a file is one list, or values of which each may take many lines; False: a record is
            a line; None: a list where a file begins like one of objects, else lines.
        nulls: texts that stand for null.
    """

    whole: bool | None = None
    nulls: tuple[str, ...] = ()
    coding: Coding = UTF8


def read_json(
    path: str, columns: Sequence[str], form: Form, wanted: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The records of a file: strings, `TEXT` first, and `CORRUPT` last.

    Args:
        columns: the names of the fields.
        wanted: those that are read; None: all, and `TEXT`. `CORRUPT` is always behind them.

    Raises:
        StorageError: the file cannot be read.
        ContractViolation: a value is not ended.
    """
    chosen = [name for name in columns if wanted is None or name in wanted]
    shown = wanted is None or TEXT in wanted
    taker = _Fields(chosen, shown, form.nulls)
    whole, inside = form.whole, False
    begins, ends = np.empty(_ROOM, np.int64), np.empty(_ROOM, np.int64)
    before = 0
    for block, last in blocks(path, form.coding, _BLOCK):
        data = np.frombuffer(block, np.uint8)
        if whole is None and (whole := _is_list(block, last)) is None:
            continue
        at, left = 0, True
        while left:
            start = at
            if whole:
                rows, at, within = cutting.values(data, at, last, inside, begins, ends)
                inside = within == 1
            else:
                (rows, at), within = cutting.lines(data, at, last, begins, ends), 0
            if rows:
                yield taker.batch(block, data, begins[:rows], ends[:rows])
            if within < 0 or (not rows and len(data) - at > _LONGEST):
                raise ContractViolation(
                    f"{path}: line {_line(path, form, before + at)}: a value begins here, or is "
                    "to follow, that does not end; correct the file, or copy it again"
                )
            left = at > start and at < len(data)
        before, block.left = before + at, at


def _is_list(block: Block, last: bool) -> bool | None:
    """Whether a file begins like a list of objects; None: more of it is needed."""
    if not (begin := block[: 1 << 16].lstrip()):
        return False if last else None
    if begin[:1] != b"[":
        return False
    rest = begin[1:].lstrip()
    return rest[:1] in (b"{", b"]") if rest or last else None


def _line(path: str, form: Form, place: int) -> int:
    """The number of the line in which a byte of the text is."""
    found, before = 1, 0
    for block, _ in blocks(path, form.coding, _BLOCK):
        found += block[: max(0, place - before)].count(b"\n")
        before, block.left = before + len(block), len(block)
    return found


class _Fields:
    """Fields of records as columns."""

    def __init__(self, names: Sequence[str], shown: bool, nulls: Sequence[str]) -> None:
        self._names, self._shown = list(names), shown
        self._nulls = pa.array(nulls, pa.string())
        coded = [name.encode("utf-8", "surrogatepass") for name in names]
        self._coded = np.frombuffer(b"".join(coded) + b"\0", np.uint8)
        self._places = np.cumsum([0, *map(len, coded)], dtype=np.int64)
        columns = [*([TEXT] if shown else []), *names, CORRUPT]
        self._schema = pa.schema([(name, pa.string()) for name in columns])

    def batch(self, block: bytes, data: Array, begins: Array, ends: Array) -> pa.RecordBatch:
        size = (len(begins), len(self._names))
        starts, stops = np.zeros(size, np.int64), np.zeros(size, np.int64)
        kinds, odd = np.zeros(size, np.uint8), np.zeros(size[0], bool)
        names = (self._coded, self._places)
        kernels.fields(data, begins, ends, *names, starts, stops, kinds, odd)
        places = np.flatnonzero(odd).tolist()
        kinds[places] = kernels.NONE
        read = [values.read(decoded(block[begins[row] : ends[row]])) for row in places]
        objects: list[dict[str, Any]] = [v if isinstance(v, dict) else {} for v in read]
        arrays = [_spans(data, begins, ends, None)] if self._shown else []
        for number, name in enumerate(self._names):
            special = [(row, there.get(name)) for row, there in zip(places, objects, strict=True)]
            spans = starts[:, number], stops[:, number], kinds[:, number]
            arrays.append(self._column(block, data, *spans, special))
        lost = [row for row, there in zip(places, objects, strict=True) if not there]
        broken = np.zeros(size[0], bool)
        broken[lost] = True
        arrays.append(_spans(data, begins, np.where(broken, ends, begins), broken))
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _column(
        self,
        block: bytes,
        data: Array,
        starts: Array,
        stops: Array,
        kinds: Array,
        special: list[tuple[int, Any]],
    ) -> pa.Array:
        """A column; `special`: values of rows that Python read."""
        plain = kinds == kernels.PLAIN
        array = _spans(data, starts, np.where(plain, stops, starts), plain)
        said = [(row, values.text_of(value)) for row, value in special if value is not None]
        for row in np.flatnonzero(kinds > kernels.PLAIN).tolist():
            text = decoded(block[starts[row] : stops[row]])
            quoted = f'"{text}"' if kinds[row] == kernels.ESCAPED else text
            said.append((row, values.text_of(values.read(quoted))))
        if said:
            said.sort(key=lambda one: one[0])
            mask = np.zeros(len(plain), bool)
            mask[[row for row, _ in said]] = True
            array = pc.replace_with_mask(array, pa.array(mask), strings([text for _, text in said]))
        if len(self._nulls):
            given = pc.invert(pc.is_in(array, self._nulls))
            array = pc.if_else(given, array, pa.scalar(None, pa.string()))
        return array


def _spans(data: Array, starts: Array, stops: Array, valid: Array | None) -> pa.Array:
    """Bytes of a block as texts."""
    offsets = np.zeros(len(starts) + 1, np.int64)
    np.cumsum(stops - starts, out=offsets[1:])
    out = np.empty(int(offsets[-1]) + 1, np.uint8)
    cutting.fill(data, np.ascontiguousarray(starts), np.ascontiguousarray(stops), offsets, out)
    places, mask = pa.py_buffer(offsets.astype(np.int32)), None
    if valid is not None and not valid.all():
        mask = pa.array(valid).buffers()[1]
    return pa.StringArray.from_buffers(len(starts), places, pa.py_buffer(out), mask)
