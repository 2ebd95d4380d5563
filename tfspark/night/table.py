"""What a scored table's log says is published, day by day, without Spark."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tfspark import storage
from tfspark.config import Settings
from tfspark.deltalog import commit_of, is_empty
from tfspark.errors import ConfigError, StorageError
from tfspark.tablenames import is_delta, is_path

STATISTIC = 32
"""Characters of a text that Delta's statistics have: all of a run's name, the head of a digest."""


@dataclass(frozen=True)
class Day:
    """A published day.

    Attributes:
        tokens: the runs whose rows it has, as the files' statistics say; one, unless something is
            wrong; none where there are no statistics.
        rows: by the log.
        files: their paths in the table.
        models: the heads of the digests of the models that scored it.
    """

    tokens: frozenset[str]
    rows: int
    files: tuple[str, ...]
    models: frozenset[str]


def target_of(settings: Settings) -> str:
    """The scored table's folder.

    Raises:
        ConfigError: it is named by a catalog.
    """
    if not is_path(settings.scored):
        raise ConfigError(
            f"score.output: {settings.scored}: a night reads the table's log by itself, without "
            "Spark; name its folder (or a URI) in place of the catalog's name"
        )
    return storage.absolute(settings.scored)


def published(target: str) -> dict[dt.date, Day]:
    """The days of a scored table; none where there is no table yet.

    Raises:
        StorageError: its log cannot be read.
    """
    if not is_delta(target) or is_empty(target):
        return {}
    from deltalake import DeltaTable

    try:
        actions = pa.table(
            DeltaTable(storage.for_delta(target)).get_add_actions(flatten=True)
        ).to_pylist()
    except Exception as error:
        raise StorageError(f"{target}: its log cannot be read: {error}") from error
    days: dict[dt.date, list[dict[str, Any]]] = {}
    for action in actions:
        value = action.get("partition.day")
        day = dt.date.fromisoformat(value) if isinstance(value, str) else value
        if day is None:
            raise StorageError(f"{target}: {action['path']} is of no day: others write to it")
        days.setdefault(day, []).append(action)
    return {day: _day(files) for day, files in sorted(days.items())}


def version_of(target: str, run: str) -> int | None:
    """The version that a run's commit made; None: the log (no longer) tells."""
    return commit_of(target, 0, lambda about: about.get("userMetadata") == run)


def _day(actions: list[dict[str, Any]]) -> Day:
    return Day(
        _values(actions, "run_id"),
        sum(int(action["num_records"] or 0) for action in actions),
        tuple(sorted(str(action["path"]) for action in actions)),
        _values(actions, "model_digest"),
    )


def _values(actions: list[dict[str, Any]], column: str) -> frozenset[str]:
    ends = {action.get(f"{end}.{column}") for action in actions for end in ("min", "max")}
    return frozenset(str(value)[:STATISTIC] for value in ends if value is not None)
