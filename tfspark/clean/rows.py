"""Days of the scored table, and of the rows that were refused."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import pyarrow as pa

from tfspark import storage
from tfspark.clean.pieces import Asked, Piece
from tfspark.contracts import load_contract
from tfspark.daywrite import ODD
from tfspark.deltalog import is_empty
from tfspark.errors import StorageError
from tfspark.night.lease import Lease
from tfspark.night.table import target_of
from tfspark.sparkerrors import first_line
from tfspark.tablenames import is_delta

_TRIES = 5


def days(asked: Asked) -> Iterator[Piece]:
    """Days of the scored table with their records, the oldest first."""
    first = asked.first_kept(asked.settings.clean.days)
    if first is None:
        return
    target = target_of(asked.settings)
    there: Counter[dt.date] = Counter()
    for action in actions(target):
        there[_day(action["partition.day"])] += int(action["size_bytes"] or 0)
    for day in sorted({*there, *asked.records.days()}):
        if day < first:
            remove = partial(_drop_day, asked, target, day, first, day in there)
            yield Piece("days", f"{target} {day}", there[day], remove)


def quarantine(asked: Asked) -> Iterator[Piece]:
    """Refused rows of this name's table."""
    first = asked.first_kept(asked.settings.clean.quarantine)
    if first is None or not asked.settings.contract:
        return
    table, name = asked.settings.quarantine, load_contract(asked.settings.contract).name
    old: Counter[dt.date] = Counter()
    for action in actions(table):
        if action["partition.table"] == name and _day(action["partition.day"]) < first:
            old[_day(action["partition.day"])] += int(action["size_bytes"] or 0)
    quoted = name.replace("'", "''")
    for day, found in sorted(old.items()):
        where = f"day = '{day}' AND \"table\" = '{quoted}'"
        yield Piece("quarantine", f"{table} {name} {day}", found, partial(delete, table, where))


def actions(table: str) -> list[dict[str, Any]]:
    """What the log of a Delta table says of its files; nothing where there is no table.

    Raises:
        StorageError: it cannot be read.
    """
    if not is_delta(table) or is_empty(table):
        return []
    try:
        return list(pa.table(opened(table).get_add_actions(flatten=True)).to_pylist())
    except StorageError:
        raise
    except Exception as error:
        raise StorageError(f"{table}: its log cannot be read: {first_line(error)}") from error


def opened(table: str) -> Any:
    """A Delta table in a folder.

    Raises:
        StorageError: deltalake would take its path for another.
    """
    from deltalake import DeltaTable

    place = storage.absolute(table)
    if "://" not in place and ODD.search(place):
        raise StorageError(f"{table}: a path with #, ?, % or \\ cannot be cleaned; rename it")
    return DeltaTable(place)


def delete(table: str, where: str) -> None:
    """Delete whole partitions, in one commit.

    Raises:
        StorageError: they could not be deleted.
    """
    from deltalake.exceptions import CommitFailedError, DeltaError

    for attempt in range(_TRIES):
        try:
            opened(table).delete(where)
            return
        except CommitFailedError as error:  # another's commit came first
            if attempt == _TRIES - 1:
                raise StorageError(f"{table}: {where}: not deleted: {error}") from error
            time.sleep(0.1 * 2**attempt)
        except (DeltaError, OSError) as error:
            raise StorageError(f"{table}: {where}: not deleted: {first_line(error)}") from error


def _drop_day(asked: Asked, target: str, day: dt.date, first: dt.date, rows: bool) -> None:
    records, seconds = asked.records, asked.settings.nightly.lease_seconds
    records.forget_before(first)
    with Lease(records.leases, day.isoformat(), uuid.uuid4().hex, seconds):
        if rows:
            delete(target, f"day = '{day}'")
        records.forget(day)


def _day(value: Any) -> dt.date:
    return dt.date.fromisoformat(value) if isinstance(value, str) else value
