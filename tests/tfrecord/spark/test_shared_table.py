"""One table, written once: the same rows from Spark, from tf.data and, of its twin, Petastorm."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import tensorflow as tf
from pyspark.sql.pandas.types import to_arrow_schema

from tfspark.contracts import Contract, parse_contract
from tfspark.tfrecord.folder.manifest import list_folder
from tfspark.training.readers.petastorm import PetastormSource

ROWS = 1000
# Every type that an Example holds without loss and Petastorm reads: no lists of lists. A null in
# tf.data is a value that no row has; in a list it is an empty one, so `list` is never empty there.
CONTRACT = """
kind: DataContract
id: shared
version: 1
schema:
  - name: shared
    properties:
      - {name: id, physicalType: bigint, primaryKey: true, required: true}
      - {name: flag, physicalType: boolean}
      - {name: tiny, physicalType: tinyint}
      - {name: small, physicalType: smallint}
      - {name: whole, physicalType: int}
      - {name: big, physicalType: bigint}
      - {name: real, physicalType: float, tensor: {nullValue: -1}}
      - {name: text, physicalType: string, tensor: {nullValue: none}}
      - {name: bytes, physicalType: binary, tensor: {nullValue: none}}
      - {name: day, physicalType: date}
      - {name: at, physicalType: timestamp}
      - {name: required, physicalType: string, required: true}
      - {name: floats, physicalType: array<float>, required: true, tensor: {shape: [4]}}
      - {name: ragged, physicalType: array<bigint>, required: true}
      - {name: words, physicalType: array<string>, required: true}
      - {name: list, physicalType: array<int>}
"""


def rows() -> list[dict[str, Any]]:
    random = np.random.default_rng(0)
    whole = [float("nan"), float("inf"), -0.0, 1e-40]
    made: list[dict[str, Any]] = []
    for i in range(ROWS):
        row: dict[str, Any] = {
            "flag": bool(i % 2),
            "tiny": i % 256 - 128,
            "small": i * 60 - 30_000,
            "whole": (-1) ** i * (2**31 - 1 - i),
            "big": (-1) ** i * (2**63 - 1 - i),
            "real": whole[i] if i < 4 else float(np.float32(random.normal())) ** 2,
            "text": "" if i == 5 else f"é{i}" * (i % 40),
            "bytes": bytes([0, 255, i % 256]) * (i % 7),
            "day": dt.date(1900, 1, 1) + dt.timedelta(100 * i),
            "at": dt.datetime(1900, 1, 1, 0, 0, 0, i, dt.UTC) + dt.timedelta(100 * i),
            "list": [i, -i][: i % 2 + 1],
        }
        row = {name: None if random.random() < 0.1 else value for name, value in row.items()}
        row |= {
            "id": i,
            "required": f"row {i}",
            "floats": random.normal(size=4).astype("float32").tolist(),
            "ragged": list(range(i % 13)),
            "words": ["", "ä", "word"][: i % 4],
        }
        made.append(row)
    return made


@pytest.fixture(scope="module")
def contract() -> Contract:
    return parse_contract(CONTRACT.encode(), "shared.yaml")


@pytest.fixture(scope="module")
def table(contract: Contract) -> pa.Table:
    schema = to_arrow_schema(contract.spark_schema(), timezone="UTC")
    return pa.Table.from_pylist(rows(), schema)


@pytest.fixture(scope="module", params=["none", "gzip", "zlib"])
def compression(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def shared(spark: Any, table: pa.Table, compression: str, tmp_path_factory: Any) -> Path:
    """The folder that Spark has written the table to, as `records` and as its twin `parquet`."""
    folder = tmp_path_factory.mktemp("shared")
    df = spark.createDataFrame(table).repartition(3, "id")
    writer = df.write.format("tfrecord").option("compression", compression)
    writer.mode("append").save(str(folder / "records"))
    df.write.parquet(str(folder / "parquet"))
    return Path(folder)


def test_spark_reads_the_same_rows(spark: Any, shared: Path, table: pa.Table) -> None:
    for format in ("tfrecord", "parquet"):
        path = shared / ("parquet" if format == "parquet" else "records")
        same(spark.read.format(format).load(str(path)).toArrow(), table)


def test_tf_data_reads_the_same_rows(
    shared: Path, table: pa.Table, contract: Contract, compression: str
) -> None:
    paths = [entry.path for entry in list_folder(str(shared / "records")).files]
    assert len(paths) == 3
    kind = "" if compression == "none" else compression.upper()
    spec = contract.example_spec()
    records = tf.data.TFRecordDataset(paths, kind).batch(128)
    parsed = records.map(lambda some: tf.io.parse_example(some, spec))
    batches = [as_arrow(batch, contract, table.schema) for batch in parsed]
    same(pa.concat_tables(batches), table)


def test_petastorm_reads_the_same_rows_of_the_twin(shared: Path, table: pa.Table) -> None:
    files = sorted((shared / "parquet").glob("*.parquet"))
    source = PetastormSource({str(path): None for path in files})
    tables = [source.read(block, table.schema) for block in source.blocks]
    assert len(tables) == 3
    same(pa.concat_tables(tables), table)


def as_arrow(batch: dict[str, Any], contract: Contract, schema: pa.Schema) -> pa.Table:
    """What tf.data has parsed, in the types of the table; what stands for null as null."""
    columns = []
    for name, kind in zip(schema.names, schema.types, strict=True):
        column, found = contract.column(name), batch[name]
        if isinstance(found, tf.RaggedTensor):
            ends = pa.array(found.row_splits.numpy().astype("int32"))
            empty = np.diff(found.row_splits.numpy()) == 0
            mask = None if column.required else pa.array(empty)
            values = typed(found.values.numpy(), kind.value_type)
            columns.append(pa.ListArray.from_arrays(ends, values, type=kind, mask=mask))
        elif found.shape.rank == 2:
            values = found.numpy()
            ends = pa.array(np.arange(len(values) + 1, dtype="int32") * values.shape[1])
            columns.append(
                pa.ListArray.from_arrays(
                    ends, typed(values.reshape(-1), kind.value_type), type=kind
                )
            )
        else:
            values, null = found.numpy(), column.tensor_spec().null
            text = null.encode() if isinstance(null, str) else null
            columns.append(typed(values, kind, None if null is None else values == text))
    return pa.table(columns, schema.names)


def typed(values: Any, kind: pa.DataType, null: Any = None) -> pa.Array:
    if kind in (pa.string(), pa.binary()):
        return pa.array(values, pa.binary(), mask=null).cast(kind)
    if pa.types.is_date(kind):
        return pa.array(values, pa.int64(), mask=null).cast(pa.int32()).cast(kind)
    array = pa.array(values, mask=null)
    return array if array.type == kind else array.cast(kind)


def same(found: pa.Table, wanted: pa.Table) -> None:
    """The same rows in any order, NaN equal to NaN and -0.0 another value than 0.0."""
    found = found.select(wanted.column_names).sort_by("id")
    assert found.schema.types == wanted.schema.types
    assert found["id"].to_pylist() == list(range(ROWS))
    for name in wanted.column_names:
        assert found[name].null_count == wanted[name].null_count, name
        assert repr(found[name].to_pylist()) == repr(wanted[name].to_pylist()), name
    assert pc.sum(pc.is_null(found["text"])).as_py() > 50
