"""The counts of days: a Delta table to which each night gives one row a column.

A day of a model version is replaced as a whole, so a night that is run again changes nothing.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tfspark import storage
from tfspark.daywrite import ODD
from tfspark.deltalog import dataset
from tfspark.errors import StorageError

ROWS, SCORES, COLUMN = "rows", "scores", "column"
COUNTS = pa.schema(
    {
        "day": pa.date32(),
        "model": pa.string(),
        "version": pa.string(),
        "kind": pa.string(),
        "name": pa.string(),
        "counts": pa.list_(pa.int64()),
        "psi": pa.float64(),
        "level": pa.string(),
        "backfilled": pa.bool_(),
    }
)
_TRIES = 5


@dataclass(frozen=True)
class Stored:
    """What a night kept of one column of a day.

    Attributes:
        kind: `column`, `scores`, or `rows`: those that came in and those that were refused.
        psi, level: of the day alone; level is "" if none was reached.
        backfilled: the day was scored later than its night; no other day is compared with it.
    """

    day: dt.date
    version: str
    kind: str
    name: str
    counts: tuple[int, ...]
    psi: float | None = None
    level: str = ""
    backfilled: bool = False


def read(table: str, model: str, since: dt.date) -> list[Stored]:
    """What is stored of a model since a day; nothing where there is no table.

    Raises:
        StorageError: the table cannot be read.
    """
    rows = read_rows(table, [("day", ">=", since), ("model", "==", model)])
    names = Stored.__dataclass_fields__
    found = [Stored(**{name: row[name] for name in names}) for row in rows]
    return [
        Stored(**{**one.__dict__, "counts": tuple(one.counts)})
        for one in sorted(found, key=lambda one: one.day)
    ]


def replace(table: str, model: str, day: dt.date, version: str, rows: Sequence[Stored]) -> None:
    """Give a day of a model version its counts, in one commit.

    Raises:
        StorageError: the table cannot be written.
    """
    made = [{**row.__dict__, "model": model, "counts": list(row.counts)} for row in rows]
    where = {"day": day.isoformat(), "model": model, "version": version}
    replace_rows(table, pa.Table.from_pylist(made, COUNTS), where)


def read_rows(table: str, filters: list[tuple[str, str, Any]]) -> list[dict[str, Any]]:
    """Rows of a small Delta table; none where there is no table.

    Raises:
        StorageError: it cannot be read.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    where = _plain(table)
    try:
        if not DeltaTable.is_deltatable(where):
            return []
        rows = dataset(DeltaTable(where), table)
        found: list[dict[str, Any]] = rows.to_table(
            filter=pq.filters_to_expression(filters)
        ).to_pylist()
        return found
    except (DeltaError, OSError, pa.ArrowException) as error:
        raise StorageError(f"{table}: cannot be read: {error}") from error


def replace_rows(table: str, rows: pa.Table, where: dict[str, str]) -> None:
    """Replace the rows of a small Delta table that have certain values, in one commit.

    Raises:
        StorageError: it cannot be written.
    """
    from deltalake import write_deltalake
    from deltalake.exceptions import CommitFailedError, DeltaError

    place = _plain(table)
    quoted = {name: value.replace("'", "''") for name, value in where.items()}
    predicate = " AND ".join(f"{name} = '{value}'" for name, value in quoted.items())
    for attempt in range(_TRIES):
        try:
            write_deltalake(place, rows, mode="overwrite", predicate=predicate)
            return
        except CommitFailedError as error:  # another night's commit came first
            if attempt == _TRIES - 1:
                raise StorageError(f"{table}: cannot be written: {error}") from error
            time.sleep(0.1 * 2**attempt)
        except (DeltaError, OSError) as error:
            raise StorageError(f"{table}: cannot be written: {error}") from error


def _plain(table: str) -> str:
    """A path as deltalake takes it."""
    if storage.is_local(table) and ODD.search(table):
        raise StorageError(f"{table}: a path with #, ?, % or \\ cannot be written; rename it")
    return storage.for_delta(table)
