"""`tfspark tfrecord head|count|schema|verify PATH`: look into a file or a folder of records."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from tfspark import storage
from tfspark.errors import ConfigError, IntegrityError
from tfspark.flags import Parser
from tfspark.tfrecord.codec.infer import infer_schema
from tfspark.tfrecord.codec.read import count_records, read_file
from tfspark.tfrecord.codec.schema import BYTES, Layout, layout_of
from tfspark.tfrecord.folder.manifest import FileEntry, Folder, list_folder
from tfspark.tfrecord.folder.verify import verify

_VALUES, _BYTES, _CHARACTERS = 16, 16, 200  # of one value that `head` shows


def main(argv: Sequence[str]) -> int:
    """Look into TFRecord: the first rows, how many there are, the columns, whether all is whole."""
    try:
        given = _arguments(argv)
        code: int = given.run(given)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # `head | less`, and less was left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser(prog="tfspark tfrecord", description=main.__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for run, about in (
        (_head, "the first rows, one JSON object a line"),
        (_count, "rows of every file, and of all"),
        (_schema, "columns and types: as declared, or inferred from a sample"),
        (_verify, "read and check everything; ends with 6 where anything is damaged"),
    ):
        command = commands.add_parser(run.__name__[1:], help=about, description=about)
        command.set_defaults(run=run)
        command.add_argument("path", metavar="PATH", help="a file, or a folder of them")
        command.add_argument(
            "--compression",
            choices=["none", "gzip", "zlib"],
            help="of the files; default: as their first bytes show",
        )
        command.add_argument(
            "--record-type",
            choices=["Example", "SequenceExample", "ByteArray"],
            help="ByteArray: records are bytes of any kind, one column; default: an Example",
        )
        if run is _head:
            command.add_argument("--rows", type=_number, default=10, metavar="N")
            command.add_argument("--columns", type=_names, metavar="A,B", help="default: all")
        if run is _schema:
            command.add_argument(
                "--records",
                type=_number_or_all,
                default=1000,
                metavar="N",
                help="to infer from; all: every record",
            )
    return parser.parse(argv)


def _head(given: argparse.Namespace) -> int:
    folder, left = list_folder(given.path), given.rows
    for batch in _batches(folder, given):
        for row in _rows(batch.slice(0, left)):
            print(json.dumps(row, ensure_ascii=False))
        left -= min(left, batch.num_rows)
        if not left:
            break
    if left == given.rows:
        print(f"{given.path}: no rows", file=sys.stderr)
    return 0


def _count(given: argparse.Namespace) -> int:
    folder, total = list_folder(given.path), 0
    for entry in folder.files:
        rows = entry.rows
        if rows is None:
            rows = count_records(entry.path, compression=given.compression).rows
        print(f"{rows:>15,}  {_name(folder, entry)}", flush=True)
        total += rows
    said = ", as the manifest says" if folder.manifest else ""
    print(f"{total:>15,}  in {_some(len(folder.files), 'file')}{said}")
    return 0


def _schema(given: argparse.Namespace) -> int:
    folder = list_folder(given.path)
    layout, said = _layout(folder, given, given.records)
    lines = [("column", "type", "nullable", "in the record")]
    for field in layout.schema:
        inside = [feature for feature in layout.features if feature.path[0] == field.name]
        kinds = sorted({f"{f.kind}_list" for f in inside if not f.marker}) or ["int64_list"]
        kinds = ["the record"] if layout.raw else kinds
        where = "feature_lists: " if any(f.depth == 2 for f in inside) else ""
        null = "yes" if field.nullable else "no"
        lines.append((field.name, str(field.type), null, where + ", ".join(kinds)))
    lines += [
        (part.name, str(part.type), "yes", "partition folder") for part in folder.partition_by
    ]
    widths = [max(len(line[at]) for line in lines) for at in range(4)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())
    print(f"\n{layout.record_type}s; {said}")
    return 0


def _verify(given: argparse.Namespace) -> int:
    found = verify(
        given.path, given.compression, lambda line: print(line, flush=True), given.record_type
    )
    damages = _some(found.damages, "damage")
    print(f"{_some(found.rows, 'row')} in {_some(found.files, 'file')}, {damages}")
    if found.damages:
        raise IntegrityError(
            f"{given.path}: {damages}, named above; get the files again from where they came, or "
            "write the folder again"
        )
    return 0


def _layout(
    folder: Folder, given: argparse.Namespace, records: int | None = 1000
) -> tuple[Layout, str]:
    """The schema that is declared, or else inferred; and which it is."""
    if given.record_type == "ByteArray":
        return layout_of(BYTES, record_type="ByteArray"), "as --record-type says"
    if folder.layout:
        return folder.layout, "as the folder declares"
    files = [entry.path for entry in folder.files]
    # Of a damaged file the rows before the damage can be looked at.
    schema = infer_schema(files, records, given.compression, on_corrupt="skip")
    number = "all" if records is None else f"at most {records:,}"
    layout = replace(layout_of(schema, record_type=given.record_type), sampled=())
    return layout, f"inferred from {number} records"


def _batches(folder: Folder, given: argparse.Namespace) -> Iterator[pa.RecordBatch]:
    """Of all files, with their partition's values."""
    if not folder.files:
        return
    columns: Sequence[str] | None = given.columns
    layout, _ = _layout(folder, given)
    if columns is not None:
        layout = replace(layout, sampled=None)
    types = dict(zip(folder.partition_by.names, folder.partition_by.types, strict=True))
    known = [*layout.schema.names, *types]
    if unknown := [name for name in columns or () if name not in known]:
        raise ConfigError(f"{folder.path} has no column {unknown[0]}; it has {known}")
    wanted = known if columns is None else columns
    stored = [name for name in wanted if name not in types]
    for entry in folder.files:
        for batch in read_file(entry.path, layout, stored, compression=given.compression):
            made = {
                name: pa.repeat(pa.scalar(entry.partition[name], types[name]), batch.num_rows)
                if name in types
                else batch.column(name)
                for name in wanted
            }
            yield pa.RecordBatch.from_pydict(made)


