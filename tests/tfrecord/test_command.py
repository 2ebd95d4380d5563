"""`tfspark tfrecord`: what it prints, and how it ends."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tests.conftest import ROOT
from tfspark.cli import main
from tfspark.tfrecord import Layout, layout_of, write_file, write_sidecar
from tfspark.tfrecord.folder.manifest import SUCCESS, FileEntry, Manifest, write_manifest

Printed = pytest.CaptureFixture[str]
ROWS: list[dict[str, Any]] = [
    {
        "id": i,
        "x": float("nan") if i == 1 else i / 10,
        "price": Decimal(i) / 100,
        "text": None if i == 2 else "é" * (300 if i == 3 else 3),
        "image": bytes([255, i]) * (1 if i else 1000),
        "list": list(range(i * 10)),
        "day": dt.date(2026, 1, 1 + i),
        "at": dt.datetime(2026, 1, 1, 12, 0, i, tzinfo=dt.UTC),
        "place": {"lat": i, "name": "b"},
    }
    for i in range(5)
]
SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        ("x", pa.float32()),
        ("price", pa.decimal128(10, 2)),
        ("text", pa.string()),
        ("image", pa.binary()),
        ("list", pa.list_(pa.int32())),
        ("day", pa.date32()),
        ("at", pa.timestamp("us", "UTC")),
        ("place", pa.struct([("lat", pa.int16()), ("name", pa.string())])),
    ]
)
LAYOUT = layout_of(SCHEMA, {"price": "string"})


def run(*given: str | Path) -> int:
    return main(None, ["tfrecord", *map(str, given)])


def write(path: Path, rows: list[dict[str, Any]] = ROWS, layout: Layout = LAYOUT) -> FileEntry:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows, layout.schema)
    written = write_file(str(path), table.to_batches(), layout)
    return FileEntry(str(path), written.rows, written.bytes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five rows on each of two days, the second day compressed."""
    path = tmp_path / "folder"
    days = {"day=1/a.tfrecord": 1, "day=2/b.tfrecord.gz": 2}
    rows = [{name: row[name] for name in ("id", "x")} for row in ROWS]
    layout = layout_of(pa.schema([SCHEMA.field("id"), SCHEMA.field("x")]))
    files = {
        name: replace(write(path / name, rows, layout), partition={"day": day})
        for name, day in days.items()
    }
    write_sidecar(str(path), layout)
    write_manifest(str(path), Manifest(layout, pa.schema([("day", pa.int32())]), files))
    (path / SUCCESS).touch()
    return path


def test_head_of_a_file_is_json(tmp_path: Path, capsys: Printed) -> None:
    write(tmp_path / "a.tfrecord")
    write_sidecar(str(tmp_path), LAYOUT)
    assert run("head", tmp_path / "a.tfrecord", "--rows", "4") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 4
    assert rows[1] == {
        "id": 1,
        "x": "nan",
        "price": "0.01",
        "text": "ééé",
        "image": "0xff01",
        "list": list(range(10)),
        "day": "2026-01-02",
        "at": "2026-01-01 12:00:01.000000Z",
        "place": {"lat": 1, "name": "b"},
    }
    assert rows[3]["x"] == 0.3
    assert rows[0]["image"] == "0x" + "ff00" * 8 + "… 2000 bytes"
    assert rows[2]["text"] is None
    assert rows[2]["list"] == [*range(16), "… 20 values"]
    assert rows[3]["text"] == "é" * 200 + "… 300 characters"
    assert run("head", tmp_path / "a.tfrecord", "--columns", "text,id") == 0
    assert capsys.readouterr().out.splitlines()[0] == '{"text": "ééé", "id": 0}'
    assert run("head", tmp_path / "a.tfrecord", "--columns", "texts") == 2
    assert "has no column texts" in capsys.readouterr().err


