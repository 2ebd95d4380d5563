"""What is written is what is read: any table, any split into batches, any compression."""

from __future__ import annotations

import decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sizes import size
from tests.tfrecord.tables import same, tables
from tfspark.errors import ConfigError, StorageError
from tfspark.tfrecord import layout_of, read_file, read_sidecar, write_file, write_sidecar
from tfspark.tfrecord.codec import encode, read, write

ANY = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
BIG = pa.table(
    {
        "x": np.arange(3000, dtype="float32"),
        "n": np.arange(3000) ** 3 - 5000,
        "s": [None if i % 7 == 0 else "é" * (i % 11) for i in range(3000)],
        "r": [None if i % 5 == 0 else list(range(i % 13)) for i in range(3000)],
        "b": [[b"x" * (i % 3), b"y" * (i % 2)] for i in range(3000)],
    }
)


def table_of(path: str, schema: pa.Schema | None = None, **options: object) -> pa.Table:
    reading = read_file(path, schema, **options)  # type: ignore[arg-type]
    return pa.Table.from_batches(list(reading), reading.schema)


@ANY
@given(tables(), st.sampled_from(["none", "gzip", "zlib"]), st.data())
def test_any_table(tmp_path: Path, table: pa.Table, compression: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, table.num_rows))
    path = str(tmp_path / "any.tfrecord")
    batches = [*table.slice(0, cut).to_batches(), *table.slice(cut).to_batches()]
    written = write_file(path, batches, table.schema, compression)
    assert written.rows == table.num_rows
    assert written.bytes == Path(path).stat().st_size
    found = table_of(path, table.schema, compression=compression)
    found.validate(full=True)
    assert same(found, table)


@settings(ANY, max_examples=size(300, soak=10_000))
@given(table=tables())
def test_thousands_of_tables(tmp_path: Path, table: pa.Table) -> None:
    path = str(tmp_path / "any.tfrecord")
    write_file(path, table.to_batches(), table.schema)
    assert same(table_of(path, table.schema), table)


@pytest.mark.parametrize("room", [1, 100, 1000])
@settings(ANY, max_examples=60)
@given(table=tables(most=20))
def test_any_room_gives_the_same(tmp_path: Path, table: pa.Table, room: int) -> None:
    """Buffers that hold no record, one, or some; a row at a time: the same bytes, the same rows."""
    path = str(tmp_path / "any.tfrecord")
    write_file(path, table.to_batches(), table.schema)
    usual = Path(path).read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encode, "ROOM", room)
        patch.setattr(write, "_ROWS", room)
        patch.setattr(read, "CHUNK", room)
        write_file(path, table.to_batches(), table.schema)
        assert Path(path).read_bytes() == usual
        assert same(table_of(path, table.schema), table)


