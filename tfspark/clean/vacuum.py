"""Files of Delta tables that later commits have replaced, and those that no commit ever named."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from functools import partial

from tfspark import storage
from tfspark.clean.pieces import Asked, Piece
from tfspark.clean.rows import opened
from tfspark.deltalog import is_empty
from tfspark.errors import StorageError
from tfspark.night.lease import running_since
from tfspark.night.table import target_of
from tfspark.sparkerrors import first_line
from tfspark.tablenames import is_delta


def replaced(asked: Asked) -> Iterator[Piece]:
    """Of all tables of this name: files older than is kept, and than the oldest run under way."""
    settings = asked.settings
    target = target_of(settings)
    running = running_since(asked.records.leases)
    running += storage.running_since(target.rpartition("/")[0])
    hours = horizon(settings.clean.vacuum, sorted(running), time.time())
    watch = storage.join(settings.warehouse, "watch")
    tables = [target, settings.quarantine]
    tables += [storage.join(watch, name) for name in ("counts", "metrics")]
    tables += [storage.join(settings.warehouse, "champions")]
    for table in tables:
        if not is_delta(table) or is_empty(table):
            continue
        try:
            names = opened(table).vacuum(hours, dry_run=True, full=True)
        except Exception as error:  # a table that only Spark can open
            asked.notes.append(f"{table}: {first_line(error)}")
            continue
        if names:
            total = sum(_size(storage.join(table, name)) for name in names)
            said = f"{table} ({len(names)} files)"
            yield Piece("replaced files", said, total, partial(_vacuum, table, hours))


def horizon(days: int, running: list[float], now: float) -> int:
    """How old a file is, in hours, that no run needs: one that began before it may read it."""
    oldest = (now - running[0]) / 3600 if running else 0
    return max(days * 24, math.ceil(oldest) + 1)


def _vacuum(table: str, hours: int) -> None:
    try:
        opened(table).vacuum(hours, dry_run=False, full=True)
    except Exception as error:
        raise StorageError(f"{table}: not vacuumed: {first_line(error)}") from error


def _size(path: str) -> int:
    fs, inner = storage.filesystem(path)
    return int(fs.get_file_info(inner).size or 0)
