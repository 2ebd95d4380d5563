"""Records to record batches, without a Python object per row.

A loop finds where every record holds each feature, others copy the values into Arrow's buffers.
They know the form that writers give records. A record in another form that protocol buffers
allow is parsed in Python and made anew in the usual one: right, and slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.tensors import Array
from tfspark.tfrecord.codec import decode_kernels as kernels
from tfspark.tfrecord.codec import locate_kernels, wire
from tfspark.tfrecord.codec.encode import TAG
from tfspark.tfrecord.codec.machine import SLACK
from tfspark.tfrecord.codec.restore import RAW, MisfitError, restore
from tfspark.tfrecord.codec.schema import Feature, Kind, Layout
from tfspark.wording import say

_KIND: dict[int, Kind] = {tag: kind for kind, tag in TAG.items()}
_SPANS = 1 << 20  # places of features that are known at once, 16 bytes each
Found = tuple[Array, Array, Array]
"""Bytes; where records begin in them, int64 [n]; a feature's `spans`, int32 [n, 4]."""


class Decoder:
    """Decodes the records of one layout. `rows` is how many at once keep memory small."""

    def __init__(self, layout: Layout, columns: Sequence[str] | None = None) -> None:
        names = layout.schema.names if columns is None else list(columns)
        self.schema = pa.schema([layout.schema.field(name) for name in names])
        self._raw = layout.raw
        self._sampled = layout.sampled
        self._features = [f for f in layout.features if f.path[0] in names]
        self.rows = max(64, _SPANS // max(1, len(self._features)))
        self._nullable = {f.name: f.marker or _nullable(self.schema, f) for f in self._features}
        # Those beside the features are known, so that they are not taken for strange ones.
        beside = [name.encode() for name in layout.sampled or ()]
        keys = [feature.key for feature in layout.features] + beside
        places = {feature.name: place for place, feature in enumerate(self._features)}
        self._keys = np.frombuffer(bytearray(b"".join(keys) + bytes(SLACK)), "uint8")
        self._table = np.zeros((len(keys) + 1, 4), "int64")
        self._table[:, 0] = np.cumsum([0, *map(len, keys)])
        self._table[:, 1] = -1
        count = len(layout.features)
        self._table[:count, 1] = [places.get(feature.name, -1) for feature in layout.features]
        self._table[:count, 2] = [feature.depth == 2 for feature in layout.features]
        self._table[:-2, 3] = np.arange(1, len(keys))

    def decode(self, data: Array, begin: Array, end: Array) -> tuple[pa.RecordBatch, Array]:
        """The columns of records, in their order.

        Args:
            data: uint8, with `SLACK` bytes behind the last end.
            begin: int64 [records].
            end: int64 [records].

        Returns:
            The batch of the records that are messages, and int64: those that are not.

        Raises:
            MisfitError: a record does not fit the schema.
        """
        if self._raw:
            content = records(data, begin, end)
            found = {f.path: restore(f.name, f.leaf, content) for f in self._features}
            return self._batch(found, len(begin)), np.empty(0, "int64")
        spans, forms = self._locate(data, begin, end)
        good = np.ones(len(begin), bool)
        unusual = forms == locate_kernels.UNUSUAL
        if unusual.any():
            data, begin, end, good = _usual(data, begin, end, unusual)
            again = unusual & good
            spans[:, again], forms[again] = self._locate(data, begin[again], end[again])
        if self._sampled is not None and (forms == locate_kernels.STRANGE).any():
            self._refuse_strange(data, begin, end, int(np.argmax(forms == locate_kernels.STRANGE)))
        if not good.all():
            spans, begin = np.ascontiguousarray(spans[:, good]), begin[good]
        rows = np.flatnonzero(good)
        leaves = {}
        for feature, here in zip(self._features, spans, strict=True):
            try:
                nullable = self._nullable[feature.name]
                leaves[feature.path] = _column(feature, (data, begin, here), nullable)
            except MisfitError as error:
                raise MisfitError(int(rows[error.row]), error.reason) from None
        return self._batch(leaves, len(rows)), np.flatnonzero(~good)

    def _locate(self, data: Array, begin: Array, end: Array) -> tuple[Array, Array]:
        spans = np.empty((len(self._features), len(begin), 4), "int32")
        forms = np.empty(len(begin), "uint8")
        locate_kernels.locate(data, begin, end, self._keys, self._table, spans, forms)
        return spans, forms

    def _refuse_strange(self, data: Array, begin: Array, end: Array, row: int) -> None:
        known = {self._keys[a:b].tobytes() for a, b in pairwise(self._table[:, 0].tolist())}
        every = [*wire.parse(data[begin[row] : end[row]].tobytes())[0]]
        every += wire.parse(data[begin[row] : end[row]].tobytes())[1]
        name = next(key for key in every if key not in known).decode(errors="replace")
        raise MisfitError(row, say("strange_feature", name=name))

    def _batch(self, leaves: dict[tuple[str, ...], pa.Array], rows: int) -> pa.RecordBatch:
        if not self.schema.names:  # no columns, but rows, which can be counted
            return pa.RecordBatch.from_struct_array(
                pa.StructArray.from_buffers(pa.struct([]), rows, [None])
            )
        columns = [_built(leaves, (field.name,), field) for field in self.schema]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def records(data: Array, begin: Array, end: Array) -> pa.Array:
    """The bytes between these places, one after the other: large binary [records]."""
    # Every second piece is what lies between two of them.
    offsets = np.stack([begin, end], axis=1).reshape(-1)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    pieces = pa.Array.from_buffers(pa.large_binary(), max(0, len(offsets) - 1), buffers)
    return pieces.take(pa.array(np.arange(0, len(offsets), 2)))


def _usual(
    data: Array, begin: Array, end: Array, unusual: Array
) -> tuple[Array, Array, Array, Array]:
    """Records with the unusual ones made anew behind them; the last: bool, those that are some."""
    begin, end, good = begin.copy(), end.copy(), np.ones(len(begin), bool)
    pieces, size = [data], len(data)
    for row in np.flatnonzero(unusual).tolist():
        try:
            record = wire.usual(data[begin[row] : end[row]].tobytes())
        except wire.WireError:
            good[row] = False
            continue
        begin[row], end[row] = size, size + len(record)
        pieces.append(np.frombuffer(record, "uint8"))
        size += len(record)
    return np.concatenate([*pieces, np.zeros(SLACK, "uint8")]), begin, end, good


def _column(feature: Feature, found: Found, nullable: bool) -> pa.Array:
    """The column of a feature: of type `feature.type` [records].

    Raises:
        MisfitError: a record has no such feature where null is not allowed, has another number
            of values or of another kind, or a value that the type does not hold.
    """
    absent = found[2][:, 2] < 0
    elsewhere = absent & (found[2][:, 3] == locate_kernels.OTHER_SIDE)
    if not feature.marker and elsewhere.any():
        depths = ("a list of lists", "values")[:: 1 if feature.depth < 2 else -1]
        said = say("other_depth", name=feature.name, found=depths[0], wanted=depths[1])
        raise MisfitError(int(np.argmax(elsewhere)), said)
    if not nullable and absent.any():
        raise MisfitError(int(np.argmax(absent)), f"has no feature {feature.name}")
    return _level(feature, feature.type, found, feature.depth)


def _level(feature: Feature, kind: pa.DataType, found: Found, depth: int) -> pa.Array:
    """The values, lists or lists of lists of rows, of an Arrow type."""
    if depth < 2 and pa.types.is_decimal(feature.leaf):
        kinds = np.unique(found[2][found[2][:, 2] > 0, 3]).tolist()
        if len(kinds) > 1:
            return _mixed(feature, kind, found, depth, kinds)
        feature = replace(feature, kind=_KIND[kinds[0]] if kinds else feature.kind)
    data, base, spans = found
    size = kind.list_size if pa.types.is_fixed_size_list(kind) else -1 if depth else 1
    offsets = np.empty(len(spans) + 1, "int64")
    tag = 0 if depth == 2 else TAG[feature.kind]
    nulls, wrong, content = kernels.measure(spans, tag, size, offsets)
    if wrong >= 0:
        raise _misfit(feature, spans[wrong], wrong, size if depth else None)
    there = spans[:, 2] >= 0 if nulls else None
    total = int(offsets[-1])
    try:
        if depth == 2:
            inner = np.empty((total, 4), "int32"), np.empty(total, "int64")
            kernels.inner_lists(data, base, spans, offsets, *inner)
            values = _level(feature, kind.value_type, (data, inner[1], inner[0]), 1)
        else:
            mask = None if there is None or size < 0 else np.repeat(there, size)
            raw = _raw(feature, found, offsets, content, mask)
            values = restore(feature.name, feature.leaf, raw)
    except MisfitError as error:
        row = int(np.searchsorted(offsets, error.row, "right")) - 1
        raise MisfitError(row, error.reason) from None
    if not depth:
        return values
    buffers = [_bits(there)]
    if pa.types.is_list(kind) and total > np.iinfo("int32").max:
        raise MisfitError(0, f"begins a batch with too many values of {feature.name}")
    if size < 0:
        wide = pa.types.is_large_list(kind)
        buffers.append(pa.py_buffer(offsets if wide else offsets.astype("int32")))
    return pa.Array.from_buffers(kind, len(spans), buffers, nulls, children=[values])


def _mixed(
    feature: Feature, kind: pa.DataType, found: Found, depth: int, kinds: list[int]
) -> pa.Array:
    """A column whose rows hold lists of several kinds, each kind of rows by itself."""
    data, base, spans = found
    which = np.where(spans[:, 2] > 0, spans[:, 3], kinds[0])
    rows = [np.flatnonzero(which == one) for one in kinds]
    parts = []
    for one in rows:
        try:
            parts.append(_level(feature, kind, (data, base[one], spans[one]), depth))
        except MisfitError as error:
            raise MisfitError(int(one[error.row]), error.reason) from None
    order = np.argsort(np.concatenate(rows))
    return pa.concat_arrays(parts).take(pa.array(order))


def _raw(
    feature: Feature, found: Found, offsets: Array, content: int, there: Array | None
) -> pa.Array:
    """The values of rows, flat, of the type `RAW`; `there` says which are not null."""
    total = int(offsets[-1])
    make = np.empty if there is None else np.zeros
    values: list[Array]
    if feature.kind == "bytes":
        ends, out = np.zeros(total + 1, "int64"), np.empty(content, "uint8")
        used = kernels.strings(*found, offsets, ends[1:], out)
        values = [ends, out[:used]]
    elif feature.kind == "int64":
        values = [make(total, "int64")]
        kernels.integers(*found, offsets, *values)
    else:
        values = [make(total, "float32")]
        row = kernels.floats(*found, offsets, *values)
        if row >= 0:
            reason = f"holds an integer in {feature.name} that is no float"
            raise MisfitError(int(offsets[row]), reason)
    buffers = [_bits(there), *map(pa.py_buffer, values)]
    return pa.Array.from_buffers(RAW[feature.kind], total, buffers)


def _bits(there: Array | None) -> pa.Buffer | None:
    return None if there is None else pa.py_buffer(np.packbits(there, bitorder="little"))


def _misfit(feature: Feature, span: Array, row: int, size: int | None) -> MisfitError:
    count, kind = int(span[2]), _KIND.get(int(span[3]), feature.kind)
    if count and kind != feature.kind and (feature.kind, kind) != ("float", "int64"):
        reason = f"holds {kind} values in {feature.name}, the schema says {feature.kind}"
    else:
        wanted = "the schema says one" if size is None else f"the type says {size}"
        reason = f"has {count} values in {feature.name}, {wanted}"
    return MisfitError(row, reason)


def _nullable(schema: pa.Schema, feature: Feature) -> bool:
    """Whether the feature may be missing: it or one of the structs around it may be null."""
    field = schema.field(feature.path[0])
    nullable = field.nullable
    for name in feature.path[1:]:
        field = field.type.field(name)
        nullable = nullable or field.nullable
    return bool(nullable)


def _built(
    leaves: dict[tuple[str, ...], pa.Array], path: tuple[str, ...], field: pa.Field
) -> pa.Array:
    """A column, its structs put together from their fields."""
    if not pa.types.is_struct(field.type):
        return leaves[path]
    inner = [_built(leaves, (*path, child.name), child) for child in field.type]
    here = leaves[path].is_valid()
    for column in inner:
        here = pc.or_(here, column.is_valid())
    null = pc.invert(here)
    if not inner:
        return pa.array([{} if there else None for there in here.to_pylist()], field.type)
    mask = null if field.nullable else None
    return pa.StructArray.from_arrays(inner, fields=list(field.type), mask=mask)
