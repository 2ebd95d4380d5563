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
) -> Path:
    """Write a dataset of these rows: the first share trains, the next validates."""
    rows = rows or rows_of(150)
    table = {"name": "small", "properties": columns or COLUMNS}
    contract = {"kind": "DataContract", "id": "small", "version": "1", "schema": [table]}
    folder = warehouse / "datasets" / "small" / str(version)
    folder.mkdir(parents=True)
    (folder / "contract.yaml").write_text(yaml.safe_dump(contract))
    parsed = parse_contract((folder / "contract.yaml").read_bytes(), "contract.yaml")
    from pyspark.sql.pandas.types import to_arrow_schema

    whole = pa.table(rows, schema=to_arrow_schema(parsed.spark_schema()))
    first, second = (round(whole.num_rows * share) for share in shares)
    parts = {
        "train": whole.slice(0, first),
        "validation": whole.slice(first, second),
        "test": whole.slice(first + second),
    }
    for name, part in parts.items():
        (folder / name).mkdir()
        half = part.num_rows // 2
        if part.num_rows:
            pq.write_table(part.slice(0, half), folder / name / "part-0.parquet")
            pq.write_table(part.slice(half), folder / name / "part-1.parquet")
    found = {name: statistics_of(parts["train"].column(name)) for name in whole.column_names}
    storage.write_json(str(folder / "statistics.json"), {"columns": found})
    files = {
        name: {"sha256": storage.sha256(str(folder / name)), "bytes": size}
        for name, size in storage.files(str(folder))
    }
    manifest = {
        "name": "small",
        "version": version,
        "day": "2026-11-20",
        "digest": digest_of(files),
        "rows": {name: part.num_rows for name, part in parts.items()},
        "files": files,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


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
