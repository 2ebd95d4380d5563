"""How tables and their columns are named."""

from __future__ import annotations

import os
import posixpath

from tfspark import storage

RAW = "_tfspark_raw"
REASONS = "_tfspark_reasons"


def is_path(table: str) -> bool:
    """Whether a table is named by its folder; otherwise by its name in the catalog."""
    return "/" in table or storage.exists(table)


def quote(name: str) -> str:
    """A column's or table part's name as a quoted SQL identifier."""
    return "`" + name.replace("`", "``") + "`"


def sql_string(value: str) -> str:
    """A text as a SQL literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def is_delta(path: str) -> bool:
    return storage.is_dir(storage.join(path, "_delta_log"))


def delta_around(path: str) -> str | None:
    """The Delta table whose folder a path lies in; None: in none."""
    place = storage.absolute(path)
    scheme, remote, rest = place.partition("://")
    place = f"{scheme}://{posixpath.normpath(rest)}" if remote else os.path.realpath(place)
    parts = place.split("/")
    for end in range(len(parts) - 1, 0, -1):
        above = "/".join(parts[:end])
        if not above or above.endswith(("/", ":")):
            break
        if not set(above) & set("*?[{") and is_delta(above):
            return above
    return None
