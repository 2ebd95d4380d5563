"""Versions of the model, and of the datasets that it was trained on."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from typing import Any

from pyarrow import fs as pafs

from tfspark import storage
from tfspark.clean.pieces import Asked, Busy, Piece, remove_folder, size
from tfspark.clean.protect import protected
from tfspark.dataset import read_manifest, versions
from tfspark.night.lease import Lease
from tfspark.registry.connect import sqlite_file
from tfspark.registry.manifest import read_manifest as model_manifest
from tfspark.registry.tracking import Store


def models(asked: Asked) -> Iterator[Piece]:
    """Versions beyond the newest that nothing names, with what the registry has of them."""
    settings = asked.settings
    file = sqlite_file(settings.tracking_uri)
    if file is not None and not file.exists():
        return
    store = Store(settings.tracking_uri, settings.name)
    known = store.every()
    whole = sorted(number for number, version in known.items() if version.complete)
    old = whole[: -settings.clean.models]
    if not old:
        return
    kept = protected(asked, store)
    for number in old:
        if number in kept:
            continue
        folder = storage.join(settings.models, settings.name, str(number))
        copy = _copy(asked, store, number)
        found = size(folder) + (size(copy) if copy else 0)
        yield Piece("models", folder, found, partial(_drop, asked, store, number, folder, copy))


def datasets(asked: Asked) -> Iterator[Piece]:
    """Versions beyond the newest that no kept model was trained on."""
    settings, folder = asked.settings, asked.settings.datasets
    old = versions(folder)[: -settings.clean.datasets]
    if not old:
        return
    kept = {settings.dataset}
    models = storage.join(settings.models, settings.name)
    for name in filter(str.isdecimal, storage.names(models)):
        if (model := storage.join(models, name)) in asked.listed:
            continue
        about = model_manifest(model)
        dataset: dict[str, Any] = (about or {}).get("dataset") or {}
        if dataset.get("name") == settings.name:
            kept.add(int(dataset["version"]))
    for number in old:
        if number in kept:
            continue
        path = storage.join(folder, str(number))
        day = read_manifest(path).get("day")
        yield Piece("datasets", path, size(path), partial(_drop_dataset, asked, path, day))


def trains(asked: Asked) -> bool:
    """Whether a training of this name runs: it holds the folder of its checkpoints."""
    folder = storage.join(asked.settings.warehouse, "checkpoints", asked.settings.name)
    return any(is_held(storage.join(folder, name)) for name in storage.names(folder))


def is_held(folder: str) -> bool:
    """Whether a process has a folder (`storage.locked`); of other file systems: no."""
    fs, inner = storage.filesystem(folder)
    if not isinstance(fs, pafs.LocalFileSystem):
        return False
    try:
        handle = os.open(inner, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def _copy(asked: Asked, store: Store, number: int) -> str | None:
    """The registry's files of a version, where they lie in the warehouse."""
    own = asked.settings.artifacts
    if own is None:
        return None
    with store.asking():
        source = str(store.client.get_model_version_download_uri(store.name, str(number)))
    return source if source.startswith(f"{own}/") and storage.is_dir(source) else None


def _drop(asked: Asked, store: Store, number: int, folder: str, copy: str | None) -> None:
    # First what scores, last what tells of it: after a kill the next call finds the rest.
    if storage.is_dir(folder):
        remove_folder(asked.settings.models, folder)
    if copy is not None:
        storage.delete(copy)
    with store.asking():
        store.client.delete_model_version(store.name, str(number))


def _drop_dataset(asked: Asked, path: str, day: str | None) -> None:
    if trains(asked):
        raise Busy(f"{path}: a training of {asked.settings.name} runs")
    seconds = asked.settings.nightly.lease_seconds
    run = uuid.uuid4().hex
    with Lease(asked.records.leases, day, run, seconds) if day else nullcontext():
        remove_folder(asked.settings.datasets, path)
