"""`spec/tfrecord.yaml`: rows as the bytes of a TFRecord file, on both sides."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from pyspark.sql.types import StructType

from tests.conftest import ROOT
from tfspark.tfrecord import layout_of, read_file, write_file
from tfspark.tfrecord.codec.schema import to_json
from tfspark.tfrecord.spark.types import to_arrow

CASES = yaml.safe_load((ROOT / "spec" / "tfrecord.yaml").read_text("utf-8"))["cases"]


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
