"""What becomes of the answer to a query: a table on the screen, a file of any kind."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tfspark import storage
from tfspark.console import printable
from tfspark.errors import ConfigError

ENDINGS = (".csv", ".jsonl", ".parquet")
_FORMULA = "^[=+@\t\r-]"
_T = pa.types


def save(answer: pa.RecordBatchReader, to: str, escape_formulas: bool = False) -> int:
    """Write an answer to `to`, by its ending; whole or not at all.

    In a CSV file lists and structures are JSON, bytes are base64.

    Args:
        escape_formulas: of CSV: put `'` before texts that a spreadsheet would take for a formula.

    Returns:
        The rows written.
    """
    ending = to.rsplit(".", 1)[-1].lower()
    if f".{ending}" not in ENDINGS:
        raise ConfigError(f"--to {to}: name a file that ends in {', '.join(ENDINGS)}")
    if escape_formulas and ending != "csv":
        raise ConfigError("--escape-formulas is for --to FILE.csv")
    names = answer.schema.names
    if ending != "csv" and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"--to {to}: two columns are named {twice}; name them apart (AS)")
    if ending == "csv":
        answer = _each(answer, _flat)
        if escape_formulas:
            answer = _without_formulas(answer)
    elif ending == "parquet":
        answer = _each(answer, _storable)
    fs, inner = storage.filesystem(to)
    part = f"{inner}.partial"
    try:
        rows = _write(fs, part, answer, ending)
        storage.replace(f"{to}.partial", to)
    except BaseException:
        with suppress(OSError):
            fs.delete_file(part)
        raise
    return rows


def _write(fs: Any, path: str, answer: pa.RecordBatchReader, ending: str) -> int:
    import pyarrow.csv as pacsv
    import pyarrow.parquet as pq

    makers: dict[str, Callable[..., Any]] = {"csv": pacsv.CSVWriter, "parquet": pq.ParquetWriter}
    rows = 0
    with fs.open_output_stream(path) as out:
        if ending == "jsonl":
            for batch in answer:
                for row in _python(pa.Table.from_batches([batch])):
                    out.write(_json(row).encode("utf-8", "backslashreplace") + b"\n")
                rows += batch.num_rows
            return rows
        with makers[ending](out, answer.schema) as writer:
            for batch in answer:
                writer.write_batch(batch)
                rows += batch.num_rows
    return rows


def _each(
    answer: pa.RecordBatchReader, change: Callable[[pa.Array], pa.Array]
) -> pa.RecordBatchReader:
    """Every column changed; the type that comes out depends on the type that goes in alone."""
    kinds = [change(pa.array([], kind)).type for kind in answer.schema.types]
    schema = pa.schema([f.with_type(k) for f, k in zip(answer.schema, kinds, strict=True)])
    batches = (
        pa.RecordBatch.from_arrays([change(column) for column in batch.columns], schema=schema)
        for batch in answer
    )
    return pa.RecordBatchReader.from_batches(schema, batches)


def _storable(column: pa.Array) -> pa.Array:
    """A column that Parquet can hold: months and days as text."""
    if _T.is_interval(column.type):
        return pa.array([None if v is None else str(v) for v in column.to_pylist()], pa.string())
    return column


def _flat(column: pa.Array) -> pa.Array:
    """A column that a CSV file can hold."""
    kind = column.type
    if _T.is_dictionary(kind):
        return _flat(column.dictionary_decode())
    plain = _T.is_temporal(kind) and not _T.is_duration(kind) and not _T.is_interval(kind)
    plain = plain or _T.is_integer(kind) or _T.is_floating(kind) or _T.is_decimal(kind)
    if plain or _T.is_boolean(kind) or _T.is_string(kind) or _T.is_large_string(kind):
        return column
    return pa.array([_text(value) for value in _values(column)], pa.string())


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    said: Any = _told(value)
    return said if isinstance(said, str) else _json(said)


def _json(value: Any) -> str:
    return json.dumps(_told(value), ensure_ascii=False, allow_nan=False)


def _told(value: Any) -> Any:
    """A value as JSON has it: bytes as base64, what JSON has not as text."""
    if isinstance(value, dict):
        return {str(_told(key)): _told(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_told(inner) for inner in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return str(value)


def _without_formulas(answer: pa.RecordBatchReader) -> pa.RecordBatchReader:
    def escaped(column: pa.Array) -> pa.Array:
        if not (_T.is_string(column.type) or _T.is_large_string(column.type)):
            return column
        quoted = pc.binary_join_element_wise(pa.scalar("'", column.type), column, "")
        return pc.if_else(pc.match_substring_regex(column, _FORMULA), quoted, column)

    names = escaped(pa.array(answer.schema.names, pa.string())).to_pylist()
    changed = _each(answer, escaped)
    schema = pa.schema([f.with_name(n) for f, n in zip(changed.schema, names, strict=True)])
    batches = (pa.RecordBatch.from_arrays(b.columns, schema=schema) for b in changed)
    return pa.RecordBatchReader.from_batches(schema, batches)


def show(answer: pa.RecordBatchReader, hide: Sequence[str] = ()) -> int:
    """Print an answer as a table, and give its rows.

    Args:
        hide: beginnings of the names of columns that are long and seldom looked for; they are
            named on stderr.
    """
    import pandas as pd

    table = answer.read_all()
    hidden = [name for name in table.column_names if name.startswith(tuple(hide))] if hide else []
    wanted = [at for at, name in enumerate(table.column_names) if name not in hidden]
    frame = pd.concat([_cells(table.column(at)) for at in wanted], axis=1)
    frame.columns = pd.Index([printable(table.column_names[at]) for at in wanted])
    with pd.option_context(
        "display.max_rows", None, "display.width", 200, "display.max_columns", 50
    ):
        print(frame.to_string(index=False) if len(frame) else "(no rows)")
    if hidden:
        print(f"not shown: {', '.join(hidden)}; --columns names those to show", file=sys.stderr)
    return len(frame)


def _cells(column: pa.ChunkedArray) -> Any:
    """What the screen shows of a column: nothing in it controls the terminal."""
    import pandas as pd

    if column.type == pa.float16():
        column = column.cast(pa.float32())
    kind = column.type
    if _T.is_integer(kind) or _T.is_floating(kind) or _T.is_boolean(kind):
        return column.to_pandas(integer_object_nulls=True)
    if _T.is_temporal(kind) and not _T.is_duration(kind) and not _T.is_interval(kind):
        texts = column.cast(pa.string()).to_pylist()
        return pd.Series(
            [text and re.sub(r"\.0+(?=Z?$)", "", text) for text in texts], dtype=object
        )
    return pd.Series([_printable(value) for value in _values(column)], dtype=object)


def _printable(value: Any) -> Any:
    if isinstance(value, bytes):
        return printable(value.decode("utf-8", "backslashreplace"))
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {_printable(key): _printable(inner) for key, inner in value.items()}
    return [_printable(inner) for inner in value] if isinstance(value, list | tuple) else value


def _python(table: pa.Table) -> list[dict[str, Any]]:
    columns = [_values(column) for column in table.columns]
    return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def _values(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """As Python's; of times that Python has not, and of what is not UTF-8, as text."""
    try:
        if column.type == pa.time64("ns"):
            raise ValueError("Python has no nanoseconds")
        found: list[Any] = column.to_pylist(maps_as_pydicts="lossy")
        return found
    except (ValueError, OverflowError):
        values = column.cast(_bare(column.type)).to_pylist(maps_as_pydicts="lossy")
        return [_decoded(value) for value in values]


def _bare(kind: pa.DataType) -> pa.DataType:
    """The type with bytes for text, and text for times."""
    if _T.is_string(kind) or _T.is_large_string(kind):
        return pa.binary()
    if _T.is_temporal(kind) and not _T.is_duration(kind) and not _T.is_interval(kind):
        return pa.string()
    if _T.is_struct(kind):
        return pa.struct([field.with_type(_bare(field.type)) for field in kind])
    if _T.is_map(kind):
        return pa.map_(_bare(kind.key_type), _bare(kind.item_type))
    return pa.list_(_bare(kind.value_type)) if _T.is_list(kind) else kind


def _decoded(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {_decoded(key): _decoded(inner) for key, inner in value.items()}
    return [_decoded(inner) for inner in value] if isinstance(value, list | tuple) else value
