"""The one check of a table without a contract that is read by day."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from tfspark.daycolumn import DayColumn
from tfspark.rowchecks.arrays import flat
from tfspark.rowchecks.check import Checked, Times
from tfspark.rowchecks.days import no_day
from tfspark.rowchecks.reasons import Reasons
from tfspark.rowchecks.words import rows_as_json


class DayChecks:
    """Whether rows have a day; as `RowChecks`.

    Args:
        raw: the schema of the batches.
        by: the column that tells a row's day.
    """

    def __init__(self, raw: pa.Schema, by: DayColumn | None) -> None:
        self.schema, self._by = raw, by

    def giving(self, names: Sequence[str]) -> DayChecks:
        """The same: the columns are there already."""
        return self

    def __call__(self, batch: pa.RecordBatch, times: Times | None = None) -> Checked:
        """Check the rows of a batch."""
        found = Reasons(batch.num_rows)
        if self._by is not None:
            no_day(flat(batch.column(self._by.name)), self._by, found)
        bad, reasons = found.told(None)
        if bad is None:
            return Checked(batch, None, reasons, pa.array([], pa.string()))
        rows = _shown(batch.filter(bad))
        return Checked(batch, bad, reasons, rows_as_json(rows, rows.schema.names))


def _shown(rows: pa.RecordBatch) -> pa.RecordBatch:
    """What people are shown of rows: of binary the length, no maps and structs."""
    t, columns = pa.types, {}
    for name, column in zip(rows.schema.names, rows.columns, strict=True):
        array = flat(column)
        leaf = array.type
        while t.is_list(leaf):
            leaf = leaf.value_type
        if t.is_binary(array.type):
            length = pc.binary_length(array).cast(pa.string())
            columns[name] = pc.binary_join_element_wise("<", length, " bytes>", "")
        elif not (t.is_nested(leaf) or t.is_binary(leaf) or t.is_null(leaf)):
            columns[name] = array
    return pa.RecordBatch.from_pydict(columns)
