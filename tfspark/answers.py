"""What becomes of the answer to a query: a table on the screen, a CSV or Parquet file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark import storage
from tfspark.console import printable
from tfspark.errors import ConfigError

_FORMULA = "^[=+@\t\r-]"


def save(answer: pa.RecordBatchReader, to: str, escape_formulas: bool = False) -> int:
    """Write an answer to `to`, by its ending `.csv` or `.parquet`; whole or not at all.

    Args:
        escape_formulas: of CSV: put `'` before texts that a spreadsheet would take for a formula.

    Returns:
        The rows written.
    """
    import pyarrow.csv as pacsv
    import pyarrow.parquet as pq

    writers = {"csv": pacsv.CSVWriter, "parquet": pq.ParquetWriter}
    ending = to.rsplit(".", 1)[-1].lower()
    if ending not in writers:
        raise ConfigError(f"--to {to}: name a file that ends in .csv or .parquet")
    if escape_formulas:
        if ending != "csv":
            raise ConfigError("--escape-formulas is for --to FILE.csv")
        answer = _without_formulas(answer)
    fs, inner = storage.filesystem(to)
    rows = 0
    with (
        fs.open_output_stream(f"{inner}.partial") as out,
        writers[ending](out, answer.schema) as writer,
    ):
        for batch in answer:
            writer.write_batch(batch)
            rows += batch.num_rows
    fs.move(f"{inner}.partial", inner)
    return rows


def _without_formulas(answer: pa.RecordBatchReader) -> pa.RecordBatchReader:
    def escaped(column: pa.Array) -> pa.Array:
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            return column
        quoted = pc.binary_join_element_wise(pa.scalar("'", column.type), column, "")
        return pc.if_else(pc.match_substring_regex(column, _FORMULA), quoted, column)

    names = escaped(pa.array(answer.schema.names, pa.string())).to_pylist()
    schema = pa.schema([f.with_name(n) for f, n in zip(answer.schema, names, strict=True)])
    batches = (
        pa.RecordBatch.from_arrays([escaped(column) for column in batch.columns], schema=schema)
        for batch in answer
    )
    return pa.RecordBatchReader.from_batches(schema, batches)


def show(answer: pa.RecordBatchReader) -> int:
    """Print an answer as a table, and give its rows."""
    import pandas as pd

    frame = answer.read_all().to_pandas().map(_printable)
    frame.columns = [printable(name) for name in frame.columns]
    with pd.option_context(
        "display.max_rows", None, "display.width", 200, "display.max_columns", 50
    ):
        print(frame.to_string(index=False) if len(frame) else "(no rows)")
    return len(frame)


def _printable(value: Any) -> Any:
    """A cell in which nothing controls the terminal."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {_printable(key): _printable(inner) for key, inner in value.items()}
    return [_printable(inner) for inner in value] if isinstance(value, list | np.ndarray) else value
