"""The manifest of a model version, `tfspark.json`: what it is, and the sum of every file.

The digest of a model is the sha256 over the sorted names and sums of its files, so a folder
without a manifest has a digest too, and the same files have the same digest everywhere.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tfspark import storage
from tfspark.errors import IntegrityError

MANIFEST = "tfspark.json"
FORMAT = 1


def file_sums(folder: str) -> dict[str, dict[str, Any]]:
    """Path in the folder → `sha256` and `bytes`, of every file but the manifest."""
    return {
        name: {"sha256": storage.sha256(storage.join(folder, name)), "bytes": size}
        for name, size in storage.files(folder)
        if name != MANIFEST
    }


def digest_of(files: dict[str, dict[str, Any]]) -> str:
    """sha256 over the sorted names and sums of a model's files."""
    sums = sorted((name, entry["sha256"]) for name, entry in files.items())
    return hashlib.sha256(json.dumps(sums).encode()).hexdigest()


def digest_folder(folder: str) -> str:
    """The digest of whatever files are in the folder now."""
    return digest_of(file_sums(folder))


def read_manifest(folder: str) -> dict[str, Any] | None:
    """The manifest, or None where the folder has none (a model that others exported).

    Args:
        folder: of the model.

    Returns:
        The manifest's fields, or None.

    Raises:
        IntegrityError: it is not JSON, or not a manifest.
    """
    path = storage.join(folder, MANIFEST)
    if not storage.exists(path):
        return None
    manifest = storage.read_json(path)
    if not isinstance(manifest, dict) or not {"format", "files", "digest"} <= manifest.keys():
        raise IntegrityError(f"{path}: is no manifest of a model; register the model again")
    if manifest["format"] != FORMAT:
        raise IntegrityError(
            f"{path}: format {manifest['format']} is not known here (known: {FORMAT}); "
            "use the tfspark that wrote it, or a newer one"
        )
    return manifest


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
    for name in sorted(found.keys() - known.keys() - {MANIFEST}):
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