@pytest.mark.parametrize("chunk", [1, 100, 5000, 1 << 23])
def test_many_rows_in_chunks_of_any_size(
    tmp_path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfspark.tfrecord.codec.read.CHUNK", chunk)
    big = BIG if chunk > 1000 else BIG.slice(0, 300)
    for name in ("a.tfrecord", "a.tfrecord.gz", "a.tfrecord.zlib"):
        path = str(tmp_path / name)
        write_file(path, big.to_batches(max_chunksize=700), big.schema)
        assert table_of(path, big.schema).equals(big)


def test_few_rows_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches end where memory would grow with the features, inside what was read."""
    monkeypatch.setattr("tfspark.tfrecord.codec.decode._SPANS", 70)
    table = pa.table({"s": ["a" * (i * i % 101) for i in range(5000)]})
    path = str(tmp_path / "a.tfrecord")
    write_file(path, table.to_batches(), table.schema)
    assert table_of(path, table.schema).equals(table)
    assert max(batch.num_rows for batch in read_file(path, table.schema)) == 70


def test_columns_are_pruned_and_ordered(tmp_path: Path) -> None:
    path = str(tmp_path / "a.tfrecord")
    write_file(path, BIG.to_batches(), BIG.schema)
    for columns in (["s"], ["r", "x"], ["b", "n"]):
        assert table_of(path, BIG.schema, columns=columns).equals(BIG.select(columns))
    counted = list(read_file(path, BIG.schema, columns=[]))
    assert sum(batch.num_rows for batch in counted) == BIG.num_rows
    assert counted[0].num_columns == 0
    with pytest.raises(ConfigError, match="no column zz; it has"):
        read_file(path, BIG.schema, columns=["x", "zz"])


def test_the_sidecar_declares_the_types(tmp_path: Path) -> None:
    schema = pa.schema(
        [
            pa.field("when", pa.timestamp("us", "UTC"), nullable=False),
            pa.field("price", pa.float64()),
            pa.field("cost", pa.decimal128(20, 4)),
            pa.field("big", pa.uint64()),
            pa.field("at", pa.struct([pa.field("x", pa.float32(), nullable=False)])),
            pa.field("code", pa.dictionary(pa.int8(), pa.string())),
            pa.field("costs", pa.list_(pa.decimal128(5, 1))),
        ]
    )
    narrow = {"price": "float", "cost": "string", "big": "int64", "costs": "string"}
    rows = [
        {
            "when": 0,
            "price": 0.1,
            "cost": decimal.Decimal("-123.4567"),
            "big": 1 << 62,
            "at": {"x": 1.5},
            "code": "q",
            "costs": [decimal.Decimal("1.5")],
        },
        {"when": 1, "at": None},
    ]
    table = pa.Table.from_pylist(rows, schema)
    layout = layout_of(schema, narrow)
    assert layout.schema.field("price").type == pa.float32()
    assert layout.schema.field("code").type == pa.string()
    write_sidecar(str(tmp_path), layout)
    assert read_sidecar(str(tmp_path)) == layout
    path = str(tmp_path / "a.tfrecord")
    write_file(path, table.to_batches(), layout)
    found = table_of(path)
    assert found.schema == layout.schema
    assert found["price"].to_pylist() == [float(np.float32(0.1)), None]
    for name in ("when", "cost", "big", "at", "code", "costs"):
        assert found[name].to_pylist() == table[name].to_pylist(), name


def test_values_that_the_file_cannot_hold(tmp_path: Path) -> None:
    path = str(tmp_path / "a.tfrecord")
    cases = [
        (pa.table({"x": [[1], [2, None]]}), {}, "column x: row 1 of the batch has a null inside"),
        (pa.table({"x": [1.0, 1e300]}), {"x": "float"}, "column x: row 1 .* range of float"),
        (
            pa.table({"x": pa.array([[], [1, 1 << 63]], pa.list_(pa.uint64()))}),
            {"x": "int64"},
            "column x: row 1 .* range of int64",
        ),
    ]
    for table, narrow, message in cases:
        with pytest.raises(StorageError, match=message):
            write_file(path, table.to_batches(), table.schema, narrow=narrow)
        assert not Path(path).exists()


def test_a_record_beyond_two_gibibytes(tmp_path: Path) -> None:
    """Refused by its size; the memory is only reserved, never touched."""
    path = tmp_path / "a.tfrecord"
    offsets, data = np.array([0, 0, (1 << 31) - 5]), np.empty(1 << 31, "uint8")
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    table = pa.table({"x": pa.Array.from_buffers(pa.large_binary(), 2, buffers)})
    with pytest.raises(StorageError, match="row 0 of the batch is a record of 21474836.. bytes"):
        write_file(str(path), table.to_batches(), table.schema)
    assert not path.exists()


def test_a_batch_of_other_columns(tmp_path: Path) -> None:
    path = str(tmp_path / "a.tfrecord")
    table = pa.table({"x": [1], "y": [2]})
    with pytest.raises(ConfigError, match="columns that the schema has not: \\['y'\\]"):
        write_file(path, table.to_batches(), pa.schema([("x", pa.int64())]))
    with pytest.raises(ConfigError, match="no column z"):
        write_file(path, table.to_batches(), pa.schema([("z", pa.int64())]))
