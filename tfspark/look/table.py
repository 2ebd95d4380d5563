"""Tables: CSV, JSON lines, Parquet, Delta, TFRecord, and a day of a scored one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from tfspark import storage
from tfspark.config.textoptions import TextForms
from tfspark.deltalog import dataset, latest
from tfspark.errors import SourceMissing
from tfspark.look.columns import distinct_of, sections
from tfspark.look.view import Section, View
from tfspark.page.words import number
from tfspark.starter.forms import forms_of
from tfspark.starter.look import first_rows, look
from tfspark.tfrecord.codec.infer import infer_schema
from tfspark.tfrecord.codec.read import read_file
from tfspark.tfrecord.codec.schema import layout_of
from tfspark.tfrecord.folder.manifest import Folder, list_folder

SAMPLE = 20_000
"""Rows that are looked at."""
_ABOUT = ("model_name", "model_version", "model_digest", "run_id", "scored_at")
_TFRECORD = (".tfrecord", ".tfrecords", ".tfrecord.gz", ".tfrecords.gz")


def table(path: str, shown: int, hide: Collection[str]) -> View:
    """A table of any kind."""
    looked = look(path, SAMPLE)
    forms = (
        forms_of(looked.rows, looked.format == "csv", looked.comma) if looked.text else TextForms()
    )
    rows = looked.rows.num_rows
    seen = f"all {rows:,} rows" if looked.whole else f"the first {rows:,} rows looked at"
    about = [("kind", looked.format), ("bytes", f"{_bytes(path):,}")]
    if (whole := _count(path, looked.format)) is not None:
        about.insert(1, ("rows", number(whole)))
    elif looked.whole:
        about.insert(1, ("rows", number(rows)))
    about += [(f"option {name}", str(value)) for name, value in looked.options.items()]
    if looked.odd:
        about.append(("odd records", f"{looked.odd:,} do not have the columns of the table"))
    made = [Section("Table", facts=about)]
    return View(_name(path), path, [*made, *sections(looked.rows, shown, hide, forms, seen)])


def _count(path: str, kind: str) -> int | None:
    """Rows, as footers or the log say; None: nobody counted them."""
    if kind == "parquet":
        where = [path] if Path(path).is_file() else path
        return int(ds.dataset(where, format="parquet").count_rows())
    if kind == "delta":
        from deltalake import DeltaTable

        return int(dataset(DeltaTable(path), path).count_rows())
    return None


def day(path: str, date: dt.date, shown: int, hide: Collection[str]) -> View:
    """A day of a scored table.

    Raises:
        SourceMissing: the table has no such day.
    """
    from deltalake import DeltaTable

    found = dataset(DeltaTable(path), path)
    test = pc.field("day") == date
    if pa.types.is_string(found.schema.field("day").type):
        test = pc.field("day") == date.isoformat()
    rows, whole = first_rows(found, SAMPLE, "Delta", path, test)
    if not rows.num_rows:
        raise SourceMissing(f"{path}: has no day {date}")
    count = rows.num_rows if whole else int(found.count_rows(filter=test))
    about = [("day", str(date)), ("rows", number(count)), ("table's version", str(latest(path)))]
    about += [(name.replace("_", " "), distinct_of(rows, name)) for name in _ABOUT]
    seen = "all of its rows" if whole else f"the first {rows.num_rows:,} of its rows"
    others = rows.drop_columns([n for n in (*_ABOUT, "day") if n in rows.column_names])
    made = [Section("Scored day", facts=[one for one in about if one[1]])]
    return View(
        f"{_name(path)} {date}", path, [*made, *sections(others, shown, hide, TextForms(), seen)]
    )


def is_records(path: str) -> bool:
    """Whether there is TFRecord."""
    place = Path(path)
    if place.is_file():
        return place.name.endswith(_TFRECORD)
    named = (storage.join(path, name) for name in ("_schema.json", "_manifest.json"))
    return any(map(storage.exists, named)) or any(place.glob("*.tfrecord*"))


def records(path: str, shown: int, hide: Collection[str]) -> View:
    """A file or a folder of TFRecord."""
    folder = list_folder(path)
    rows, said = sample(folder)
    counts = [entry.rows for entry in folder.files]
    known = sum(one for one in counts if one is not None)
    about = [
        ("kind", "TFRecord"),
        ("files", number(len(folder.files))),
        ("bytes", number(sum(entry.bytes for entry in folder.files))),
        ("rows", number(known) if None not in counts else "not counted: tfspark tfrecord count"),
        ("columns", said),
    ]
    seen = f"the first {rows.num_rows:,} rows looked at"
    made = [Section("Table", facts=about)]
    return View(_name(path), path, [*made, *sections(rows, shown, hide, TextForms(), seen)])


def sample(folder: Folder, most: int = SAMPLE) -> tuple[pa.Table, str]:
    """The first rows of records, and where their columns are from."""
    layout, said = folder.layout, "as the folder declares"
    if layout is None:
        files = [entry.path for entry in folder.files]
        layout = replace(layout_of(infer_schema(files, on_corrupt="skip")), sampled=())
        said = "inferred from at most 1,000 records"
    batches: list[pa.RecordBatch] = []
    rows = size = 0
    for entry in folder.files:
        for batch in read_file(entry.path, layout):
            batches.append(batch)
            rows, size = rows + batch.num_rows, size + batch.nbytes
            if rows >= most or size > 256 << 20:
                return pa.Table.from_batches(batches).slice(0, most), said
    return pa.Table.from_batches(batches, layout.schema if not batches else None), said


def _bytes(path: str) -> int:
    place = Path(path)
    files: Any = [place] if place.is_file() else (f for f in place.rglob("*") if f.is_file())
    return sum(file.stat().st_size for file in files)


def _name(path: str) -> str:
    return Path(path).absolute().name
