"""The manifest of a model version, `tfspark.json`: what it is, and the sum of every file.

The digest of a model is the sha256 over the sorted names and sums of its files, so a folder
without a manifest has a digest too, and the same files have the same digest everywhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from tfspark import storage
from tfspark.errors import IntegrityError
from tfspark.registry.mlmodel import META
from tfspark.wording import say

MANIFEST = "tfspark.json"
_NOT_OURS = {MANIFEST, META}
FORMAT = 1


def file_sums(folder: str) -> dict[str, dict[str, Any]]:
    """Path in the folder → `sha256` and `bytes`, of every file but the manifest and META."""
    return {
        name: {"sha256": storage.sha256(storage.join(folder, name)), "bytes": size}
        for name, size in storage.files(folder)
        if name not in _NOT_OURS
    }


def digest_of(files: dict[str, dict[str, Any]]) -> str:
    """sha256 over the sorted names and sums of a model's files."""
    sums = sorted((name, entry["sha256"]) for name, entry in files.items())
    return hashlib.sha256(json.dumps(sums).encode()).hexdigest()


def digest_folder(folder: str) -> str:
    """The digest of whatever files are in the folder now."""
    return digest_of(file_sums(folder))


def read_manifest(
    folder: str, sha256: str | None = None, must: bool = False
) -> dict[str, Any] | None:
    """The manifest, or None where the folder has none (a model that others exported).

    Args:
        folder: of the model.
        sha256: what the registry says that the file has; None: it says nothing.
        must: whether the registry says that it has one.

    Returns:
        The manifest's fields, or None.

    Raises:
        IntegrityError: it is not JSON, not a manifest, not the one of that sum, or not there.
    """
    path = storage.join(folder, MANIFEST)
    if not storage.exists(path):
        if must:
            raise IntegrityError(say("lost_manifest", path=path))
        return None
    content = storage.read_bytes(path)
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise IntegrityError(say("other_manifest", path=path))
    manifest = storage.parse_json(content, path)
    if not isinstance(manifest, dict) or type(manifest.get("format")) is not int:
        raise IntegrityError(say("not_manifest", path=path))
    if manifest["format"] != FORMAT:
        said = say("other_format", path=path, format=manifest["format"], known=FORMAT)
        raise IntegrityError(said)
    if not _is_manifest(manifest):
        raise IntegrityError(say("not_manifest", path=path))
    return manifest


def _is_manifest(manifest: dict[str, Any]) -> bool:
    """Whether what is read of a manifest has its shape; the rest is for people."""
    files = manifest.get("files")
    return (
        isinstance(files, dict)
        and all(isinstance(entry, dict) for entry in files.values())
        and all(type(entry.get("bytes")) is int for entry in files.values())
        and all(isinstance(entry.get("sha256"), str) for entry in files.values())
        and isinstance(manifest.get("digest"), str)
        and all(isinstance(manifest.get(key, ""), str) for key in ("name", "version", "signature"))
        and all(isinstance(spec, dict) for spec in _values(manifest.get("inputs", {})))
        and all(isinstance(key, str) for key in _items(manifest.get("keys", [])))
    )


def _values(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else [None]


def _items(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [None]


def write_manifest(folder: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Write the manifest of the files as they are now, last of all files, and return it.

    Args:
        folder: of the model.
        fields: everything but `format`, `files` and `digest`.

    Returns:
        The whole manifest, as it was written.

    Raises:
        StorageError: it cannot be written.
    """
    files = file_sums(folder)
    manifest = {**fields, "format": FORMAT, "files": files, "digest": digest_of(files)}
    storage.write_json(storage.join(folder, MANIFEST), manifest)
    return manifest


def verify(folder: str, manifest: dict[str, Any]) -> None:
    """Compare every file with its sum.

    Raises:
        IntegrityError: a file is missing, was changed, or is there though the manifest does not
            name it. Nothing of such a folder is opened.
    """
    known, found = manifest["files"], dict(storage.files(folder))
    todo = "do not use this model; copy or register the version again"
    for name in sorted(found.keys() - known.keys() - _NOT_OURS):
        raise IntegrityError(f"model {folder}: {name} is not in its manifest; {todo}")
    for name, entry in sorted(known.items()):
        if name not in found:
            raise IntegrityError(f"model {folder}: {name} is missing; {todo}")
        if found[name] != entry["bytes"]:
            raise IntegrityError(
                f"model {folder}: {name} was changed ({found[name]} bytes, its manifest says "
                f"{entry['bytes']}); {todo}"
            )
        if storage.sha256(storage.join(folder, name)) != entry["sha256"]:
            raise IntegrityError(f"model {folder}: {name} was changed (another sha256); {todo}")
    if digest_of(known) != manifest["digest"]:
        raise IntegrityError(f"model {folder}: {MANIFEST} was changed (digest); {todo}")
