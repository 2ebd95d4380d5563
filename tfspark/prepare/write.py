"""The good rows of a day → the files of a dataset's splits."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from tfspark import storage
from tfspark.compat.spark import to_arrow_schema
from tfspark.config import Prepare
from tfspark.contracts import Contract
from tfspark.contracts.types import family
from tfspark.dataset import SPLITS
from tfspark.errors import ConfigError, StorageError
from tfspark.prepare.split import hash_column, split_column
from tfspark.tables import quote
from tfspark.tfrecord import layout_of
from tfspark.tfrecord.folder.manifest import read_manifest, write_manifest
from tfspark.tfrecord.spark.source import FORMAT, write_tfrecord

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_HASH = "_tfspark_hash"
_SPLIT = "_tfspark_split"


def write_splits(
    good: DataFrame, folder: str, contract: Contract, settings: Prepare, bytes_in: int
) -> dict[str, int]:
    """Write `<folder>/<split>/part-NNNNN.<format>` for each split and give its rows.

    A file's rows are in the order of their key's hash: as good as shuffled, and the same again.
    TFRecord files have their schema and their own manifest beside them.

    Args:
        good: rows that passed the contract, its columns only.
        bytes_in: what the rows take as Parquet, to choose the number of files.
    """
    from pyspark.sql import functions as F

    hashed = good.withColumn(_HASH, hash_column(contract.keys, settings.split.seed))
    placed = hashed.withColumn(_SPLIT, split_column(F.col(_HASH), settings.split)).cache()
    try:
        rows = dict.fromkeys(SPLITS, 0)
        rows |= {row[_SPLIT]: row["count"] for row in placed.groupBy(_SPLIT).count().collect()}
        for name in SPLITS:
            share = rows[name] / max(sum(rows.values()), 1)
            files = _file_count(rows[name], share * bytes_in, settings)
            part = placed.where(F.col(_SPLIT) == name).drop(_SPLIT)
            spread = part.repartition(files, _HASH) if files > 1 else part.coalesce(1)
            ordered = spread.sortWithinPartitions(_HASH, *contract.keys).drop(_HASH)
            to = storage.join(folder, name)
            if settings.format == "tfrecord":
                _write_records(ordered, to, settings)
            else:
                most = settings.rows_per_file or 0
                ordered.write.option("maxRecordsPerFile", most).parquet(to)
                _rename(to)
    finally:
        placed.unpersist()
    return rows


def read_split(spark: SparkSession, folder: str, contract: Contract, format: str) -> DataFrame:
    """A split's rows as they are stored, in the contract's types."""
    from pyspark.sql import functions as F

    schema = contract.spark_schema()
    if format == "parquet":
        return spark.read.schema(schema).parquet(folder)
    stored = spark.read.format(FORMAT).load(folder)
    return stored.select(*[F.col(quote(f.name)).cast(f.dataType).alias(f.name) for f in schema])


def require_narrowing(contract: Contract, narrow: Mapping[str, str]) -> None:
    """Check that TFRecord holds every column of a contract.

    Raises:
        ConfigError: a column needs a narrowing that nobody named, one is named that none needs, or
            a column is of a type that no Example holds.
    """
    needed = {}
    for column in contract.columns:
        leaf = column.physical_type
        while family(leaf) == "array":
            leaf = leaf[len("array<") : -1].strip()
        if family(leaf) in ("double", "decimal") and column.name not in narrow:
            needed[column.name] = "float" if leaf == "double" else "string"
    if needed:
        given = ", ".join(f"{name}: {way}" for name, way in (dict(narrow) | needed).items())
        raise ConfigError(
            f"prepare.format: TFRecord does not hold {', '.join(needed)} without loss: it has no "
            f"doubles and no decimals. Name what they become, under prepare: narrow: {{{given}}}; "
            "or use format: parquet"
        )
    try:
        layout_of(to_arrow_schema(contract.spark_schema(), timezone="UTC"), narrow)
    except ConfigError as error:
        raise ConfigError(f"prepare.narrow, contract {contract.name}: {error}") from None


def file_entries(folder: str, names: list[str]) -> dict[str, dict[str, Any]]:
    """What the manifest says of every file: bytes, sha256, and rows where it holds any."""
    entries = {}
    held = {
        f"{split}/{name}": entry.rows
        for split in SPLITS
        if (manifest := read_manifest(storage.join(folder, split)))
        for name, entry in manifest.files.items()
    }
    for name in names:
        path = storage.join(folder, name)
        fs, inner = storage.filesystem(path)
        entry: dict[str, Any] = {
            "bytes": fs.get_file_info(inner).size,
            "sha256": storage.sha256(path),
        }
        if name.endswith(".parquet"):
            entry["rows"] = pq.read_metadata(inner, filesystem=fs).num_rows
        elif name in held:
            entry["rows"] = held[name]
        entries[name] = entry
    return entries


def check_rows(entries: dict[str, dict[str, Any]], rows: dict[str, int]) -> None:
    """Compare the rows of files with what the splits should have.

    Raises:
        StorageError: they differ: rows were lost or doubled on the way.
    """
    for split, expected in rows.items():
        inside = [entry for name, entry in entries.items() if name.startswith(f"{split}/")]
        found = sum(entry.get("rows", 0) for entry in inside)
        if found != expected:
            raise StorageError(
                f"split {split}: {expected} rows went in, its files hold {found}; nothing was "
                f"published; {json.dumps(rows)}"
            )


def _file_count(rows: int, size: float, settings: Prepare) -> int:
    by_size = math.ceil(size / (settings.file_mb << 20))
    by_rows = math.ceil(rows / settings.rows_per_file) if settings.rows_per_file else 1
    return max(1, by_size, by_rows)


def _rename(folder: str) -> None:
    """Spark's names hold a random id; ours are the same again, in Spark's order."""
    names = [name for name in storage.names(folder) if name.endswith(".parquet")]
    for other in set(storage.names(folder)) - set(names):
        storage.delete_file(storage.join(folder, other))
    for number, name in enumerate(names):
        storage.move(storage.join(folder, name), storage.join(folder, f"part-{number:05}.parquet"))


def _write_records(df: DataFrame, folder: str, settings: Prepare) -> None:
    """TFRecord under names that are the same again, as the folder's manifest says too."""
    write_tfrecord(
        df,
        folder,
        compression=settings.compression,
        narrow=json.dumps(settings.narrow),
        maxFileBytes=settings.file_mb << 20,
        maxRecordsPerFile=settings.rows_per_file or 0,
    )
    manifest = read_manifest(folder)
    if manifest is None:
        raise StorageError(f"{folder}: no manifest is there of what was written; prepare it again")
    files = {}
    for number, (old, entry) in enumerate(sorted(manifest.files.items())):
        new = f"part-{number:05}.{old.split('.', 1)[1]}"
        files[new] = replace(entry, path=storage.join(folder, new))
        storage.move(entry.path, files[new].path)
    write_manifest(folder, replace(manifest, files=files))
