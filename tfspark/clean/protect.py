"""Which versions of a model stay, whatever the settings say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq

from tfspark import storage
from tfspark.champions import history
from tfspark.champions.change import in_office
from tfspark.clean.pieces import Asked
from tfspark.clean.rows import actions
from tfspark.errors import StorageError
from tfspark.registry.tracking import Store
from tfspark.scoring.kinds.resolve import uris
from tfspark.tablenames import is_path

CHAMPIONS = 3
_VERSION, _NAME = "model_version", "model_name"


def protected(asked: Asked, store: Store) -> set[int]:
    """Champions, what an alias, a setting, a record or a row that is kept names.

    Raises:
        StorageError: it cannot be told.
    """
    settings, name = asked.settings, asked.settings.name
    past = history(settings, name)
    lately = list(dict.fromkeys(row.version for row in reversed(past)))[:CHAMPIONS]
    found = {*lately, *in_office(past)[-CHAMPIONS:], *store.aliases().values()}
    said: list[Any] = [*uris(settings.score.model), settings.stream.model]
    for record in _records(asked):
        said += [record.get("pin"), record.get("published"), record.get("gate")]
        found |= {int(v) for v in _of_gate(record)}
    streams = storage.join(settings.warehouse, "checkpoints", name)
    for folder in (settings.stream.checkpoint, streams):
        note = storage.join(folder, "tfspark", "batch.json") if folder else ""
        said.append(storage.find_json(note) if note and storage.exists(note) else None)
    found |= {int(version) for one in said for version in _named(one, name)}
    first = asked.first_kept(settings.clean.days)
    for table in _tables(asked):
        found |= {int(v) for n, v in in_rows(table, first) if n == name and v.isdecimal()}
    return found


def in_rows(table: str, first: dt.date | None) -> set[tuple[str, str]]:
    """Name and version of every model that rows of a scored table name, of the days kept."""
    found: set[tuple[str, str]] = set()
    for action in actions(table):
        day = action.get("partition.day")
        day = dt.date.fromisoformat(day) if isinstance(day, str) else day
        if first is not None and day is not None and day < first:
            continue
        columns = [c[4:] for c in action if c.startswith("min.") and c.endswith(_VERSION)]
        for version in columns:
            name = version.removesuffix(_VERSION) + _NAME
            ends = [action.get(f"{end}.{c}") for c in (name, version) for end in ("min", "max")]
            if None not in ends and ends[0] == ends[1] and ends[2] == ends[3]:
                found.add((str(ends[0]), str(ends[2])))
            else:
                found |= _in_file(storage.join(table, str(action["path"])), name, version)
        if not columns:  # no statistics: any file may name any version
            raise StorageError(
                f"{table}: {action['path']} does not say which model made it; no model is removed"
            )
    return found


def _in_file(path: str, name: str, version: str) -> set[tuple[str, str]]:
    fs, inner = storage.filesystem(path)
    try:
        rows = pq.read_table(inner, columns=[name, version], filesystem=fs)
    except Exception as error:
        raise StorageError(f"{path}: cannot be read: {error}; no model is removed") from error
    pairs = rows.group_by([name, version]).aggregate([]).to_pylist()
    return {(str(pair[name]), str(pair[version])) for pair in pairs if pair[version] is not None}


def _tables(asked: Asked) -> list[str]:
    """The scored tables of the warehouse, and those that the configuration names."""
    settings = asked.settings
    folder = storage.join(settings.warehouse, "scored")
    found = [storage.join(folder, one) for one in storage.names(folder) if one != "_staging"]
    for named in (settings.scored, settings.stream.output):
        if named and not is_path(named):
            raise StorageError(
                f"{named}: a table of a catalog: which models its rows name cannot be told, so no "
                "model is removed"
            )
        if named and storage.absolute(named) not in {storage.absolute(one) for one in found}:
            found.append(named)
    return found


def _records(asked: Asked) -> Iterator[dict[str, Any]]:
    records, first = asked.records, asked.first_kept(asked.settings.clean.days)
    for day in records.days():
        if (first is None or day >= first) and (found := records.find(day)):
            yield found
    for day in records.tried():
        if found := records.running(day):
            yield found


def _of_gate(record: dict[str, Any]) -> Iterator[Any]:
    for what in ("champion", "challenger"):
        if isinstance(number := (record.get("gate") or {}).get(what), int):
            yield number


def _named(value: Any, name: str) -> Iterator[str]:
    """Versions in `models:/NAME/VERSION` and `.../NAME/VERSION`, anywhere in a value."""
    if isinstance(value, dict):
        for one in value.values():
            yield from _named(one, name)
    elif isinstance(value, list):
        for one in value:
            yield from _named(one, name)
    elif isinstance(value, str):
        folder, _, version = value.rstrip("/").rpartition("/")
        if version.isdecimal() and folder.endswith(f"/{name}"):
            yield version
