"""The good rows of a day → the files of a dataset's splits."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from tfspark import storage
from tfspark.config import Prepare
from tfspark.contracts import Contract
from tfspark.dataset import SPLITS
from tfspark.errors import StorageError
from tfspark.prepare.split import hash_column, split_column

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_HASH = "_tfspark_hash"
_SPLIT = "_tfspark_split"


def write_splits(
    good: DataFrame, folder: str, contract: Contract, settings: Prepare, bytes_in: int
) -> dict[str, int]:
    """Write `<folder>/<split>/part-NNNNN.parquet` for each split and give its rows.

    A file's rows are in the order of their key's hash: as good as shuffled, and the same again.

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
            (
                spread.sortWithinPartitions(_HASH, *contract.keys)
                .drop(_HASH)
                .write.option("maxRecordsPerFile", settings.rows_per_file or 0)
                .parquet(storage.join(folder, name))
            )
            _rename(storage.join(folder, name))
    finally:
        placed.unpersist()
    return rows


def file_entries(folder: str, names: list[str]) -> dict[str, dict[str, Any]]:
    """What the manifest says of every file: bytes, sha256, and rows of Parquet files."""
    entries = {}
    for name in names:
        path = storage.join(folder, name)
        fs, inner = storage.filesystem(path)
        entry: dict[str, Any] = {
            "bytes": fs.get_file_info(inner).size,
            "sha256": storage.sha256(path),
        }
        if name.endswith(".parquet"):
            entry["rows"] = pq.read_metadata(inner, filesystem=fs).num_rows
        entries[name] = entry
    return entries


def check_rows(entries: dict[str, dict[str, Any]], rows: dict[str, int]) -> None:
    """Compare the footers' rows with what the splits should have.

    Raises:
        StorageError: they differ: rows were lost or doubled on the way.
    """
    for split, expected in rows.items():
        found = sum(e["rows"] for name, e in entries.items() if name.startswith(f"{split}/"))
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
