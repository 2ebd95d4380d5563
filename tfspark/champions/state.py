"""Who is the champion, who was it, and MLflow's alias kept in step."""

from __future__ import annotations

from dataclasses import replace

from tfspark import storage
from tfspark.champions.table import Champion, rows_of
from tfspark.config import Settings
from tfspark.errors import ModelNotFound
from tfspark.registry.connect import sqlite_file
from tfspark.registry.tracking import CHAMPION, Store, Version
from tfspark.wording import near


def current(settings: Settings, name: str) -> Champion | None:
    """The champion of now; None: there is none yet.

    Args:
        settings: name the warehouse and the registry.

    Raises:
        ModelNotFound: the registry has no such model.
        StorageError: table or registry cannot be read.
    """
    found = history(settings, name)
    return found[-1] if found else None


def history(settings: Settings, name: str) -> list[Champion]:
    """All champions, the oldest first.

    Args:
        settings: name the warehouse and the registry.

    Raises:
        ModelNotFound: the registry has no such model.
        StorageError: table or registry cannot be read.
    """
    rows = rows_of(settings, name)
    if rows:
        nexts = [*(row.since for row in rows[1:]), None]
        return [replace(row, until=until) for row, until in zip(rows, nexts, strict=True)]
    before = by_alias(store_of(settings, name))
    return [before] if before else []


def repair(settings: Settings, name: str) -> int | None:
    """Have the alias name the table's champion; who starts with the alias asks for this first.

    Returns:
        The champion by the table; None where nobody has promoted, so that the alias decides.

    Raises:
        StorageError: the alias cannot be set, so it may name another version.
    """
    store = Store(settings.tracking_uri, name)
    while rows := rows_of(settings, name):
        version = rows[-1].version
        if store.aliases().get(CHAMPION) == version:
            return version
        store.set_alias(CHAMPION, version)  # and look again: another may have promoted since
    return None


def by_alias(store: Store) -> Champion | None:
    """The champion of a registry without a history."""
    version = store.aliases().get(CHAMPION)
    reason = "was the champion when the history began"
    return None if version is None else Champion(store.name, version, reason=reason)


def store_of(settings: Settings, name: str) -> Store:
    """The model in the registry.

    Raises:
        ModelNotFound: it is not there.
    """
    uri = settings.tracking_uri
    file = sqlite_file(uri)
    if file is not None and not file.exists():
        raise ModelNotFound(
            f"{name}: there is no registry at {uri}; name the warehouse with --warehouse, or the "
            "configuration with --config"
        )
    store = Store(uri, name)
    if not store.every():
        there = store.models()
        raise ModelNotFound(
            f"{name}: no such model in {uri}{near(name, there)}; there are: "
            f"{', '.join(there) or 'none'}"
        )
    return store


def version_of(store: Store, number: int) -> Version:
    """A whole version.

    Raises:
        ModelNotFound: it is not there, or its training was not finished.
    """
    known = store.every()
    if number not in known:
        raise ModelNotFound(
            f"{store.name}: no version {number}; there are: {', '.join(map(str, sorted(known)))}"
        )
    if not known[number].complete:
        raise ModelNotFound(
            f"{store.name}: version {number} was not finished; run the same training again"
        )
    return known[number]


def verdict_file(settings: Settings, name: str, version: int, champion: int) -> str:
    """Where the verdict on a version is kept, made against that champion."""
    return storage.join(settings.warehouse, "judged", name, f"{version}-against-{champion}.json")
