"""Counting a day: what was fed from the source, what was said from the scored table's files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfspark import storage, tables
from tfspark.compat.catalyst import table_location
from tfspark.config import Settings
from tfspark.config.textoptions import forms_of
from tfspark.contracts import load_contract
from tfspark.errors import ConfigError, StorageError
from tfspark.rowchecks import Checked
from tfspark.scoring.table.checks import contract_checks, for_tasks
from tfspark.scoring.table.source import for_scoring, in_place_of, pinned
from tfspark.sparkerrors import reading
from tfspark.tensors import Array
from tfspark.watch.counted import Counted, Counts, added, count_batches

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_VERSION = "model_version"


def count_source(
    spark: SparkSession, settings: Settings, day: dt.date, columns: Sequence[Counted]
) -> Counts:
    """The counts of a day's good rows: one pass, by the checks that scoring does.

    Raises:
        ConfigError: there is no contract.
        SourceMissing, StorageError: the source cannot be read.
    """
    if not settings.contract:
        raise ConfigError("there is no contract, by which the source would be read")
    asked = settings.score
    source = in_place_of(settings.source, asked.input) if asked.input else settings.source
    contract = load_contract(settings.contract)
    where = source.place(day)
    named = [c.name for c in contract.columns]
    raw = for_tasks(tables.read_source(spark, pinned(spark, source, day), day, named))
    contract = for_scoring(contract, asked.keep or None, raw.columns)
    by = tables.day_column(source, day)
    checks = contract_checks(raw, contract, where, forms_of(source.format, source.options), by)

    def count(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        found = count_batches(columns, (_good(checks(batch)) for batch in batches))
        values = [found[name].tolist() for name in found]
        kind = pa.list_(pa.int64())
        yield pa.record_batch({"name": [*found], "counts": pa.array(values, kind)}, _FOUND)

    with reading(where):
        found = raw.mapInArrow(count, "name string, counts array<bigint>").collect()
    return added({row["name"]: np.asarray(row["counts"], "int64")} for row in found)


_FOUND = pa.schema({"name": pa.string(), "counts": pa.list_(pa.int64())})


def _good(found: Checked) -> pa.RecordBatch:
    return found.rows if found.bad is None else found.rows.filter(pc.invert(found.bad))


def scored_files(spark: SparkSession, target: str, day: dt.date) -> list[str]:
    """The files of a scored day.

    Raises:
        StorageError: they cannot be told.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    place = target if tables.is_path(target) else table_location(spark, target)
    if place is None:
        raise StorageError(f"{target}: where its files are is not known")
    try:
        where = storage.absolute(place)
        table = DeltaTable(storage.for_delta(where))
        if "columnMapping" in (table.protocol().writer_features or []):
            raise StorageError(f"{target}: its files name columns otherwise")
        files = table.get_add_actions(flatten=True)
        days = [str(one) for one in files["partition.day"].to_pylist()]
        paths = [unquote(str(path)) for path in files["path"].to_pylist()]
        inside = [path for path, one in zip(paths, days, strict=True) if one == day.isoformat()]
        return [path if "://" in path else storage.join(where, path) for path in inside]
    except (DeltaError, OSError) as error:
        raise StorageError(f"{target}: cannot be read: {error}") from error


def count_scores(files: Sequence[str], scores: Counted, column: str, version: str) -> Array:
    """The counts of a scored day's predictions, of those that a model version made.

    Args:
        column: what the scores are called in the table.

    Raises:
        StorageError: a file cannot be read.
    """
    total: Array = np.zeros(len(scores.labels()), "int64")
    for uri in files:
        fs, inner = storage.filesystem(uri)
        try:
            with pq.ParquetFile(inner, filesystem=fs) as file:
                there = file.schema_arrow.names
                by_version = _VERSION in there and bool(version)
                names = [column, *([_VERSION] if by_version else [])]
                for batch in file.iter_batches(1 << 18, columns=names):
                    values = batch.column(column)
                    if by_version:
                        values = values.filter(pc.equal(batch.column(_VERSION), version))
                    total = total + scores.count(values)
        except (OSError, pa.ArrowException, KeyError) as error:
            raise StorageError(f"{uri}: cannot be read: {error}") from error
    return total
