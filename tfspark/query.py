"""Ask a scored table: by Spark SQL, or without Spark by DuckDB over Delta's files.

Names (tables, columns) are quoted and values are bound, so neither can become SQL.
"""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from tfspark import storage
from tfspark.config import load_settings
from tfspark.console import print_summary
from tfspark.errors import ConfigError, SourceMissing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

VIEW = "scored"
"""The table's name in a `--sql` query."""


@dataclass(frozen=True)
class Question:
    """What is asked of a table.

    Attributes:
        columns: all columns where empty.
        day: only this day.
        where: column → value it must equal; the value is compared as the column's type.
        order_by: column names; a leading `-` sorts downwards.
        sql: a whole query over the view `scored`, instead of all of the above.
    """

    columns: list[str] = field(default_factory=list)
    day: dt.date | None = None
    where: dict[str, str] = field(default_factory=dict)
    order_by: list[str] = field(default_factory=list)
    limit: int | None = None
    sql: str | None = None

    def to_sql(self, there: list[str], quote: str) -> tuple[str, list[str]]:
        """The query with `?` for values, and the values.

        Raises:
            ConfigError: a column that is not in the table, or `sql` beside other parts.
        """
        if self.sql is not None:
            if self.columns or self.day or self.where or self.order_by:
                raise ConfigError("--sql is a whole query: give it without --columns, --day, ...")
            limit = "" if self.limit is None else f" LIMIT {self.limit:d}"
            return f"SELECT * FROM ({self.sql}){limit}", []

        def name(column: str) -> str:
            if column not in there:
                raise ConfigError(f"no column {column!r} in the table; there are: {', '.join(there)}")
            return quote + column.replace(quote, quote * 2) + quote

        parts = ["SELECT " + (", ".join(name(c) for c in self.columns) or "*"), f"FROM {VIEW}"]
        tests = [f"CAST({name(column)} AS STRING) = ?" for column in self.where]
        values = list(self.where.values())
        if self.day:
            # Compared as a date, so that only the day's files are read.
            tests.append(f"{name('day')} = CAST(? AS DATE)")
            values.append(self.day.isoformat())
        if tests:
            parts.append("WHERE " + " AND ".join(tests))
        if self.order_by:
            orders = [name(c.removeprefix("-")) + " DESC" * c.startswith("-") for c in self.order_by]
            parts.append("ORDER BY " + ", ".join(orders))
        if self.limit is not None:
            parts.append(f"LIMIT {self.limit:d}")
        return "\n".join(parts), values


class Engine(Protocol):
    """Something that answers questions: a stream of Arrow batches, never the whole result."""

    def answer(self, table: str, question: Question) -> pa.RecordBatchReader: ...


class DuckDB:
    """DuckDB over the files that Delta's log names; needs no Spark and no Java."""

    def answer(self, table: str, question: Question) -> pa.RecordBatchReader:
        try:
            import duckdb
            from deltalake import DeltaTable
        except ImportError as error:
            raise ConfigError(f"{error.name} is missing: pip install 'tfspark[query]'") from None
        if not DeltaTable.is_deltatable(table):
            raise SourceMissing(f"{table}: no Delta table there (yet); check the path, or run score")
        scored = DeltaTable(table).to_pyarrow_dataset()
        connection = duckdb.connect()
        connection.register(VIEW, scored)
        sql, values = question.to_sql(scored.schema.names, '"')
        try:
            return connection.execute(sql, values).to_arrow_reader()
        except duckdb.Error as error:
            raise ConfigError(f"the query does not run: {error}") from None


class SparkSQL:
    """Spark SQL; the table may be a folder or a name of the catalog."""

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark

    def answer(self, table: str, question: Question) -> pa.RecordBatchReader:
        from pyspark.errors import AnalysisException, ParseException

        from tfspark.tables import first_line, read_table

        df = read_table(self.spark, table)
        df.createOrReplaceTempView(VIEW)
        sql, values = question.to_sql(df.columns, "`")
        try:
            result = self.spark.sql(sql, args=values or None)
        except (AnalysisException, ParseException) as error:
            raise ConfigError(f"the query does not run: {first_line(error)}") from None
        return _stream(result)


