"""One contract, compiled once; then batch after batch of a raw table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from tfspark.config.textoptions import USUAL, TextForms
from tfspark.contracts.column import Column
from tfspark.contracts.contract import Contract
from tfspark.contracts.fit import columns_fit, unique
from tfspark.contracts.types import family
from tfspark.daycolumn import DayColumn
from tfspark.rowchecks.arrays import flat, is_broken, only, some, utf8
from tfspark.rowchecks.convert import Convert, converter, formatted
from tfspark.rowchecks.days import no_day
from tfspark.rowchecks.reasons import Reasons
from tfspark.rowchecks.rules import Rule, rules_of
from tfspark.rowchecks.schemas import spark_schema, typed_schema
from tfspark.rowchecks.tensors import unfit
from tfspark.rowchecks.words import rows_as_json, text
from tfspark.tables import CORRUPT, JSON
from tfspark.tensors.arrowtypes import loose_type
from tfspark.tensors.spec import TensorSpec

_SHOWN = 100  # characters of a value in a reason


class Times(Protocol):
    """Who knows which keys are there more than once."""

    def times(self, rows: pa.RecordBatch) -> Mapping[str, pa.Int64Array | None]:
        """For each name of `RowChecks.unique`, in its order: how often the table has the values.

        Null where one of them is null; None for a name of which every row is there once.

        Args:
            rows: typed, as `Checked.rows`.
        """


@dataclass(frozen=True)
class Checked:
    """What the checks say of a batch.

    Attributes:
        rows: typed, as many as came in; null where a value is bad.
        bad: which rows are; None: every row is good.
        reasons: lists of every reason, of the bad rows alone, in their order.
        raw: the text of the same rows.
    """

    rows: pa.RecordBatch
    bad: pa.BooleanArray | None
    reasons: pa.ListArray
    raw: pa.StringArray


class Content(Protocol):
    """What is looked at inside the values of a column."""

    def broken(self, batch: pa.RecordBatch) -> Iterable[tuple[int, str]]:
        """Rows of a raw batch that are bad, and why."""


class RowChecks:
    """The checks of a contract on the batches of one raw table; picklable.

    Args:
        raw: the schema of the batches. Text is parsed to the contract's types; typed columns are
            widened, never narrowed.
        where: the table's name in messages.
        forms: how text is written.
        tensors: whether values must become the contract's tensors, as scoring asks of them.
        by: the column that tells a row's day: a row without one is bad.
        inside: checks of what values hold.

    Attributes:
        schema: the contract's columns with the types in which Spark hands them over.
        unique: what must be unique: name for messages → positions of its columns. The numbers come
            from elsewhere (`Times`): a batch does not know of the others.

    Raises:
        ContractViolation: a column is missing or has a type that cannot be taken without loss.
    """

    def __init__(
        self,
        contract: Contract,
        raw: pa.Schema,
        where: str,
        forms: TextForms = USUAL,
        tensors: bool = False,
        by: DayColumn | None = None,
        inside: Sequence[Content] = (),
    ) -> None:
        self._by, self._inside = by, inside
        self._names = [column.name for column in contract.columns]
        columns_fit(spark_schema(raw), contract, where)
        self.schema = self._given = typed_schema(contract)
        self.unique = unique(contract)
        self._columns = [
            _of_column(column, raw.field(column.name).type, target.type, forms, tensors)
            for column, target in zip(contract.columns, self.schema, strict=True)
        ]

    def giving(self, names: Sequence[str]) -> RowChecks:
        """The same checks, which give these columns alone, and those that must be unique."""
        places = {place for own in self.unique.values() for place in own}
        fields = [f for at, f in enumerate(self.schema) if at in places or f.name in names]
        made = copy(self)
        made._given = pa.schema(fields)
        return made

    def __call__(self, batch: pa.RecordBatch, times: Times | None = None) -> Checked:
        """Check the rows of a batch; text may come as dictionaries."""
        columns = [batch.column(name) for name in self._names]
        not_cut = batch.column(CORRUPT) if CORRUPT in batch.schema.names else None
        found = Reasons(batch.num_rows)
        wanted = set(self._given.names)
        arrays = []
        for check, column in zip(self._columns, columns, strict=True):
            if check.name not in wanted:
                check.of(column, found)
            else:
                arrays.append(flat(check.of(column, found)))
        rows = pa.RecordBatch.from_arrays(arrays, schema=self._given)
        for name, counts in (times.times(rows) if times is not None else {}).items():
            if counts is not None and (twice := some(pc.greater(counts, 1))) is not None:
                said = counts.filter(twice).cast(pa.string())
                found.add(twice, f"{name}: there ", said, " times")
        for content in self._inside:
            found.of_rows(content.broken(batch))
        if self._by is not None:
            no_day(flat(batch.column(self._by.name)), self._by, found)
        bad, reasons = found.told(None if not_cut is None else some(not_cut.is_valid()))
        if bad is None:
            return Checked(rows, None, reasons, pa.array([], pa.string()))
        return Checked(rows, bad, reasons, self._text(batch.filter(bad), not_cut is not None))

    def _text(self, rows: pa.RecordBatch, is_cut: bool) -> pa.Array:
        if JSON in rows.schema.names:
            return utf8(flat(rows.column(JSON)))
        said = rows_as_json(rows, [name for name in rows.schema.names if name != CORRUPT])
        return pc.coalesce(utf8(flat(rows.column(CORRUPT))), said) if is_cut else said


@dataclass(frozen=True)
class _ColumnCheck:
    """The checks of one column: its raw values in, typed values out.

    Attributes:
        convert: None: raw values have the type.
        trimmed: whether they are text of which an empty one is no value.
    """

    name: str
    said_type: str
    kind: pa.DataType
    convert: Convert | None
    trimmed: bool
    required: bool
    rules: tuple[Rule, ...]
    tensor: TensorSpec | None
    any_length: bool

    def of(self, raw: pa.Array, found: Reasons) -> pa.Array:
        """Of a dictionary the words alone are looked at, while all of them are good."""
        if not pa.types.is_dictionary(raw.type) or 2 * len(raw.dictionary) > len(raw):
            return self(flat(raw), found)
        said = Reasons(len(raw.dictionary))
        words = self(flat(raw.dictionary), said)
        if said or (self.required and raw.null_count):
            return self(flat(raw), found)  # one that is not good may stand in no row
        return pa.DictionaryArray.from_arrays(raw.indices, words)

    def __call__(self, raw: pa.Array, found: Reasons) -> pa.Array:
        def say(mask: pa.Array, said: str) -> None:
            shown = pc.utf8_slice_codeunits(text(raw.filter(mask)), 0, _SHOWN)
            found.add(mask, f"{self.name}: ", shown, said)

        damaged = None
        if pa.types.is_string(raw.type) and (damaged := is_broken(raw)) is not None:
            raw = utf8(raw)
        given = _given(raw) if self.trimmed else raw
        values = given if self.convert is None else self.convert(given)
        if values.type != self.kind:
            values = values.cast(self.kind)
        is_text = pa.types.is_string(self.kind)
        if damaged is not None and not is_text:
            values = only(values, pc.invert(damaged))
        if values.null_count > given.null_count:
            say(pc.and_(given.is_valid(), values.is_null()), f" is not {self.said_type}")
        if self.required and given.null_count:
            found.add(given.is_null(), f"{self.name}: null")
        if damaged is not None and is_text:
            say(damaged, " is not UTF-8")
        for rule in self.rules:
            for mask, said in rule.broken(values):
                say(mask, said)
        if self.tensor is not None:
            for mask, said in unfit(values, self.tensor, self.any_length):
                found.add(mask, f"{self.name}: {said}")
        return values


def _given(raw: pa.Array) -> pa.Array:
    """Text without the spaces around it, null where nothing is left."""
    trimmed = pc.utf8_trim(raw, " ")
    empty = some(pc.equal(trimmed, ""))
    return trimmed if empty is None else only(trimmed, pc.invert(empty))


def _tensor(column: Column) -> TensorSpec | None:
    """The tensor that not every value of the column's type becomes."""
    if column.key or column.role not in ("feature", "label", "weight"):
        return None
    try:
        spec = column.tensor_spec()
    except ValueError:
        return None  # a decimal that no model takes
    own = column.tensor.shape or column.tensor.dtype or column.tensor.nan
    return spec if own or spec.shape else None


def _of_column(
    column: Column, raw: pa.DataType, kind: pa.DataType, forms: TextForms, tensors: bool
) -> _ColumnCheck:
    source = loose_type(flat(pa.array([], raw)).type)
    is_text = pa.types.is_string(source)
    convert = converter(source, kind, forms)
    if is_text and column.options.format is not None and convert is not None:
        convert = partial(formatted, form=column.options.format, then=convert)
    return _ColumnCheck(
        column.name,
        column.physical_type,
        kind,
        convert,
        is_text and family(column.physical_type) not in ("string", "binary"),
        column.required or column.key,
        tuple(rules_of(column, kind)),
        _tensor(column) if tensors else None,
        pa.types.is_list(kind) and column.tensor.shape is None,
    )
