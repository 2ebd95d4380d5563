"""Damage is an error that says where, or a counted skip: never a wrong value."""

from __future__ import annotations

import gzip
import itertools
import re
import struct
import tracemalloc
from pathlib import Path

import google_crc32c
import numpy as np
import pyarrow as pa
import pytest

from tests.tfrecord.codec.test_round_trip import table_of
from tfspark.errors import ConfigError, IntegrityError, StorageError
from tfspark.tfrecord import Counted, count_records, layout_of, read_file, write_file

TABLE = pa.table(
    {
        "n": [1, 300, None, -1],
        "s": ["a", None, "", "four"],
        "x": pa.array([[1.5], [], None, [2.0, 3.0]], pa.list_(pa.float32())),
    }
)
ROWS = TABLE.to_pylist()


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.tfrecord"
    write_file(str(path), TABLE.to_batches(), TABLE.schema)
    return path


def starts_of(content: bytes) -> list[int]:
    starts = [0]
    while starts[-1] < len(content):
        starts.append(starts[-1] + 16 + struct.unpack_from("<Q", content, starts[-1])[0])
    return starts


def test_every_flipped_byte(small: Path) -> None:
    content = small.read_bytes()
    starts = starts_of(content)
    for place in range(len(content)):
        record = int(np.searchsorted(starts, place, "right")) - 1
        for flip in (0x01, 0x80, 0xFF):
            damaged = bytearray(content)
            damaged[place] ^= flip
            small.write_bytes(damaged)
            where = f"{re.escape(str(small))}: record {record} at byte {starts[record]} is damaged"
            with pytest.raises(IntegrityError, match=where):
                list(read_file(str(small), TABLE.schema))
            reading = read_file(str(small), TABLE.schema, on_corrupt="skip")
            rows = [row for batch in reading for row in batch.to_pylist()]
            in_header = place - starts[record] < 12
            assert rows == ROWS[:record] + ([] if in_header else ROWS[record + 1 :])
            assert (reading.rows, reading.corrupt) == (len(rows), 1)
            assert reading.lost == (starts[record] if in_header else None)


def test_every_truncation(small: Path) -> None:
    content = small.read_bytes()
    starts = starts_of(content)
    for size in range(len(content)):
        small.write_bytes(content[:size])
        whole = int(np.searchsorted(starts, size, "right")) - 1
        reading = read_file(str(small), TABLE.schema, on_corrupt="skip")
        assert [row for batch in reading for row in batch.to_pylist()] == ROWS[:whole]
        if size in starts:  # nothing shows that records are missing: that is the manifest's part
            assert reading.corrupt == 0
            continue
        assert (reading.corrupt, reading.lost) == (1, starts[whole])
        with pytest.raises(IntegrityError, match=f"record {whole} at byte {starts[whole]} is dam"):
            list(read_file(str(small), TABLE.schema))


@pytest.mark.parametrize("compression", ["gzip", "zlib"])
def test_damaged_compression(small: Path, compression: str) -> None:
    write_file(str(small), TABLE.to_batches(), TABLE.schema, compression)
    content = small.read_bytes()
    # Bytes 3 to 9 of gzip's header are a time, flags and a system: changing them changes no data.
    places = [at for at in range(len(content)) if compression == "zlib" or not 3 <= at <= 9]
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 0x55
        small.write_bytes(damaged)
        with pytest.raises(IntegrityError, match=r"record \d at byte \d+ is damaged"):
            list(read_file(str(small), TABLE.schema, compression=compression))
        reading = read_file(str(small), TABLE.schema, None, "skip", compression)
        rows = [row for batch in reading for row in batch.to_pylist()]
        assert all(row in ROWS for row in rows)
        assert reading.corrupt >= 1
    for size in range(1, len(content)):
        small.write_bytes(content[:size])
        with pytest.raises(IntegrityError, match=r"record \d at byte \d+ is damaged"):
            list(read_file(str(small), TABLE.schema, compression=compression))


def test_what_is_before_damaged_compression_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord.gz"
    table = pa.table({"n": np.arange(200_000), "x": np.random.default_rng(0).random(200_000)})
    layout = layout_of(table.schema, {"x": "float"})
    write_file(str(path), table.to_batches(), layout)
    content = path.read_bytes()
    damaged = bytearray(content)
    damaged[-1_000_000] ^= 0xFF
    for bad in (content[:-1_000_000], bytes(damaged)):
        path.write_bytes(bad)
        reading = read_file(str(path), layout, on_corrupt="skip")
        found = pa.Table.from_batches(list(reading))["n"].to_numpy()
        assert np.array_equal(found, np.arange(len(found)))
        assert 0.3 < len(found) / 200_000 < 0.9
        assert reading.corrupt >= 1