def _stream(df: Any) -> pa.RecordBatchReader:
    """A DataFrame's rows, a partition at a time."""
    from pyspark.sql.pandas.types import to_arrow_schema

    schema = to_arrow_schema(df.schema)
    names = schema.names

    def batches() -> Iterator[pa.RecordBatch]:
        rows: list[dict[str, Any]] = []
        for row in df.toLocalIterator():
            rows.append(dict(zip(names, row, strict=True)))
            if len(rows) == 10_000:
                yield pa.RecordBatch.from_pylist(rows, schema)
                rows = []
        if rows:
            yield pa.RecordBatch.from_pylist(rows, schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def save(answer: pa.RecordBatchReader, to: str) -> int:
    """Write an answer to `to`, by its ending `.csv` or `.parquet`; whole or not at all.

    Returns:
        The rows written.
    """
    import pyarrow.csv as pacsv
    import pyarrow.parquet as pq

    writers = {"csv": pacsv.CSVWriter, "parquet": pq.ParquetWriter}
    ending = to.rsplit(".", 1)[-1].lower()
    if ending not in writers:
        raise ConfigError(f"--to {to}: name a file that ends in .csv or .parquet")
    fs, inner = storage.filesystem(to)
    rows = 0
    with fs.open_output_stream(f"{inner}.partial") as out, writers[ending](out, answer.schema) as writer:
        for batch in answer:
            writer.write_batch(batch)
            rows += batch.num_rows
    fs.move(f"{inner}.partial", inner)
    return rows


def show(answer: pa.RecordBatchReader) -> int:
    """Print an answer as a table, and give its rows."""
    import pandas as pd

    frame = answer.read_all().to_pandas()
    with pd.option_context("display.max_rows", None, "display.width", 200, "display.max_columns", 50):
        print(frame.to_string(index=False) if len(frame) else "(no rows)")
    return len(frame)


def main(argv: Sequence[str]) -> int:
    """`query --table TABLE ...`; see --help."""
    parser = argparse.ArgumentParser(prog="query", description=__doc__, allow_abbrev=False)
    parser.add_argument("--config", help="take the scored table of this configuration")
    parser.add_argument("--table", help="folder of a Delta table, or a name of Spark's catalog")
    parser.add_argument("--engine", choices=["spark", "duckdb"], default="spark")
    parser.add_argument("--columns", type=_list, default=[], metavar="A,B", help="default: all")
    parser.add_argument("--day", type=dt.date.fromisoformat, help="YYYY-MM-DD")
    parser.add_argument("--where", action="append", default=[], metavar="COLUMN=VALUE")
    parser.add_argument("--order-by", type=_list, default=[], metavar="A,-B")
    parser.add_argument("--limit", type=int, help="default: 20 on the screen, all into a file")
    parser.add_argument("--sql", help=f"a whole query; the table's name in it is {VIEW}")
    parser.add_argument("--to", metavar="FILE", help="write FILE.csv or FILE.parquet")
    given = parser.parse_args(argv)
    table = given.table or (load_settings(given.config).scored if given.config else None)
    if not table:
        raise ConfigError("query: name the table with --table, or a configuration with --config")
    where = dict(_pair(text) for text in given.where)
    limit = given.limit if given.limit is not None or given.to else 20
    question = Question(given.columns, given.day, where, given.order_by, limit, given.sql)
    answer = _engine(given.engine).answer(table, question)
    if not given.to:
        show(answer)
        return 0
    rows = save(answer, given.to)
    print_summary("query: done", {"table": table, "rows": rows, "file": given.to})
    return 0


def _engine(name: str) -> Engine:
    if name == "duckdb":
        return DuckDB()
    from tfspark.session import spark_session

    return SparkSQL(spark_session("tfspark query"))


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _pair(text: str) -> tuple[str, str]:
    column, found, value = text.partition("=")
    if not found:
        raise ConfigError(f"--where {text}: is not COLUMN=VALUE")
    return column, value
