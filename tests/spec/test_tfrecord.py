"""`spec/tfrecord.yaml`: rows as the bytes of a TFRecord file, on both sides."""

from __future__ import annotations

import datetime as dt
import math
import re
import struct
from contextlib import nullcontext
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from pyspark.sql.types import StructType

from tests.conftest import ROOT
from tfspark.errors import ConfigError, StorageError, TfsparkError
from tfspark.tensors.arrowtypes import loose
from tfspark.tfrecord import layout_of, read_file, write_file
from tfspark.tfrecord.codec.schema import BYTES, layout_to_read, to_json
from tfspark.tfrecord.codec.stream import compression_in, masked
from tfspark.tfrecord.folder.manifest import Folder
from tfspark.tfrecord.folder.parts import partition_schema
from tfspark.tfrecord.spark.options import Options
from tfspark.tfrecord.spark.scan import declared
from tfspark.tfrecord.spark.types import cast, to_arrow

SPEC = yaml.safe_load((ROOT / "spec" / "tfrecord.yaml").read_text("utf-8"))
CASES = SPEC["cases"]


def schema(case: dict[str, Any]) -> pa.Schema:
    fields = [
        {"name": name, "type": kind, "nullable": True, "metadata": {}}
        for name, kind in case["schema"].items()
    ]
    return to_arrow(StructType.fromJson({"type": "struct", "fields": fields}))


def value(text: Any, kind: pa.DataType) -> Any:
    """A value of a case as Arrow takes it."""
    if text is None:
        return None
    if pa.types.is_list(kind):
        return [value(inner, kind.value_type) for inner in text]
    if pa.types.is_struct(kind):
        return {f.name: value(v, f.type) for f, v in zip(kind, text, strict=True)}
    if pa.types.is_binary(kind):
        return bytes.fromhex(text)
    if pa.types.is_floating(kind):
        return float(text)
    if pa.types.is_date(kind):
        return dt.date.fromisoformat(text)
    if pa.types.is_decimal(kind):
        return Decimal(text)
    return text


def table(case: dict[str, Any]) -> pa.Table:
    columns = schema(case)
    values = [
        pa.array([value(row[i], field.type) for row in case["rows"]], field.type)
        for i, field in enumerate(columns)
    ]
    return pa.Table.from_arrays(values, schema=columns)


def plain(value: Any) -> Any:
    """Comparable: -0.0 is not 0.0, NaN is NaN."""
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else (value, math.copysign(1, value))
    return value


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_rows_become_these_bytes(case: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord"
    written = write_file(str(path), table(case).to_batches(), schema(case))
    assert path.read_bytes().hex() == case["bytes"]
    assert (written.rows, written.bytes) == (len(case["rows"]), path.stat().st_size)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_these_bytes_become_the_rows(case: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord"
    path.write_bytes(bytes.fromhex(case["bytes"]))
    batches = list(read_file(str(path), layout_of(schema(case))))
    found = [row for batch in batches for row in batch.to_pylist()]
    assert plain(found) == plain(table(case).to_pylist())


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_the_sidecar_of_the_schema(case: dict[str, Any]) -> None:
    assert to_json(layout_of(schema(case))) == case["sidecar"]


def saying(case: dict[str, Any], kind: type[TfsparkError]) -> Any:
    """What fails as the case says, or does not."""
    return pytest.raises(kind, match=re.escape(case["says"])) if "says" in case else nullcontext()


def named(cases: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("case", cases, ids=lambda case: str(case)[:60])


@named(SPEC["options"])
def test_options_of_other_connectors(case: dict[str, Any]) -> None:
    with saying(case, ConfigError):
        options = Options({"path": "p", **case["given"]})
    if "means" in case:
        found = {"codec": options.cut.compression, "compression": options.compression}
        found["recordType"] = options.record_type
        assert {name: told for name, told in found.items() if told} == case["means"]


def test_compression_by_content() -> None:
    for case in SPEC["compression"]:
        with saying(case, ConfigError):
            assert compression_in(bytes.fromhex(case["bytes"]), case["name"]) == case["is"], case


@named(SPEC["layouts"])
def test_layouts(case: dict[str, Any]) -> None:
    with saying(case, ConfigError):
        layout = layout_of(schema(case), case.get("narrow"), case.get("recordType"))
    if "features" in case:
        assert {feature.name: feature.kind for feature in layout.features} == case["features"]
    if "sidecar" in case:
        assert to_json(layout) == case["sidecar"]


@named(SPEC["reading"])
def test_records_of_other_writers(case: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord"
    for record in map(bytes.fromhex, case["records"]):
        size = struct.pack("<Q", len(record))
        with path.open("ab") as file:
            file.write(size + struct.pack("<I", masked(size)) + record)
            file.write(struct.pack("<I", masked(record)))
    layout = layout_to_read(schema(case))
    if "sampled" in case:
        layout = replace(layout, sampled=tuple(case["sampled"]))
    with saying(case, StorageError):
        found = [row for batch in read_file(str(path), layout) for row in batch.to_pylist()]
    if "rows" in case:
        assert found == table(case).to_pylist()


@named(SPEC["record types"])
def test_the_type_of_records_that_a_folder_declares(case: dict[str, Any]) -> None:
    lists = pa.schema([("l", pa.list_(pa.list_(pa.float32())))])
    kinds = {"Example": pa.schema([("a", pa.int64())]), "SequenceExample": lists}
    layout = layout_of(kinds.get(case["declared"], BYTES), record_type=case["declared"])
    options = Options({"path": "F", "recordType": case["asked"]})
    with saying(case, ConfigError):
        assert declared(Folder("F", layout, None, []), options) == layout


def strict(fields: dict[str, Any]) -> pa.Schema:
    def kind(told: Any) -> pa.DataType:
        return pa.struct(list(strict(told))) if isinstance(told, dict) else pa.int64()

    return pa.schema([pa.field(n.strip("!"), kind(k), n[0] != "!") for n, k in fields.items()])


@named(SPEC["nulls"])
def test_nulls_that_a_schema_refuses(case: dict[str, Any]) -> None:
    kinds = strict(case["schema"])
    plain = loose(kinds)
    row = pa.RecordBatch.from_pylist([listed(case["row"], plain)], plain)
    with saying(case, StorageError):
        assert cast(row, kinds, "F").num_rows == 1


def listed(row: list[Any], kinds: Any) -> dict[str, Any]:
    values = zip(kinds, row, strict=True)
    return {f.name: listed(v, f.type) if isinstance(v, list) else v for f, v in values}


@named(SPEC["structs"])
def test_structs_in_structs(case: dict[str, Any]) -> None:
    kind: pa.DataType = pa.int64()
    for _ in range(case["deep"]):
        kind = pa.struct([("s", kind)])
    with saying(case, ConfigError):
        partition_schema(pa.schema([("s", kind)]), [])
