"""The log of a Delta table, commit by commit: what of it can be read where its history cannot."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pyarrow import fs as pafs

from tfspark import storage

_COMMIT = re.compile(r"(\d{20})\.json")
_ENTRY = re.compile(r"(\d{20})\.(?:json|checkpoint.*)")


def is_empty(table: str) -> bool:
    """Whether the log has no entry: a first commit that was killed may leave one without any."""
    return latest(table) < 0


def latest(table: str) -> int:
    """The newest version; -1 where there is none."""
    names = storage.names(storage.join(table, "_delta_log"))
    return max((int(found[1]) for name in names if (found := _ENTRY.fullmatch(name))), default=-1)


def dataset(delta: Any, table: str) -> Any:
    """A Delta table (a `DeltaTable` and its place) for Arrow.

    deltalake's own file system leaves threads that abort the process when it ends (exit code 134),
    so Arrow reads the files itself.

    Raises:
        ValueError: statistics that Python cannot hold, such as days before the year 1.
    """
    fs, inner = storage.filesystem(table)
    return delta.to_pyarrow_dataset(filesystem=pafs.SubTreeFileSystem(inner, fs))


def commit_of(table: str, since: int, is_it: Callable[[dict[str, Any]], bool]) -> int | None:
    """The newest version, from `since` on, whose commit says of itself that it is the one.

    Args:
        is_it: is given a commit's `commitInfo`.

    Raises:
        StorageError: a commit cannot be read.
    """
    log = storage.join(table, "_delta_log")
    for name in reversed(storage.names(log)):
        found = _COMMIT.fullmatch(name)
        if found and int(found[1]) >= since and is_it(_about(storage.join(log, name))):
            return int(found[1])
    return None


def _about(path: str) -> dict[str, Any]:
    for line in storage.read_bytes(path).splitlines():
        if b'"commitInfo"' in line:
            about = storage.parse_json(line, path).get("commitInfo")
            if isinstance(about, dict):
                return about
    return {}
