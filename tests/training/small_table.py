"""A small table as a dataset on disk, written without Spark."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tfspark import storage
from tfspark.contracts import parse_contract
from tfspark.registry.manifest import digest_of

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "physicalType": "bigint", "primaryKey": True, "required": True, "role": "key"},
    {"name": "y", "physicalType": "int", "role": "label", "validValues": [0, 1]},
    {"name": "x", "physicalType": "double"},
    {"name": "word", "physicalType": "string"},
]
SETTINGS: dict[str, Any] = {
    "name": "small",
    "features": [
        {"kind": "numeric", "column": "x"},
        {"kind": "vocabulary", "column": "word"},
    ],
    "model.params": {"units": [4], "dropout": 0.2},
    "training.epochs": 3,
    "training.batch_size": 16,
}


def rows_of(count: int, seed: int = 0) -> dict[str, list[Any]]:
    """Rows whose label depends on both features."""
    random = np.random.default_rng(seed)
    x = random.normal(size=count)
    word = random.choice(["a", "b", "c"], count)
    y = (x + (word == "a") + random.normal(0, 0.5, count) > 0.3).astype(int)
    return {
        "id": list(range(count)),
        "y": y.tolist(),
        "x": [None if i % 11 == 0 else float(v) for i, v in enumerate(x)],
        "word": [None if i % 7 == 0 else str(w) for i, w in enumerate(word)],
    }


def write_dataset(
    warehouse: Path,
    rows: dict[str, list[Any]] | None = None,
    columns: list[dict[str, Any]] | None = None,
    shares: tuple[float, float] = (0.6, 0.2),
    version: int = 1,
    files: list[int] | None = None,
    format: str = "parquet",
    row_group: int | None = None,
) -> Path:
    """Write a dataset of these rows: the first share trains, the next validates.

    Args:
        files: rows of each file of the training split, instead of its share in two files.
        format: `parquet`, `tfrecord` or `tfrecord.gz`.
        row_group: rows of a Parquet row group.
    """
    rows = rows or rows_of(150)
    table = {"name": "small", "properties": columns or COLUMNS}
    contract = {"kind": "DataContract", "id": "small", "version": "1", "schema": [table]}
    folder = warehouse / "datasets" / "small" / str(version)
    folder.mkdir(parents=True)
    (folder / "contract.yaml").write_text(yaml.safe_dump(contract))
    parsed = parse_contract((folder / "contract.yaml").read_bytes(), "contract.yaml")
    from pyspark.sql.pandas.types import to_arrow_schema

    whole = pa.table(rows, schema=to_arrow_schema(parsed.spark_schema(), timezone="UTC"))
    first, second = (round(whole.num_rows * share) for share in shares)
    if files is not None:
        first = sum(files)
    parts = {
        "train": whole.slice(0, first),
        "validation": whole.slice(first, second),
        "test": whole.slice(first + second),
    }
    held: dict[str, int] = {}
    for name, part in parts.items():
        (folder / name).mkdir()
        half = part.num_rows // 2
        sizes = [half, part.num_rows - half] if part.num_rows else []
        start = 0
        for number, size in enumerate(files if files is not None and name == "train" else sizes):
            path = f"{name}/part-{number}.{format}"
            write_file(part.slice(start, size), folder / path, row_group)
            held[path], start = size, start + size
    found = {name: statistics_of(parts["train"].column(name)) for name in whole.column_names}
    storage.write_json(str(folder / "statistics.json"), {"columns": found})
    entries = {
        name: {"sha256": storage.sha256(str(folder / name)), "bytes": size}
        | ({"rows": held[name]} if name in held else {})
        for name, size in storage.files(str(folder))
    }
    manifest = {
        "name": "small",
        "version": version,
        "day": "2026-11-20",
        "digest": digest_of(entries),
        "format": format.removesuffix(".gz"),
        "rows": {name: part.num_rows for name, part in parts.items()},
        "files": entries,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def write_file(table: pa.Table, path: Path, row_group: int | None = None) -> None:
    """A table as Parquet, or as TFRecord by the name's end."""
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=row_group)
        return
    import tensorflow as tf

    options = tf.io.TFRecordOptions("GZIP" if path.suffix == ".gz" else "")
    with tf.io.TFRecordWriter(str(path), options) as writer:
        for row in zip(*(feature_values(column) for column in table.columns), strict=True):
            named = zip(table.column_names, row, strict=True)
            features = {name: feature_of(value) for name, value in named if value is not None}
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())


def feature_values(column: pa.ChunkedArray) -> list[Any]:
    """Dates as days, timestamps as microseconds."""
    kind = column.type
    if pa.types.is_date(kind):
        column = column.cast(pa.int32())
    elif pa.types.is_timestamp(kind):
        column = column.cast(pa.int64())
    return list(column.to_pylist())


def feature_of(value: Any) -> Any:
    import tensorflow as tf

    items = value if isinstance(value, list) else [value]
    if items and isinstance(items[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=items))
    if items and isinstance(items[0], str | bytes):
        encoded = [item.encode() if isinstance(item, str) else item for item in items]
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=encoded))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[int(item) for item in items]))


def statistics_of(column: pa.ChunkedArray) -> dict[str, Any]:
    values = column.drop_null().to_pylist()
    entry: dict[str, Any] = {"count": len(values), "nulls": column.null_count}
    if values and isinstance(values[0], int | float):
        numbers = np.array(values, "float64")
        entry |= {"mean": numbers.mean(), "std": numbers.std()}
        entry |= {"min": numbers.min(), "max": numbers.max()}
        entry["quantiles"] = np.percentile(numbers, range(101)).tolist()
    if values and isinstance(values[0], int | str):
        counted = sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))
        entry |= {"values": counted, "distinct": len(counted)}
    return entry