def test_head_of_a_folder_has_its_partitions(folder: Path, capsys: Printed) -> None:
    assert run("head", folder, "--rows", "6") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["id"], row["day"]) for row in rows] == [(i, 1) for i in range(5)] + [(0, 2)]
    assert run("head", folder, "--columns", "day") == 0
    assert capsys.readouterr().out.splitlines() == ['{"day": 1}'] * 5 + ['{"day": 2}'] * 5


def test_without_a_schema_it_is_inferred(tmp_path: Path, capsys: Printed) -> None:
    write(tmp_path / "a.tfrecord")
    assert run("head", tmp_path) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[1])
    assert (first["id"], first["price"], first["place.lat"]) == (1, "0.01", 1)
    assert run("schema", tmp_path) == 0
    shown = capsys.readouterr().out
    assert "inferred from at most 1,000 records" in shown


def test_count(folder: Path, tmp_path: Path, capsys: Printed) -> None:
    assert run("count", folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["5", "day=1/a.tfrecord"]
    assert lines[1].split() == ["5", "day=2/b.tfrecord.gz"]
    assert lines[2].split(maxsplit=1) == ["10", "in 2 files, as the manifest says"]
    shutil.copy(folder / "day=1" / "a.tfrecord", tmp_path / "alone.tfrecord")
    assert run("count", tmp_path / "alone.tfrecord") == 0
    assert capsys.readouterr().out.splitlines()[-1].split(maxsplit=1) == ["5", "in 1 file"]


def test_schema(folder: Path, tmp_path: Path, capsys: Printed) -> None:
    assert run("schema", folder) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1:4] == [
        ["id", "int64", "no", "int64_list"],
        ["x", "float", "yes", "float_list"],
        ["day", "int32", "yes", "partition", "folder"],
    ]
    assert lines[-1] == ["Examples;", "as", "the", "folder", "declares"]
    write(tmp_path / "all" / "a.tfrecord")
    write_sidecar(str(tmp_path / "all"), LAYOUT)
    assert run("schema", tmp_path / "all") == 0
    shown = {
        line[0]: line[-2:] for line in map(str.split, capsys.readouterr().out.splitlines()[1:-2])
    }
    assert shown["price"] == ["yes", "bytes_list"]
    assert shown["place"] == ["bytes_list,", "int64_list"]


