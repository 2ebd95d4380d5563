"""TensorFlow reads what we write and we read what it writes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.core.example import example_pb2

from tests.tfrecord.codec.test_round_trip import ANY, BIG, table_of
from tests.tfrecord.tables import example_values, same, tables
from tfspark.errors import StorageError
from tfspark.tfrecord import read_file, write_file
from tfspark.tfrecord.codec import locate_kernels as kernels
from tfspark.tfrecord.codec import wire


def plain(table: pa.Table) -> bool:
    """Neither structs nor lists of lists."""
    kinds = [getattr(kind, "value_type", kind) for kind in table.schema.types]
    return not any(pa.types.is_nested(kind) for kind in kinds) and not any(
        pa.types.is_struct(kind) for kind in table.schema.types
    )


def records_of(path: str, compression: str = "") -> list[bytes]:
    return [record.numpy() for record in tf.data.TFRecordDataset(path, compression)]


def values_of(feature: Any) -> list[Any]:
    kind = feature.WhichOneof("kind")
    return list(getattr(feature, kind).value) if kind else []


def tensorflow_writes(path: str, examples: list[Any], compression: str = "") -> None:
    with tf.io.TFRecordWriter(path, compression) as writer:
        for example in examples:
            writer.write(example.SerializeToString())


@settings(ANY, max_examples=40)
@given(table=tables().filter(plain), compression=st.sampled_from(["", "GZIP", "ZLIB"]))
def test_examples_hold_what_the_table_holds(
    tmp_path: Path, table: pa.Table, compression: str
) -> None:
    path = str(tmp_path / "a.tfrecord")
    write_file(path, table.to_batches(), table.schema, compression.lower() or "none")
    found = []
    for record in records_of(path, compression):
        features = tf.train.Example.FromString(record).features.feature
        found.append({name: values_of(feature) for name, feature in features.items()})
    assert repr(found) == repr([dict(sorted(row.items())) for row in example_values(table)]) or [
        {name: repr(row[name]) for name in sorted(row)} for row in found
    ] == [{name: repr(row[name]) for name in sorted(row)} for row in example_values(table)]


@settings(ANY, max_examples=40)
@given(table=tables(), seed=st.integers(0, 99))
def test_what_tensorflow_writes_again_is_read(tmp_path: Path, table: pa.Table, seed: int) -> None:
    """Our records, parsed and made anew by TensorFlow with their features in another order."""
    path, again = str(tmp_path / "a.tfrecord"), str(tmp_path / "b.tfrecord")
    write_file(path, table.to_batches(), table.schema)
    shuffled = random.Random(seed)
    made = []
    for record in records_of(path):
        parsed = tf.train.SequenceExample.FromString(record)
        new = tf.train.SequenceExample()
        for name in shuffled.sample(sorted(parsed.context.feature), len(parsed.context.feature)):
            new.context.feature[name].CopyFrom(parsed.context.feature[name])
        lists = parsed.feature_lists.feature_list
        for name in shuffled.sample(sorted(lists), len(lists)):
            new.feature_lists.feature_list[name].CopyFrom(lists[name])
        made.append(new)
    tensorflow_writes(again, made, "GZIP")
    assert same(table_of(again, table.schema, compression="gzip"), table)


def test_parse_example_reads_our_files(tmp_path: Path) -> None:
    path = str(tmp_path / "a.tfrecord.gz")
    write_file(path, BIG.to_batches(), BIG.schema)
    spec = {
        "x": tf.io.FixedLenFeature([], tf.float32),
        "n": tf.io.FixedLenFeature([], tf.int64),
        "s": tf.io.FixedLenFeature([], tf.string, "none"),
        "r": tf.io.RaggedFeature(tf.int64),
        "b": tf.io.FixedLenFeature([2], tf.string),
    }
    records = tf.data.TFRecordDataset(path, "GZIP").batch(BIG.num_rows)
    (batch,) = [tf.io.parse_example(some, spec) for some in records]
    assert np.array_equal(batch["x"].numpy(), BIG["x"].to_numpy())
    assert np.array_equal(batch["n"].numpy(), BIG["n"].to_numpy())
    wanted = [("none" if s is None else s).encode() for s in BIG["s"].to_pylist()]
    assert batch["s"].numpy().tolist() == wanted
    assert batch["r"].to_list() == [row or [] for row in BIG["r"].to_pylist()]
    assert batch["b"].numpy().tolist() == BIG["b"].to_pylist()


def test_parse_sequence_example_reads_our_files(tmp_path: Path) -> None:
    path = str(tmp_path / "a.tfrecord")
    rows = [{"id": i, "w": [[i] * k for k in range(i % 4)]} for i in range(200)]
    table = pa.Table.from_pylist(rows)
    write_file(path, table.to_batches(), table.schema)
    for record, row in zip(records_of(path), rows, strict=True):
        context, lists = tf.io.parse_single_sequence_example(
            record,
            {"id": tf.io.FixedLenFeature([], tf.int64)},
            {"w": tf.io.RaggedFeature(tf.int64)},
        )
        assert int(context["id"]) == row["id"]
        assert lists["w"].to_list() == row["w"]


def test_a_record_written_by_hand_in_an_unusual_way(tmp_path: Path) -> None:
    """Unpacked numbers, unknown fields, a feature twice, a list in two parts: as protobuf says."""
    value = tf.train.Feature(int64_list=tf.train.Int64List(value=[7, -1])).SerializeToString()
    unpacked = b"\x1a\x04\x08\x07\x08\x05"  # int64_list {value: 7 value: 5}, not packed
    parts = b"\x1a\x03\x0a\x01\x01\x1a\x03\x0a\x01\x02"
    floats = b"\x12\x0a\x0d\x00\x00\x80\x3f\x0d\x00\x00\x00\x40"

    def entry(name: bytes, feature: bytes) -> bytes:
        inner = b"\x0a" + bytes([len(name)]) + name + b"\x12" + bytes([len(feature)]) + feature
        return b"\x0a" + bytes([len(inner)]) + inner

    def record(*entries: bytes) -> bytes:
        every = b"".join(entries)
        return b"\x0a" + bytes([len(every)]) + every

    strange = [
        record(entry(b"n", unpacked)),
        record(entry(b"n", parts)),
        record(entry(b"n", value), entry(b"n", unpacked)),
        record(entry(b"n", value)) + record(entry(b"f", floats)),
        record(entry(b"n", value)) + b"\x98\x06\x2a",  # field 99, a varint
        record(entry(b"f", floats), entry(b"n", b"")),
        b"",
    ]
    usual = [record(entry(b"n", value))]
    schema = pa.schema([("n", pa.list_(pa.int64())), ("f", pa.list_(pa.float32()))])
    for records in (strange, usual * 300 + strange + usual * 300):
        path = str(tmp_path / "a.tfrecord")
        with tf.io.TFRecordWriter(path) as writer:
            for one in records:
                writer.write(one)
        wanted: dict[str, list[Any]] = {"n": [], "f": []}
        for one in records:
            features = tf.train.Example.FromString(one).features.feature
            for name, column in wanted.items():
                here = name in features and features[name].WhichOneof("kind")
                column.append(values_of(features[name]) if here else None)
        assert table_of(path, schema).to_pydict() == wanted


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.integers(0, 1 << 32), st.integers(0, 255), st.integers(0, 400))
def test_the_parser_of_one_record_agrees_with_protobuf(
    start: bytes | int, byte: int, place: int
) -> None:
    """Random bytes, and records with one byte changed: refused by both, or the same values."""
    if isinstance(start, int):
        rng = np.random.default_rng(start)
        example = tf.train.Example()
        example.features.feature["a"].int64_list.value.extend(rng.integers(-5, 1 << 40, 3).tolist())
        example.features.feature["b"].float_list.value.extend(rng.standard_normal(2).tolist())
        example.features.feature["c"].bytes_list.value.extend([rng.bytes(4), b""])
        changed = bytearray(example.SerializeToString(deterministic=True))
        changed[place % len(changed)] = byte
        start = bytes(changed)
    wanted: Any = None
    try:
        parsed = example_pb2.Example.FromString(start)
        wanted = {
            name.encode(): (feature.WhichOneof("kind"), values_of(feature))
            for name, feature in parsed.features.feature.items()
        }
    except (DecodeError, UnicodeDecodeError):
        pass
    try:
        features, _ = wire.parse(start)
    except wire.WireError:
        assert wanted is None
        return
    if wanted is None:  # protobuf also refuses names that are not UTF-8, and groups
        return
    if len(UnknownFieldSet(parsed.features)):  # upb keeps entries with unknown fields there
        features = {name: values for name, values in features.items() if name in wanted}
    found = {name: (f"{kind}_list" if kind else None, v) for name, (kind, v) in features.items()}
    assert repr(sorted(found.items())) == repr(sorted(wanted.items()))


ALL_KINDS = pa.schema(
    [
        ("a", pa.list_(pa.int64())),
        ("b", pa.list_(pa.float32())),
        ("c", pa.list_(pa.binary())),
        ("one", pa.int64()),
        ("w", pa.list_(pa.list_(pa.int64()))),
        ("x", pa.list_(pa.list_(pa.binary()))),
    ]
)


def outcome(path: str) -> Any:
    reading = read_file(path, ALL_KINDS, on_corrupt="skip")
    try:
        rows = [repr(row) for batch in reading for row in batch.to_pylist()]
    except StorageError as error:
        return str(error)
    return rows, reading.corrupt


@settings(ANY, max_examples=400)
@given(
    st.integers(0, 1 << 32),
    st.lists(st.tuples(st.integers(0, 1 << 12), st.integers(0, 255)), max_size=3),
    st.none() | st.integers(0, 1 << 12),
)
def test_the_quick_way_agrees_with_the_parser(
    tmp_path: Path, seed: int, changes: list[tuple[int, int]], cut: int | None
) -> None:
    """Records with some bytes changed, or cut off, between whole ones, in right frames."""
    rng = np.random.default_rng(seed)
    made = tf.train.SequenceExample()
    feature = made.context.feature
    feature["a"].int64_list.value.extend(rng.integers(-5, 1 << rng.integers(3, 60), 12).tolist())
    feature["b"].float_list.value.extend(rng.standard_normal(rng.integers(0, 3)).tolist())
    feature["c"].bytes_list.value.extend([rng.bytes(size) for size in (3, 0, 150)])
    feature["one"].int64_list.value.append(int(rng.integers(-1, 1 << 40)))
    for name in ("w", "x"):
        for count in (2, 0, 1):
            inner = made.feature_lists.feature_list[name].feature.add()
            if name == "w":
                inner.int64_list.value.extend([1, 300][:count])
            else:
                inner.bytes_list.value.extend([b"x", b""][:count])
    whole = made.SerializeToString(deterministic=True)
    changed = bytearray(whole)
    for place, byte in changes:
        changed[place % len(changed)] = byte
    path = str(tmp_path / "a.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for record in (whole, bytes(changed[:cut]), whole):
            writer.write(record)

    quick = outcome(path)
    with pytest.MonkeyPatch.context() as patch:
        locate, calls = kernels.locate, []

        def one_by_one(*given: Any) -> None:
            """At first every record is taken for an unusual one."""
            locate(*given)
            calls.append(given)
            given[-1][:] = len(calls) % 2 == 1

        patch.setattr(kernels, "locate", one_by_one)
        slow = outcome(path)
    assert quick == slow or (slow[1] == 1 and quick[1] == 0)


def test_a_feature_of_another_kind_or_number(tmp_path: Path) -> None:
    path = str(tmp_path / "a.tfrecord")
    for rows in (3, 500):
        table = pa.table(
            {"x": [1.5] * rows, "n": [[1, 2]] * rows},
            pa.schema([("x", pa.float32()), ("n", pa.list_(pa.int64()))]),
        )
        write_file(path, table.to_batches(), table.schema)
        for name, kind, message in (
            ("x", pa.int64(), "holds float values in x, the schema says int64"),
            ("n", pa.int64(), "has 2 values in n, the schema says one"),
            ("n", pa.list_(pa.int64(), 3), "has 2 values in n, the type says 3"),
            ("n", pa.list_(pa.bool_()), "n is no bool: a boolean is 0 or 1"),
        ):
            with pytest.raises(StorageError, match=f"record 0 at byte 0 {message}"):
                list(read_file(path, pa.schema([(name, kind)])))
        with pytest.raises(StorageError, match="has no feature q"):
            list(read_file(path, pa.schema([pa.field("q", pa.int64(), nullable=False)])))
        assert table_of(path, pa.schema([("q", pa.int64())]))["q"].null_count == rows
