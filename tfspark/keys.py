"""Values that a contract wants to be unique, and that a table has more than once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import pyarrow as pa

from tfspark import storage
from tfspark.config.textoptions import USUAL, TextForms
from tfspark.contracts import Contract
from tfspark.contracts.contract import with_columns
from tfspark.exchange.duplicates import Duplicates, KeySlices, KeyWriter, find_duplicates
from tfspark.exchange.inorder import InOrder, OutOfOrder, whole_groups
from tfspark.exchange.slices import attempt
from tfspark.plainfiles.raw import RawTable
from tfspark.rowchecks import RowChecks, Times
from tfspark.sparkerrors import reading
from tfspark.tables import CORRUPT

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Made = TypeVar("Made")


@dataclass(frozen=True)
class _KeyTask:
    checks: RowChecks
    unique: dict[str, tuple[str, ...]]
    folder: str
    bits: int

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> list[KeySlices]:
        keys = KeyWriter(self.folder, attempt(), self.unique, self.bits)
        for batch in batches:
            keys.add(self.checks(batch).rows)
        return keys.close()


@dataclass(frozen=True)
class _InOrderTask(Generic[Made]):
    task: Callable[[Iterable[pa.RecordBatch]], Made]
    column: str

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Made | None:
        with suppress(OutOfOrder):
            return self.task(whole_groups(batches, self.column))
        return None


def run_checked(
    raw: RawTable,
    checks: RowChecks,
    task: Callable[[Times], Callable[[Iterable[pa.RecordBatch]], Made]],
    exchange: Callable[[], Times],
) -> list[Made]:
    """Let tasks take all rows, and know the values that are there more than once.

    Where there is one key, of integers, by which the rows are sorted (as footers say, and the rows
    then show), tasks see it themselves. Else keys are exchanged first.

    Args:
        task: makes the task.
        exchange: what `duplicates` gives.
    """
    if (key := _sorted_by(raw, checks)) is not None:
        found = raw.run(_InOrderTask(task(key), key.column))
        made = [one for one in found if one is not None]
        if len(made) == len(found):
            return made
    return raw.run(task(exchange()))


def _sorted_by(raw: RawTable, checks: RowChecks) -> InOrder | None:
    unique = {name: places for name, places in checks.unique.items() if places}
    if [len(places) for places in unique.values()] != [1]:
        return None
    ((name, (place,)),) = unique.items()
    column = checks.schema.field(place)
    if not pa.types.is_integer(column.type) or not raw.rises(column.name):
        return None
    return InOrder(name, column.name)


def duplicates(
    spark: SparkSession,
    raw: RawTable,
    contract: Contract,
    where: str,
    folder: str,
    forms: TextForms = USUAL,
) -> Duplicates:
    """The values of the key, and of each unique column, that are there more than once.

    Only these columns are read.

    Args:
        where: the table's name in messages.
        folder: takes the files that tasks hand to tasks, and those of the values.
        forms: how text is written.

    Raises:
        ContractViolation: one of the columns is missing, or of a type that does not fit.
        StorageError: a file cannot be read or written.
    """
    columns = tuple(c for c in contract.columns if c.key or c.unique)
    alone = with_columns(contract, columns)
    read = [name for name in raw.schema.names if name in {c.name for c in columns}]
    if CORRUPT in raw.schema.names:
        read.append(CORRUPT)
    checks = RowChecks(alone, pa.schema([raw.schema.field(name) for name in read]), where, forms)
    names = checks.schema.names
    unique = {name: tuple(names[i] for i in places) for name, places in checks.unique.items()}
    task = _KeyTask(checks, unique, folder, raw.bits())
    storage.make_dir(folder)
    with reading(where):
        found = [key for part in raw.run(task, read) for key in part]
        return find_duplicates(spark, found, unique, folder)
