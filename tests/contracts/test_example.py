"""The feature spec of a contract reads the files that are written of its tables."""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from pyspark.sql.pandas.types import to_arrow_schema

from tfspark.contracts import Contract, parse_contract
from tfspark.tensors import INT_NULL
from tfspark.tfrecord import layout_of, write_file

PLAIN = """
kind: DataContract
id: t
version: 1
schema:
  - name: t
    properties:
      - {name: id, physicalType: bigint, primaryKey: true, required: true}
      - {name: flag, physicalType: boolean}
      - {name: f, physicalType: float}
      - {name: d, physicalType: double, tensor: {dtype: float32, nullValue: 0}}
      - {name: money, physicalType: "decimal(12, 2)", tensor: {dtype: float64, nullValue: -1}}
      - {name: text, physicalType: string}
      - {name: day, physicalType: date, tensor: {nullValue: 7}}
      - {name: at, physicalType: timestamp}
      - {name: image, physicalType: binary, required: true}
      - {name: pair, physicalType: array<double>, required: true, tensor: {shape: [2]}}
      - {name: square, physicalType: array<int>, tensor: {shape: [2, 2], nullValue: -1}}
      - {name: tokens, physicalType: array<bigint>, required: true}
      - {name: words, physicalType: array<string>}
"""
NESTED = PLAIN + "      - {name: deep, physicalType: array<array<float>>, required: true}\n"
COMPRESSIONS = {"none": "", "gzip": "GZIP", "zlib": "ZLIB"}
NARROW = {"d": "float", "money": "string", "pair": "float"}


def rows_of(count: int) -> list[dict[str, Any]]:
    rows = []
    for i in range(count):
        row: dict[str, Any] = {
            "id": i - 3,
            "flag": i % 2 == 0,
            "f": i / 4,
            "d": i / 8,
            "money": Decimal(i) / 100,
            "text": f"é{i}",
            "day": dt.date(1969, 12, 30) + dt.timedelta(i),
            "at": dt.datetime(2026, 11, 21, 0, 0, 0, i, dt.UTC),
            "image": bytes([255, i % 256]),
            "pair": [i, i + 0.5],
            "square": [i, 0, 1, 2],
            "tokens": list(range(i % 4)),
            "words": ["a"] * (i % 3),
            "deep": [[0.5] * k for k in range(i % 3)],
        }
        if i % 5 == 4:
            required = ("id", "image", "pair", "tokens", "deep")
            row |= {name: None for name in row if name not in required}
        rows.append(row)
    return rows


def write(
    path: Path, contract: Contract, compression: str, narrow: dict[str, str]
) -> tuple[list[dict[str, Any]], Any]:
    """Rows, and the records that hold them."""
    rows = rows_of(300)
    schema = to_arrow_schema(contract.spark_schema(), timezone="UTC")
    table = pa.Table.from_pylist(rows, schema)
    write_file(str(path), table.to_batches(), layout_of(schema, narrow), compression)
    kind = COMPRESSIONS[compression]
    return rows, next(iter(tf.data.TFRecordDataset(str(path), kind).batch(len(rows))))


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_parse_example_reads_every_type(tmp_path: Path, compression: str) -> None:
    contract = parse_contract(PLAIN.encode(), "x")
    rows, records = write(tmp_path / "a.tfrecord", contract, compression, NARROW)
    found = tf.io.parse_example(records, contract.example_spec())
    assert sorted(found) == sorted(column.name for column in contract.columns)
    null = {"flag": INT_NULL, "f": np.nan, "d": 0, "money": "-1", "text": "", "day": 7}
    null |= {"at": INT_NULL, "square": [[-1] * 2] * 2, "words": []}
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    made = {
        "day": lambda value: (value - epoch.date()).days,
        "at": lambda value: (value - epoch) // dt.timedelta(microseconds=1),
        "money": lambda value: f"{value:.2f}",
        "square": lambda value: [value[:2], value[2:]],
    }
    for name, tensor in found.items():
        ragged = isinstance(tensor, tf.RaggedTensor)
        assert ragged == (name in ("tokens", "words"))
        values = tensor.to_list() if ragged else tensor.numpy().tolist()
        wanted = [
            null[name] if row[name] is None else made.get(name, lambda value: value)(row[name])
            for row in rows
        ]
        if tensor.dtype == tf.string:
            wanted = tf.nest.map_structure(
                lambda v: v.encode() if isinstance(v, str) else v, wanted
            )
        assert repr(values) == repr(tf.nest.map_structure(type_of(tensor), wanted)), name


def type_of(tensor: Any) -> Any:
    return {tf.int64: int, tf.float32: float, tf.string: bytes}[tensor.dtype]


def test_a_decimal_that_was_stored_as_float(tmp_path: Path) -> None:
    contract = parse_contract(PLAIN.encode(), "x")
    narrow = NARROW | {"money": "float"}
    rows, records = write(tmp_path / "a.tfrecord", contract, "none", narrow)
    found = tf.io.parse_example(records, contract.example_spec(narrow))["money"].numpy()
    wanted = [-1 if row["money"] is None else float(row["money"]) for row in rows]
    assert found.tolist() == np.array(wanted, "float32").tolist()


def test_lists_of_lists_are_read_as_sequences(tmp_path: Path) -> None:
    contract = parse_contract(NESTED.encode(), "x")
    rows, records = write(tmp_path / "a.tfrecord", contract, "none", NARROW)
    assert list(contract.sequence_spec()) == ["deep"]
    context, lists, _ = tf.io.parse_sequence_example(
        records, contract.example_spec(), contract.sequence_spec()
    )
    assert lists["deep"].to_list() == [row["deep"] for row in rows]
    assert context["id"].numpy().tolist() == [row["id"] for row in rows]
    assert context["tokens"].to_list() == [row["tokens"] for row in rows]
    alone = tf.io.parse_example(records, contract.example_spec())
    assert alone["tokens"].to_list() == [row["tokens"] for row in rows]


def test_a_column_that_must_be_there(tmp_path: Path) -> None:
    contract = parse_contract(PLAIN.encode(), "x")
    path = str(tmp_path / "a.tfrecord")
    write_file(path, [pa.record_batch({"other": [1]})], pa.schema([("other", pa.int64())]))
    records = next(iter(tf.data.TFRecordDataset(path).batch(1)))
    with pytest.raises(tf.errors.InvalidArgumentError, match="id .*is required"):
        tf.io.parse_example(records, contract.example_spec())