def test_verify_of_what_is_whole(folder: Path, tmp_path: Path, capsys: Printed) -> None:
    assert run("verify", folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["ok", "ok", "10"]
    write(tmp_path / "alone.tfrecord")
    assert run("verify", tmp_path / "alone.tfrecord") == 0
    (tmp_path / "empty.tfrecord").touch()
    assert run("verify", tmp_path / "empty.tfrecord") == 0
    assert "0 rows in 1 file, 0 damages" in capsys.readouterr().out


def test_verify_names_every_damage_and_goes_on(folder: Path, capsys: Printed) -> None:
    first, second = folder / "day=1" / "a.tfrecord", folder / "day=2" / "b.tfrecord.gz"
    content = bytearray(first.read_bytes())
    size = len(content) // 5
    for record in (1, 3):
        content[record * size + 20] ^= 1
    first.write_bytes(content)
    second.write_bytes(second.read_bytes()[:-20])
    shutil.copy(first, folder / "day=1" / "more.tfrecord")
    (folder / SUCCESS).unlink()
    assert run("verify", folder) == 6
    said = capsys.readouterr()
    for text in (
        f"{first}: record 1 at byte {size}: the sum of its data is wrong",
        f"{first}: record 3 at byte {3 * size}: the sum of its data is wrong",
        f"{second}: it has ",
        f"{second}: record ",
        "more.tfrecord: _manifest.json does not list it",
        "no _SUCCESS",
        "7 rows in 2 files",
    ):
        assert text in said.out
    assert "IntegrityError" in said.err


def test_verify_compares_with_the_manifest(folder: Path, capsys: Printed) -> None:
    first, second = folder / "day=1" / "a.tfrecord", folder / "day=2" / "b.tfrecord.gz"
    first.write_bytes(first.read_bytes()[: -(len(first.read_bytes()) // 5)])
    second.unlink()
    (folder / "_schema.json").unlink()
    assert run("verify", folder) == 6
    shown = capsys.readouterr().out
    assert f"{first}: it has " in shown
    assert f"{first}: it holds 4 rows, _manifest.json says 5" in shown
    assert f"{second}: it is missing" in shown
    assert "_schema.json is missing" in shown
    assert run("count", folder) == 6
    assert "_manifest.json says" in capsys.readouterr().err


def test_verify_decodes_with_the_schema(tmp_path: Path, capsys: Printed) -> None:
    write(tmp_path / "a.tfrecord")
    write_sidecar(str(tmp_path), layout_of(pa.schema([("id", pa.int64()), ("x", pa.string())])))
    assert run("verify", tmp_path) == 6
    shown = capsys.readouterr().out
    assert "record 0 at byte 0: it holds float values in x" in shown
    assert "0 rows in 1 file, 1 damage" in shown


def test_verify_without_a_schema_looks_for_messages(tmp_path: Path, capsys: Printed) -> None:
    path = tmp_path / "a.tfrecord"
    records = [b"\x0a\x05x", b"", b"\xff" * 9]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records * 200:
            writer.write(record)
    assert run("verify", path) == 6
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"DAMAGED  {path}: record 0 at byte 0: it is no Example"
    assert lines[1].startswith(f"DAMAGED  {path}: record 2 at byte 35: it is no Example")
    assert lines[-2].endswith("300 more records are damaged")
    assert lines[-1] == "200 rows in 1 file, 400 damages"


def test_what_is_no_tfrecord(tmp_path: Path, capsys: Printed) -> None:
    (tmp_path / "text.txt").write_text("id,x\n1,2\n" * 10)
    pq.write_table(pa.table({"id": [1]}), tmp_path / "a.parquet")
    write(tmp_path / "gzip.tfrecord.gz")
    shutil.move(tmp_path / "gzip.tfrecord.gz", tmp_path / "gzip")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "empty").touch()
    for command, name, code, says in (
        ("count", "text.txt", 6, "length is wrong; or it is no TFRecord file"),
        ("head", "text.txt", 6, "it is no TFRecord file"),
        ("head", "a.parquet", 2, "a.parquet is a Parquet file, not TFRecord"),
        ("verify", "a.parquet", 6, "1 damage, named above"),
        ("count", "nowhere", 75, "nowhere is not there"),
        ("head", "nothing", 75, "no TFRecord file"),
        ("verify", "nothing", 75, "no TFRecord file"),
        ("schema", "empty", 6, "empty has no record"),
    ):
        assert run(command, tmp_path / name) == code, (command, name)
        assert says in capsys.readouterr().err
    assert run("count", tmp_path / "gzip") == 0  # by its first bytes
    assert run("count", tmp_path / "empty") == 0
    assert run("head", tmp_path / "gzip", "--rows", "0") == 2
    assert "--rows: 0: must be a whole number, at least 1" in capsys.readouterr().err


def test_a_closed_pipe_is_no_error_and_nothing_heavy_is_imported(tmp_path: Path) -> None:
    write(tmp_path / "a.tfrecord", ROWS * 2000)
    write_sidecar(str(tmp_path), LAYOUT)
    code = (
        "import sys; from tfspark.cli import main; code = main(None, sys.argv[1:]); "
        "heavy = {'tensorflow', 'pandas', 'pyspark.pandas'} & sys.modules.keys(); "
        "print(sorted(heavy), file=sys.stderr); sys.exit(code)"
    )
    command = [sys.executable, "-c", code, "tfrecord", "head", str(tmp_path), "--rows", "9999"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().startswith('{"id": 0')
        process.stdout.close()
        assert process.stderr.read() == "[]\n"
        assert process.wait() == 0
