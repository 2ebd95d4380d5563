"""The dataset on disk: an immutable, numbered folder that `prepare` writes and training reads.

    <warehouse>/datasets/<name>/<version>/
        train/ validation/ test/     Parquet files, or TFRecord files with their schema
        statistics.json              of the training split: what preprocessing needs
        contract.yaml                the contract that every row has passed
        manifest.json                written last: rows and sha256 of every file

A folder without `manifest.json` is no dataset: readers never see half of one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tfspark import storage
from tfspark.contracts import Contract, parse_contract
from tfspark.errors import ConfigError, IntegrityError

SPLITS = ("train", "validation", "test")
__all__ = ["Dataset", "find_dataset", "open_dataset"]

MANIFEST = "manifest.json"
STATISTICS = "statistics.json"
CONTRACT = "contract.yaml"


@dataclass(frozen=True)
class Dataset:
    """One version of a dataset.

    Attributes:
        path: its folder.
        manifest: `name`, `version`, `digest`, `contract` (digest), `source`, `split`, `format`,
            `rows` by split, `files` (path → rows, bytes, sha256), `label_counts` by split,
            `nulls` by split and column, `row_hashes` by split, `quarantined`; of TFRecord also
            `compression` and `narrow`.
    """

    path: str
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        """Of the dataset, all versions."""
        return str(self.manifest["name"])

    @property
    def version(self) -> int:
        """Its number, from 1."""
        return int(self.manifest["version"])

    @property
    def digest(self) -> str:
        """The same rows, splits and contract give the same digest; see `digest_of`."""
        return str(self.manifest["digest"])

    @cached_property
    def contract(self) -> Contract:
        """The contract that its rows passed."""
        where = storage.join(self.path, CONTRACT)
        return parse_contract(storage.read_bytes(where), where, self.manifest.get("table"))

    @cached_property
    def statistics(self) -> dict[str, Any]:
        """Of the training split, by column. See `tfspark.prepare.statistics` for the fields."""
        path = storage.join(self.path, STATISTICS)
        columns: dict[str, Any] = storage.checked(storage.read_json(path), path, columns=dict)[
            "columns"
        ]
        return columns

    def rows(self, split: str) -> int:
        """How many rows a split has."""
        return int(self.manifest["rows"][split])

    def files(self, split: str) -> list[str]:
        """Paths of the files that hold a split's rows, in their order."""
        inside = (name for name in self.manifest["files"] if name.startswith(f"{split}/"))
        return [storage.join(self.path, name) for name in sorted(inside) if "/_" not in name]

    def verify(self) -> None:
        """Compare every file with its sum.

        Raises:
            IntegrityError: a file is missing or differs.
        """
        for name, entry in self.manifest["files"].items():
            path = storage.join(self.path, name)
            if not storage.exists(path):
                raise IntegrityError(f"dataset {self.path}: {name} is missing; prepare it again")
            if storage.sha256(path) != entry["sha256"]:
                raise IntegrityError(f"dataset {self.path}: {name} was changed; prepare it again")


def open_dataset(path: str) -> Dataset:
    """Open one version's folder.

    Args:
        path: the version's folder.

    Raises:
        ConfigError: there is no dataset in that folder.
    """
    if not storage.exists(storage.join(path, MANIFEST)):
        raise ConfigError(f"{path}: no dataset there (no {MANIFEST}); run prepare first")
    return Dataset(storage.absolute(path), read_manifest(path))


def read_manifest(path: str) -> dict[str, Any]:
    """The manifest of a version's folder.

    Raises:
        IntegrityError: it is not one.
    """
    path = storage.join(path, MANIFEST)
    found = storage.read_json(path)
    storage.checked(found, path, version=int, digest=str, rows=dict, files=dict)
    for entry in found["files"].values():
        storage.checked(entry, path, sha256=str)
    return dict(found)


def versions(folder: str) -> list[int]:
    """Numbers of the complete versions in a dataset's folder, ascending."""
    numbers = [int(name) for name in storage.names(folder) if name.isdigit()]
    return sorted(n for n in numbers if storage.exists(storage.join(folder, str(n), MANIFEST)))


def find_dataset(folder: str, version: int | None = None, day: str | None = None) -> Dataset:
    """A version by its number, or the newest that was prepared for `day` (None: of any day).

    Args:
        folder: of the dataset, with all its versions.
        version: its number; None: the newest.
        day: the newest that was prepared for this day, YYYY-MM-DD; None: for any.

    Raises:
        ConfigError: there is none.
    """
    known = versions(folder)
    if version is not None:
        return open_dataset(storage.join(folder, str(version)))
    for number in reversed(known):
        dataset = open_dataset(storage.join(folder, str(number)))
        if day is None or dataset.manifest["day"] == day:
            return dataset
    wanted = f" for {day}" if day else ""
    raise ConfigError(f"{folder}: no dataset{wanted} there; run prepare first")


def digest_of(manifest: dict[str, Any], statistics: Any) -> str:
    """sha256 of what a dataset means: contract, split, the hash of every split's rows, statistics.

    Not of the files: Spark's Parquet writer gives other bytes for the same rows in another JVM.
    """
    means = {key: manifest[key] for key in ("contract", "split", "format", "rows", "row_hashes")}
    text = json.dumps([means, statistics], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
