"""What a SQLite registry holds, in a file of ours beside it, for the Scala job.

MLflow's tables are MLflow's own, and change with its versions; the Scala job has no MLflow and
reads this index. It names the store's change counter, which SQLite raises with every change: after
a change by another client the two differ, so an alias that was moved is never missed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tfspark import storage
from tfspark.errors import ConfigError
from tfspark.flags import Parser
from tfspark.registry.connect import connect, reported, sqlite_file

_TRIES = 10
_FORMAT = 2
_OURS = "tfspark."


def index_file(store: Path) -> Path:
    return store.with_name(f"{store.name}.models.json")


def refresh(client: Any, uri: str) -> None:
    """Write the index of a SQLite store anew if the store has changed; of others there is none.

    Where others write all the time it may stay behind, which its readers notice.
    """
    store = sqlite_file(uri)
    if store is None:
        return
    index = index_file(store)
    for _ in range(_TRIES):
        changes = _changes(store)
        if changes is None or changes == _indexed(index):
            return
        models = _models(client)
        if _changes(store) == changes:  # nobody wrote while they were read
            held = {"format": _FORMAT, "changes": changes, "models": models}
            storage.write_json(str(index), held)


def indexed(uri: str) -> dict[str, Any] | None:
    """The models of a SQLite registry by its index, without MLflow, which takes seconds to import.

    None: another kind of registry, or the index is behind.
    """
    store = sqlite_file(uri)
    try:
        if store is None or (changes := _changes(store)) is None:
            return None
        found = json.loads(index_file(store).read_bytes())
        current = found["format"] == _FORMAT and found["changes"] == changes
        return dict(found["models"]) if current else None
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None


def _changes(store: Path) -> int | None:
    """The file change counter of https://sqlite.org/fileformat.html; with a WAL there is none."""
    with store.open("rb") as file:
        header = file.read(28)
    return None if header[18] == 2 else int.from_bytes(header[24:28], "big")


def _indexed(index: Path) -> int | None:
    try:
        found = json.loads(index.read_bytes())
        return int(found["changes"]) if found["format"] == _FORMAT else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _models(client: Any) -> dict[str, Any]:
    """Name → its aliases, and its versions with the places of their files and our tags."""
    models: dict[str, Any] = {
        model.name: {"aliases": {k: str(v) for k, v in model.aliases.items()}, "versions": {}}
        for model in _pages(client.search_registered_models)
    }
    for version in _pages(client.search_model_versions):
        tags = {key: str(v) for key, v in sorted(version.tags.items()) if key.startswith(_OURS)}
        about = {"source": _source(client, version), "tags": tags}
        models.setdefault(version.name, {"aliases": {}, "versions": {}})["versions"][
            str(version.version)
        ] = about
    return models


def _source(client: Any, version: Any) -> str:
    """Where its files are, for one who cannot ask MLflow."""
    source = str(version.source)
    if source.startswith("models:"):
        source = str(client.get_model_version_download_uri(version.name, version.version))
    if source.startswith("runs:/"):
        run, _, path = source.removeprefix("runs:/").partition("/")
        source = f"{client.get_run(run).info.artifact_uri}/{path}"
    return source


def _pages(search: Any) -> Iterator[Any]:
    token = None
    while True:
        page = search(page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def main(argv: Sequence[str]) -> int:
    """Bring the index of a SQLite registry up to date, after changes by other MLflow clients."""
    parser = Parser(prog="tfspark registry", description=main.__doc__)
    parser.add_argument("uri", help="sqlite:///FILE")
    uri = parser.parse(argv).uri
    store = sqlite_file(uri)
    if store is None or not store.exists():
        raise ConfigError(f"{uri}: there is no SQLite file; give sqlite:///FILE")
    with reported(uri):
        refresh(connect(uri), uri)
    print(f"{index_file(store)}: is up to date")
    return 0
