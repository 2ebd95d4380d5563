"""Whether tasks may write the files of a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import types as T

from tfspark.dayfiles.target import NotByFiles, check_target
from tfspark.plainfiles.asread import NotPlain, arrow_field
from tfspark.rowchecks import DayChecks, RowChecks

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class TableLook:
    """What plans look at to score a table: see `TableSource`.

    Attributes:
        target: the Delta table, and `schema` its schema, with `day`.
    """

    df: DataFrame
    used: Sequence[str]
    by_contract: bool
    target: str
    schema: T.StructType
    raw: DataFrame
    checks: RowChecks | DayChecks | None = None

    def columns(self) -> pa.Schema:
        """The used columns with the types that tasks write.

        Raises:
            NotPlain: tasks cannot write the target's files.
        """
        if self._refused is not None:
            raise self._refused
        return pa.schema([arrow_field(self.df.schema[name]) for name in self.used])

    @cached_property
    def _refused(self) -> NotPlain | None:
        try:
            check_target(self.target, self.schema)
        except NotByFiles as reason:
            return NotPlain(str(reason))
        return None
