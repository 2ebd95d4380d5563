"""The blocks of a split, by the reader that fits its files."""

from __future__ import annotations

from typing import Any

from tfspark.dataset import Dataset
from tfspark.errors import ConfigError, IntegrityError
from tfspark.training.readers.source import BlockSource, Kind


def open_source(dataset: Dataset, split: str, kind: Kind = "auto") -> BlockSource:
    """The blocks of a split; `auto` takes the reader of the dataset's own format.

    Raises:
        IntegrityError: the blocks of the split, or of one file, hold another number of rows than
            the manifest says.
        ConfigError: the format and the reader do not fit.
    """
    stored = dataset.manifest.get("format", "parquet")
    if kind == "auto":
        kind = stored
    if (kind == "tfrecord") != (stored == "tfrecord"):
        raise ConfigError(f"dataset {dataset.path}: its files are {stored}, reader {kind} is not")
    files = {path: _rows(dataset, path) for path in dataset.files(split)}
    source = _open(kind, files)
    total = sum(block.rows for block in source.blocks)
    if total != dataset.rows(split):
        source.close()
        raise IntegrityError(
            f"dataset {dataset.path}: {split} holds {total} rows, its manifest says "
            f"{dataset.rows(split)}; prepare it again"
        )
    return source


def _open(kind: str, files: dict[str, int | None]) -> BlockSource:
    if kind == "parquet":
        from tfspark.training.readers.parquet import ParquetSource

        return ParquetSource(files)
    if kind == "tfrecord":
        from tfspark.training.readers.tfrecord import TFRecordSource

        return TFRecordSource(files)
    if kind == "petastorm":
        from tfspark.training.readers.petastorm import PetastormSource

        return PetastormSource(files)
    raise ConfigError(f"reader {kind}: there is parquet, tfrecord and petastorm")


def _rows(dataset: Dataset, path: str) -> int | None:
    """What the manifest says of a file."""
    entry: dict[str, Any] = dataset.manifest["files"][path[len(dataset.path.rstrip("/")) + 1 :]]
    return entry.get("rows")