def test_damage_in_one_of_many_equal_records(tmp_path: Path) -> None:
    path = tmp_path / "many.tfrecord"
    table = pa.table({"n": np.arange(1000) % 100})
    write_file(str(path), table.to_batches(), table.schema)
    content = path.read_bytes()
    size = len(content) // 1000
    for record in (0, 63, 64, 65, 66, 500, 999):
        for inside in range(size):
            damaged = bytearray(content)
            damaged[record * size + inside] ^= 0x40
            path.write_bytes(damaged)
            with pytest.raises(IntegrityError, match=f"record {record} at byte {record * size} "):
                list(read_file(str(path), table.schema))
    damaged = bytearray(content)
    damaged[500 * size + 14] ^= 1
    damaged[700 * size + 14] ^= 1
    path.write_bytes(damaged)
    reading = read_file(str(path), table.schema, on_corrupt="skip")
    found = pa.Table.from_batches(list(reading))["n"].to_pylist()
    assert found == [n % 100 for n in range(1000) if n not in (500, 700)]
    assert (reading.rows, reading.corrupt, reading.lost) == (998, 2, None)


def header_of(length: int) -> bytes:
    raw = struct.pack("<Q", length)
    return raw + masked(google_crc32c.value(raw))


def masked(crc: int) -> bytes:
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


@pytest.mark.parametrize("length", [1 << 63, (1 << 64) - 1, 1 << 62, 1 << 40, 1 << 31])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_length_that_cannot_be(small: Path, length: int, compressed: bool) -> None:
    """With a right sum, without one, and with many megabytes behind it."""
    content = small.read_bytes()
    for head in (header_of(length), struct.pack("<Q", length) + b"\0\0\0\0"):
        damaged = content + head + bytes(3 << 20)
        small.write_bytes(gzip.compress(damaged, 1) if compressed else damaged)
        kind = "gzip" if compressed else "none"
        tracemalloc.start()
        reading = read_file(str(small), TABLE.schema, on_corrupt="skip", compression=kind)
        assert [row for batch in reading for row in batch.to_pylist()] == ROWS
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 64 << 20
        assert (reading.corrupt, reading.lost) == (1, len(content))
        with pytest.raises(IntegrityError, match=f"record 4 at byte {len(content)} is damaged"):
            list(read_file(str(small), TABLE.schema, compression=kind))


def test_a_record_longer_than_the_file(small: Path) -> None:
    """A length that could be, with a right sum: memory grows with what is there, not with it."""
    content = small.read_bytes()
    small.write_bytes(content + header_of((1 << 31) - 1) + bytes(1000))
    tracemalloc.start()
    with pytest.raises(IntegrityError, match="ends too early"):
        list(read_file(str(small), TABLE.schema))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 64 << 20


def test_right_sums_around_what_is_no_example(small: Path) -> None:
    bad = b"\x0a\x7fabc"
    crc = masked(google_crc32c.value(bad))
    content = small.read_bytes()
    small.write_bytes(content + header_of(len(bad)) + bad + crc + content)
    with pytest.raises(IntegrityError, match="record 4 .* it is no Example"):
        list(read_file(str(small), TABLE.schema))
    reading = read_file(str(small), TABLE.schema, on_corrupt="skip")
    assert [row for batch in reading for row in batch.to_pylist()] == ROWS * 2
    assert (reading.rows, reading.corrupt) == (8, 1)


def test_sums_are_those_of_the_standard(small: Path) -> None:
    """RFC 3720, B.4: 32 zero bytes have the CRC32C 0x8a9136aa."""
    assert google_crc32c.value(bytes(32)) == 0x8A9136AA
    content = small.read_bytes()
    starts = starts_of(content)
    for start, stop in itertools.pairwise(starts):
        record = content[start + 12 : stop - 4]
        assert content[start : start + 12] == header_of(len(record))
        assert content[stop - 4 : stop] == masked(google_crc32c.value(record))


@pytest.mark.parametrize("chunk", [1, 40, 1 << 20])
def test_counting_finds_the_same_damage(
    small: Path, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfspark.tfrecord.codec.read.CHUNK", chunk)
    monkeypatch.setattr("tfspark.tfrecord.codec.read._ROWS", min(chunk, 3))
    path, content = str(small), small.read_bytes()
    starts = starts_of(content)
    assert count_records(path) == Counted(4, 0, None)
    small.write_bytes(content[:-1])
    assert count_records(path, "skip") == Counted(3, 1, starts[3])
    with pytest.raises(IntegrityError, match=f"record 3 at byte {starts[3]} is damaged"):
        count_records(path)
    damaged = bytearray(content)
    damaged[starts[1] + 14] ^= 1
    damaged[starts[2] + 14] ^= 1
    small.write_bytes(gzip.compress(damaged))
    assert count_records(path, "skip", "gzip") == Counted(2, 2, None)
    with pytest.raises(IntegrityError, match=f"record 1 at byte {starts[1]} is damaged"):
        count_records(path, compression="gzip")
    with pytest.raises(ConfigError, match="on_corrupt is 'ignore'"):
        count_records(path, "ignore")  # type: ignore[arg-type]


def test_nothing_to_read(tmp_path: Path) -> None:
    path = tmp_path / "empty.tfrecord"
    path.write_bytes(b"")
    assert table_of(str(path), TABLE.schema).num_rows == 0
    with pytest.raises(StorageError, match="no record to take a schema from"):
        read_file(str(path))
    with pytest.raises(StorageError, match="cannot read"):
        read_file(str(tmp_path / "none.tfrecord"), TABLE.schema)
    with pytest.raises(ConfigError, match="on_corrupt is 'ignore'"):
        read_file(str(path), TABLE.schema, on_corrupt="ignore")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="compression 'lz4' is unknown"):
        read_file(str(path), TABLE.schema, compression="lz4")