def _rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    names = batch.schema.names
    columns = [
        # By way of text: a float as short as it can be said, not as the double next to it.
        c.cast(_readable(c.type, pa.string())).cast(_readable(c.type, pa.float64())).to_pylist()
        for c in batch.columns
    ]
    for values in zip(*columns, strict=True):
        yield {name: _short(value) for name, value in zip(names, values, strict=True)}


def _readable(kind: pa.DataType, real: pa.DataType) -> pa.DataType:
    """The type with text for times (Python's own end in the year 9999), and `real` for floats."""
    t = pa.types
    if t.is_temporal(kind):
        return pa.int64() if t.is_duration(kind) else pa.string()
    if t.is_floating(kind):
        return real
    if t.is_struct(kind):
        return pa.struct([field.with_type(_readable(field.type, real)) for field in kind])
    if t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind):
        inner = kind.value_field.with_type(_readable(kind.value_type, real))
        if t.is_fixed_size_list(kind):
            return pa.list_(inner, kind.list_size)
        return pa.large_list(inner) if t.is_large_list(kind) else pa.list_(inner)
    return kind


def _short(value: Any) -> Any:
    """A value as JSON has it, and of a long one the beginning."""
    if isinstance(value, dict):
        return {name: _short(inner) for name, inner in value.items()}
    if isinstance(value, list):
        more = [f"… {len(value)} values"] if len(value) > _VALUES else []
        return [_short(inner) for inner in value[:_VALUES]] + more
    if isinstance(value, bytes):
        more_bytes = f"… {len(value)} bytes" if len(value) > _BYTES else ""
        return f"0x{value[:_BYTES].hex()}{more_bytes}"
    if isinstance(value, str) and len(value) > _CHARACTERS:
        return f"{value[:_CHARACTERS]}… {len(value)} characters"
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return str(value)  # a decimal, NaN


def _name(folder: Folder, entry: FileEntry) -> str:
    return entry.path.removeprefix(storage.absolute(folder.path).rstrip("/") + "/")


def _some(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number, at least 1")
    return int(text)


def _number_or_all(text: str) -> int | None:
    return None if text == "all" else _number(text)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
