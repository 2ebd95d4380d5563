"""The fingerprint of a day's source: equal where the day would be read the same."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import Any

import pyarrow as pa
from pyarrow import fs as pafs

from tfspark import storage
from tfspark.config import Settings, Source
from tfspark.deltalog import latest
from tfspark.errors import ConfigError
from tfspark.scoring.table.source import in_place_of
from tfspark.tablenames import is_delta
from tfspark.targets import GLOB

_READ = 256 << 20
"""Bytes of a day whose content is read; of more, sizes and times of the files are taken."""


def source_of(settings: Settings, day: dt.date) -> dict[str, Any]:
    """The fingerprint of all that a night of the day reads: `source`, and `score.input`.

    Raises:
        ConfigError: neither is set.
    """
    own, other = settings.source, settings.score.input
    if not own.path and not other:
        raise ConfigError("nightly: no table: give a source, or score.input, with --config FILE")
    if not other:
        return fingerprint(own, day)
    read = fingerprint(in_place_of(own, other), day)
    if not own.path or not settings.contract or not settings.nightly.prepare:
        return {**read, "kind": "input"}
    both = [fingerprint(own, day), read]
    values = [one["value"] for one in both]
    return {
        "kind": "both",
        "value": None if None in values else _digest(values),
        "missing": any(one["missing"] for one in both),
    }


def fingerprint(source: Source, day: dt.date) -> dict[str, Any]:
    """What a day's source is now: `kind`, `value`, and `missing`.

    `value` is None where it cannot be told (a database, a catalog's table): then nothing is known
    to have changed. Of a Delta table `version` is the one that a night reads, and the value is of
    the files that may hold rows of the day.
    """
    if source.format in ("jdbc", "table"):
        return {"kind": source.format, "value": None, "missing": False}
    path = source.place(day)
    if source.format == "delta" or (source.format == "parquet" and is_delta(path)):
        return _delta(path, source, day)
    found = _files(path)
    total = sum(size for _, size, _ in found)
    read = total <= _READ
    listed = [
        (name.removeprefix(storage.absolute(path)), size, storage.sha256(name) if read else changed)
        for name, size, changed in found
    ]
    return {
        "kind": "content" if read else "files",
        "value": _digest(listed) if found else None,
        "missing": not found,
        "files": len(found),
        "bytes": total,
    }


def by_day(settings: Settings) -> bool:
    """Whether each day has a source of its own, so that it can be late."""
    source = settings.source
    return bool(source.day_column) or "{date}" in source.path + settings.score.input


def where(settings: Settings, day: dt.date) -> str:
    """The source of a day, for messages."""
    return settings.source.place(day) or settings.score.input.replace("{date}", str(day))


def _files(path: str) -> list[tuple[str, int, str]]:
    """Path, size and time of change of every file that a reader takes, sorted."""
    roots = storage.glob(path) if GLOB.search(path) and "://" not in path else [path]
    found = []
    for root in roots:
        fs, inner = storage.filesystem(root)
        infos = [fs.get_file_info(inner)]
        if infos[0].type == pafs.FileType.Directory:
            infos = fs.get_file_info(pafs.FileSelector(inner, recursive=True))
        for info in infos:
            below = info.path.removeprefix(inner).strip("/").split("/")
            if info.type == pafs.FileType.File and not any(n.startswith(("_", ".")) for n in below):
                name = info.path if "://" not in root else _uri(root, inner, info.path)
                found.append((name, int(info.size), str(info.mtime_ns)))
    return sorted(found)


def _uri(root: str, inner: str, path: str) -> str:
    return root.rstrip("/") + path.removeprefix(inner.rstrip("/"))


def _delta(path: str, source: Source, day: dt.date) -> dict[str, Any]:
    from deltalake import DeltaTable

    wanted = source.options.get("versionAsOf")
    version = latest(path) if wanted is None else int(str(wanted))
    about = {"kind": "delta", "missing": version < 0, "version": version}
    try:
        table = DeltaTable(storage.for_delta(path), version=version)
        actions = pa.table(table.get_add_actions(flatten=True)).to_pylist()
        vectors = sum(batch.num_rows for batch in table.deletion_vectors())
    except Exception:  # a table that only Spark can open: by its version
        return {**about, "value": None if version < 0 else _digest([version])}
    files = [one for one in actions if _may_hold(one, source.day_column, day)]
    return {
        **about,
        "value": _digest([sorted(one["path"] for one in files), version if vectors else None]),
        "files": len(files),
    }


def _may_hold(action: dict[str, Any], column: str | None, day: dt.date) -> bool:
    """Whether a file may hold rows of a day, by its folder or by its least and greatest value."""
    if column is None:
        return True
    if f"partition.{column}" in action:
        value = _as_date(action[f"partition.{column}"])
        return value is None or value == day
    low, high = _as_date(action.get(f"min.{column}")), _as_date(action.get(f"max.{column}"))
    return low is None or high is None or low <= day <= high


def _as_date(value: Any) -> dt.date | None:
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    try:
        return dt.date.fromisoformat(value[:10]) if isinstance(value, str) else None
    except ValueError:
        return None


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
