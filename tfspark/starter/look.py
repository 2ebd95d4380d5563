"""The first rows of a table, without Spark: what kind of files it is in, and what they hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from tfspark.console import printable
from tfspark.csvfiles.read import Form, read_csv, read_header
from tfspark.deltalog import dataset
from tfspark.errors import ConfigError, ContractViolation, SourceMissing, StorageError
from tfspark.images.names import ENDINGS
from tfspark.rowchecks.arrays import is_broken
from tfspark.starter.dialect import comma_of, encoding_of, is_row, text_of
from tfspark.textblocks import CORRUPT, Coding
from tfspark.textfiles.table import names_of

MOST = 200_000
"""Rows that are looked at."""

_ENDINGS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
}
_PACKED = (".gz",)
_NOT_YET = {
    ".tfrecord": "TFRecord is what prepare writes; look into it with `tfspark tfrecord schema`",
    **dict.fromkeys(ENDINGS, "one image is no table; name the folder, or a zip of it"),
    ".zip": "it is no zip that can be read",
}
_PEEK = 64
_SHOWN = 60
_MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class Looked:
    """What was seen of a table.

    Attributes:
        format: of `source.format`.
        rows: the first ones; text if the files hold text.
        whole: whether these are all.
        options: of `source.options`.
        comma: of CSV, what is between the fields.
        odd: records that do not have the columns of the table, or hold text that is not UTF-8.
    """

    format: str
    rows: pa.Table
    whole: bool
    options: dict[str, Any] = field(default_factory=dict)
    odd: int = 0
    comma: str = ","

    @property
    def text(self) -> bool:
        """Whether the files hold text, which has to be read as something."""
        return self.format in ("csv", "json")


def look(path: str, most: int = MOST) -> Looked:
    """Look at a file, or at a folder of files of one kind.

    Raises:
        SourceMissing: there is nothing.
        ConfigError: it is none of CSV, JSON lines, Parquet and Delta.
        StorageError: a file cannot be read.
        ContractViolation: the first line is no header.
    """
    place = Path(path)
    if not place.exists():
        raise SourceMissing(f"{path}: no such file or folder")
    if (place / "_delta_log").is_dir():
        return _delta(path, most)
    files = [place] if place.is_file() else _visible(place)
    kinds = {_kind(file) for file in files}
    if not files:
        raise SourceMissing(f"{path}: the folder has no files")
    if len(kinds) > 1:
        raise ConfigError(f"{path}: files of several kinds: {', '.join(sorted(kinds))}")
    names = [str(file) for file in files]
    kind = kinds.pop()
    if kind == "parquet":
        return _parquet(path, names, most)
    return _csv(path, names, most) if kind == "csv" else _json(path, names, most)


def _visible(folder: Path) -> list[Path]:
    found = (file for file in folder.rglob("*") if file.is_file())
    return sorted(
        file
        for file in found
        if not any(part[0] in "._" for part in file.relative_to(folder).parts)
    )


def _kind(file: Path) -> str:
    endings = [ending.lower() for ending in file.suffixes]
    if endings and endings[-1] in _PACKED:
        endings.pop()
    ending = endings[-1] if endings else ""
    if ending in _NOT_YET:
        raise ConfigError(f"{file}: {_NOT_YET[ending]}")
    if ending not in _ENDINGS:
        known = ", ".join(_ENDINGS)
        raise ConfigError(
            f"{file}: what is in it? The name ends with {ending or 'nothing'}; known endings are "
            f"{known} (.gz behind them), and folders of Delta"
        )
    return _ENDINGS[ending]


def _delta(path: str, most: int) -> Looked:
    from deltalake import DeltaTable

    return _of_dataset("delta", path, dataset(DeltaTable(path), path), most)


def _parquet(path: str, files: list[str], most: int) -> Looked:
    try:
        found = ds.dataset(files, format="parquet")
    except (pa.ArrowException, OSError) as error:
        raise StorageError(f"{path}: cannot be read as Parquet: {error}") from None
    return _of_dataset("parquet", path, found, most)


def _of_dataset(kind: str, path: str, found: Any, most: int) -> Looked:
    rows, whole = first_rows(found, most, kind, path)
    return Looked(kind, rows, whole)


def first_rows(
    found: Any, most: int, kind: str, path: str, test: Any = None
) -> tuple[pa.Table, bool]:
    """The first rows of an Arrow dataset, of so many bytes at most, and whether these are all.

    Args:
        kind, path: what it is, in messages.
        test: an expression; only rows for which it holds.

    Raises:
        StorageError: they cannot be read.
    """
    asked = {"batch_size": min(most + 1, 8192), "batch_readahead": 1, "fragment_readahead": 1}
    batches: list[pa.RecordBatch] = []
    rows, size = 0, 0
    try:
        for batch in found.scanner(filter=test, **asked).to_batches():
            batches.append(batch)
            rows, size = rows + batch.num_rows, size + batch.nbytes
            if rows > most or size > _MOST_BYTES:
                break
        table = pa.Table.from_batches(batches, found.schema)
    except (pa.ArrowException, OSError) as error:
        raise StorageError(f"{path}: cannot be read as {kind}: {error}") from None
    return table.slice(0, most), rows <= most and size <= _MOST_BYTES


def _csv(path: str, files: list[str], most: int) -> Looked:
    encoding = encoding_of(files)
    form = Form(comma=comma_of(files[0], encoding), coding=Coding(encoding))
    header = next((h for file in files if (h := read_header(file, form))), None)
    if header is None:
        raise StorageError(f"{path}: the file is empty: not even a header line")
    if is_row(header, files[0], form):
        form = replace(form, header=False)
    columns = names_of(header, form)
    batches, rows, odd = [], 0, 0
    for file in files:
        for batch in read_csv(file, columns, form):
            good = batch.filter(batch.column(CORRUPT).is_null())
            for column in good.schema.names:
                if (broken := is_broken(good.column(column))) is not None:
                    good = good.filter(pc.invert(pc.fill_null(broken, False)))
            odd += batch.num_rows - good.num_rows
            batches.append(good)
            rows += good.num_rows
            if rows > most:
                break
    if odd > rows:
        line = printable(form.comma.join(header))[:_SHOWN]
        raise ContractViolation(
            f"{path}: the first line has {len(header)} fields and most records have another number "
            f"of them: {line!r}; is it no header? Take away what is above the header"
        )
    if not rows:
        raise StorageError(f"{path}: there is a header, and no row below it")
    table = pa.Table.from_batches(batches).drop_columns([CORRUPT])
    options: dict[str, Any] = {} if form.comma == "," else {"sep": form.comma}
    options |= {} if encoding == "utf-8" else {"encoding": encoding}
    options |= {} if form.header else {"header": False}
    return Looked("csv", table.slice(0, most), rows <= most, options, odd, form.comma)


def _json(path: str, files: list[str], most: int) -> Looked:
    names: dict[str, None] = {}
    records: list[dict[str, Any]] = []
    odd = 0
    for record in _records(files):
        if not isinstance(record, dict):
            odd += 1
            continue
        names.update(dict.fromkeys(record))
        records.append(record)
        if len(records) > most:
            break
    if not records:
        raise StorageError(f"{path}: there is no line with a JSON object")
    columns = {name: pa.array([_said(r.get(name)) for r in records], pa.string()) for name in names}
    table = pa.table(columns)
    return Looked("json", table.slice(0, most), len(records) <= most, {}, odd)


def _records(files: list[str]) -> Iterator[Any]:
    for file in files:
        with text_of(file) as lines:
            is_list = lines.read(_PEEK).lstrip().startswith("[")
        with text_of(file) as lines:
            for text in [lines.read()] if is_list else lines:
                if text.strip():
                    try:
                        read = json.loads(text, parse_float=str, parse_int=str)
                    except ValueError:
                        read = None
                    yield from read if is_list and read is not None else [read]


def _said(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
