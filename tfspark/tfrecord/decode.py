"""Records to record batches: equal forms by templates, the others level by level.

Both give Arrow columns, which one `take` puts back in order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.tensors import Array
from tfspark.tfrecord import frame, general
from tfspark.tfrecord.payload import parts as parts_of
from tfspark.tfrecord.restore import MisfitError, Values, restore
from tfspark.tfrecord.schema import Feature, Layout
from tfspark.tfrecord.spans import gather
from tfspark.tfrecord.template import Template, extract, fits, template_of

_FEW = 128  # records that are not worth a template
_WIDE = 1024  # bytes of a record from which copies cost more than steps
_HOPELESS = 8  # groups without a template, and none with one: no more are looked for
_TRIES = 4  # templates of one length of record

Part = tuple[Array, list[pa.Array]]  # records, and their columns


class Decoder:
    """Decodes the records of one layout; it remembers the templates of what it has seen."""

    def __init__(self, layout: Layout, columns: Sequence[str] | None = None) -> None:
        names = layout.schema.names if columns is None else list(columns)
        self.schema = pa.schema([layout.schema.field(name) for name in names])
        self._features = [f for f in layout.features if f.path[0] in names]
        self._plain = not any(feature.depth == 2 for feature in self._features)
        self._nullable = {f.name: f.marker or _nullable(self.schema, f) for f in self._features}
        self._templates: dict[int, list[Template]] = {}
        self._in_vain = 0  # groups of records that had no template

    def decode(self, data: Array, begin: Array, end: Array) -> tuple[pa.RecordBatch, Array]:
        """The columns of records, in their order.

        Args:
            data: uint8, with `spans.SLACK` bytes after the last end.
            begin: int64 [records], ascending.
            end: int64 [records].

        Returns:
            The batch of the records that are messages, and int64: those that are not.

        Raises:
            MisfitError: a record does not fit the schema.
        """
        parts: list[Part] = []
        rest = np.arange(len(begin))
        narrow = int((end - begin).sum()) <= _WIDE * len(begin)
        hope = self._templates or self._in_vain < _HOPELESS
        if self._plain and narrow and hope and len(begin) >= _FEW:
            parts, rest = self._by_templates(data, begin, end)
        damaged = np.empty(0, "int64")
        if len(rest):
            found, damaged = self._general(data, begin[rest], end[rest], rest)
            parts += found
        return self._assemble(parts, len(begin), damaged), damaged

    def _by_templates(self, data: Array, begin: Array, end: Array) -> tuple[list[Part], Array]:
        lengths = end - begin
        parts, rest = [], []
        if int(lengths.max()) == int(lengths.min()):
            groups = [np.arange(len(begin))]
        elif int(lengths.max()) - int(lengths.min()) < 1 << 16:
            order = np.argsort((lengths - lengths.min()).astype("uint16"), kind="stable")
            counts = np.bincount(lengths - lengths.min())
            groups = np.split(order, np.cumsum(counts[counts > 0])[:-1])
        else:
            return [], np.arange(len(begin))
        for rows in groups:
            hope = self._templates or self._in_vain < _HOPELESS
            if len(rows) < _FEW or not hope:
                rest.append(rows)
                continue
            length = int(lengths[rows[0]])
            matrix = _matrix(data, begin[rows], length)
            for _ in range(_TRIES):
                template, fit = self._template(matrix, length)
                if template is None or not fit.any():
                    break
                whole = bool(fit.all())
                mine = rows if whole else rows[fit]
                parts.append(self._columns_of(matrix if whole else matrix[fit], template, mine))
                if whole:
                    rows = rows[:0]
                    break
                rows, matrix = rows[~fit], matrix[~fit]
                if len(rows) < _FEW:
                    break
            if len(rows):
                rest.append(rows)
        return parts, np.sort(np.concatenate(rest)) if rest else np.empty(0, "int64")

    def _template(self, matrix: Array, length: int) -> tuple[Template | None, Array]:
        """A template of some of these records, one that was used before if there is one."""
        known = self._templates.get(length, [])
        for template in known:
            fit = fits(matrix, template)
            if int(fit.sum()) * 4 >= len(fit):
                return template, fit
        made = template_of(matrix[0, :length].tobytes())
        fit = fits(matrix, made) if made else np.zeros(len(matrix), bool)
        if made is None or int(fit.sum()) * 8 < len(fit):
            self._in_vain += 1
            return None, fit  # too many forms for templates
        self._templates[length] = [made, *known][:_TRIES]
        return made, fit

    def _columns_of(self, matrix: Array, template: Template, rows: Array) -> Part:
        found = []
        for feature in self._features:
            values = extract(matrix, template, feature.key, feature.kind)
            if isinstance(values, str):
                raise general.other_kind(int(rows[0]), feature, values)
            found.append(values)
        return rows, self._restore(found, rows)

    def _general(
        self, data: Array, begin: Array, end: Array, rows: Array
    ) -> tuple[list[Part], Array]:
        parts: list[Part] = []
        found, odd = self._placed(rows, data, begin, end)
        if odd.any():
            each = np.flatnonzero(odd)
            records = [data[begin[at] : end[at]].tobytes() for at in each]
            try:
                values, bad = general.decode_each(records, self._features)
            except MisfitError as error:
                raise MisfitError(int(rows[each[error.row]]), error.reason) from None
            good = np.ones(len(each), bool)
            good[bad] = False
            if bad:
                values, _ = general.decode_each(
                    [record for record, fine in zip(records, good, strict=True) if fine],
                    self._features,
                )
            parts.append((rows[each[good]], self._restore(list(values), rows[each[good]])))
            more: list[Part] = []
            damaged = rows[each[~good]]
            if len(each) < len(rows):
                left = ~odd
                more, further = self._general(data, begin[left], end[left], rows[left])
                damaged = np.sort(np.concatenate([damaged, further]))
            return parts + more, damaged
        values_of = [values for values in found if values is not None]
        return [(rows, self._restore(values_of, rows))], np.empty(0, "int64")

    def _placed(
        self, rows: Array, data: Array, begin: Array, end: Array
    ) -> tuple[list[Values | None], Array]:
        try:
            return general.decode(data, begin, end, self._features)
        except MisfitError as error:
            raise MisfitError(int(rows[error.row]), error.reason) from None

    def _restore(self, found: list[Values], rows: Array) -> list[pa.Array]:
        out = []
        for feature, values in zip(self._features, found, strict=True):
            try:
                out.append(restore(feature, values, self._nullable[feature.name]))
            except MisfitError as error:
                raise MisfitError(int(rows[error.row]), error.reason) from None
        return out

    def _assemble(self, parts: list[Part], records: int, damaged: Array) -> pa.RecordBatch:
        rows = records - len(damaged)
        if not parts:
            return pa.RecordBatch.from_pylist([], self.schema)
        if not self.schema.names:  # no columns, but rows, which can be counted
            return pa.RecordBatch.from_struct_array(
                pa.StructArray.from_buffers(pa.struct([]), rows, [None])
            )
        if len(parts) == 1:
            leaves = parts[0][1]
        else:
            back = np.full(records, -1)
            back[np.concatenate([chosen for chosen, _ in parts])] = np.arange(rows)
            order = pa.array(back[back >= 0])
            leaves = [
                pa.concat_arrays([columns[number] for _, columns in parts]).take(order)
                for number in range(len(self._features))
            ]
        by_path = {f.path: leaf for f, leaf in zip(self._features, leaves, strict=True)}
        columns = [_built(by_path, (field.name,), field, rows) for field in self.schema]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def _nullable(schema: pa.Schema, feature: Feature) -> bool:
    """Whether the feature may be missing: it or one of the structs around it may be null."""
    field = schema.field(feature.path[0])
    nullable = field.nullable
    for name in feature.path[1:]:
        field = field.type.field(name)
        nullable = nullable or field.nullable
    return bool(nullable)


def _built(
    leaves: dict[tuple[str, ...], pa.Array], path: tuple[str, ...], field: pa.Field, rows: int
) -> pa.Array:
    """A column, its structs put together from their fields."""
    if not pa.types.is_struct(field.type):
        return leaves[path]
    inner = [_built(leaves, (*path, child.name), child, rows) for child in field.type]
    here = leaves[path].is_valid()
    for column in inner:
        here = pc.or_(here, column.is_valid())
    null = pc.invert(here)
    if not inner:
        return pa.array([{} if there else None for there in here.to_pylist()], field.type)
    mask = null if field.nullable else None
    return pa.StructArray.from_arrays(inner, fields=list(field.type), mask=mask)


def _matrix(data: Array, begin: Array, length: int) -> Array:
    """Equally long records as rows: uint8 [n, length], or with more bytes behind each.

    Records that follow each other in a file are not copied: their frames are in the rows.
    """
    step = length + frame.HEADER + frame.TRAILER
    if int(begin[-1] - begin[0]) == step * (len(begin) - 1):
        first = int(begin[0])
        return data[first : first + len(begin) * step].reshape(len(begin), step)
    flat, starts = parts_of(gather(data, begin, begin + length))
    return flat[int(starts[0]) : int(starts[-1])].reshape(len(begin), length)
