"""The table of the main path and its contract: an id, 12 doubles, two strings, two ints."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

FILES = 10
FORMS = ("parquet", "csv", "csv.gz")
DOUBLES = [f"x{number}" for number in range(12)]
CITIES = [f"city{number:02}" for number in range(40)]
SPLIT = {"validation": 0.1, "test": 0.1}


def contract(folder: Path) -> Path:
    """Write the contract's file: bounds, valid values, a pattern, required columns, a key."""
    columns = ["{name: id, physicalType: bigint, primaryKey: true, required: true, role: key}"]
    bounds = "logicalTypeOptions: {minimum: -1000, maximum: 1000}"
    columns += [f"{{name: {name}, physicalType: double, {bounds}}}" for name in DOUBLES]
    columns += [
        f"{{name: city, physicalType: string, validValues: [{', '.join(CITIES)}]}}",
        '{name: code, physicalType: string, logicalTypeOptions: {pattern: "[a-z]{2}[0-9]{3}"}}',
        "{name: visits, physicalType: int, logicalTypeOptions: {minimum: 0, maximum: 1000}}",
        "{name: bought, physicalType: int, required: true, validValues: [0, 1], role: label}",
    ]
    path = folder / "visitors.yaml"
    listed = "".join(f"      - {column}\n" for column in columns)
    path.write_text(
        "kind: DataContract\nid: visitors\nversion: 1\nschema:\n  - name: visitors\n"
        f"    quarantine: {{maxShare: 0.2}}\n    properties:\n{listed}"
    )
    return path


def rows(start: int, stop: int, bad: float = 0.0, doubled: float = 0.0) -> pa.Table:
    """Rows by number, the same ones again; a share of them bad, a share with a key twice."""
    count, rng = stop - start, np.random.default_rng(start)
    ids = np.arange(start, stop)
    if doubled:
        again = rng.random(count) < doubled / 2
        ids[1:][again[1:]] = ids[:-1][again[1:]]
    data: dict[str, pa.Array] = {"id": pa.array(ids)}
    for name in DOUBLES:
        data[name] = pa.array(rng.normal(size=count) * 100, mask=rng.random(count) < 0.05)
    data["city"] = pa.DictionaryArray.from_arrays(
        pa.array(rng.integers(0, len(CITIES), count, dtype="int32")), CITIES
    ).cast(pa.string())
    codes = [f"{chr(97 + i // 26)}{chr(97 + i % 26)}{i % 1000:03}" for i in range(600)]
    data["code"] = pa.DictionaryArray.from_arrays(
        pa.array(rng.integers(0, len(codes), count, dtype="int32")), codes
    ).cast(pa.string())
    data["visits"] = pa.array(rng.integers(0, 1000, count, dtype="int32"))
    data["bought"] = pa.array(rng.integers(0, 2, count, dtype="int32"))
    return _spoiled(pa.table(data), rng, bad)


def _spoiled(table: pa.Table, rng: np.random.Generator, bad: float) -> pa.Table:
    """Ten kinds of bad rows, in equal parts."""
    if not bad:
        return table
    kind = np.where(rng.random(len(table)) < bad, rng.integers(0, 10, len(table)), -1)
    for number, (name, value) in enumerate(
        [(f"x{i}", 5000.0) for i in range(3)]
        + [(f"x{i}", -5000.0) for i in range(3, 5)]
        + [("city", "nowhere"), ("code", "ABC"), ("visits", -1), ("bought", 7), ("bought", None)]
    ):
        at, mask = table.schema.get_field_index(name), pa.array(kind == number)
        column = table[name].combine_chunks()
        other = pa.scalar(value, column.type)
        table = table.set_column(at, name, pa.compute.if_else(mask, other, column))
    return table


def write(folder: Path, count: int, form: str = "parquet", **spoiled: float) -> int:
    """Write the table in ten files (parquet, csv, csv.gz); their bytes."""
    folder.mkdir(parents=True)
    edges = np.linspace(0, count, FILES + 1).astype(int)
    for number, (start, stop) in enumerate(pairwise(edges)):
        part = rows(int(start), int(stop), **spoiled)
        path = folder / f"part-{number:02}.{form}"
        if form == "parquet":
            pq.write_table(part, path)
        else:
            packed = "gzip" if form.endswith("gz") else None
            with pa.output_stream(str(path), compression=packed) as stream:
                pacsv.write_csv(part, stream, pacsv.WriteOptions(quoting_style="needed"))
    return sum(path.stat().st_size for path in folder.iterdir())
