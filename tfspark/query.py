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

from tfspark.answers import save, show
from tfspark.config import load_settings
from tfspark.config.day import as_day
from tfspark.console import print_summary
from tfspark.errors import ConfigError, SourceMissing
from tfspark.targets import refuse_overlap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

_LOCKED = (
    "enable_external_access = false",
    "python_enable_replacements = false",
    "lock_configuration = true",
)
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

    def check(self, there: list[str]) -> None:
        """Refuse names that are no columns of the table.

        Raises:
            ConfigError: a column that is not in the table, or `sql` beside other parts.
        """
        orders = [name.removeprefix("-") for name in self.order_by]
        named = [*self.columns, *self.where, *orders, *(["day"] if self.day else [])]
        if self.sql is not None and named:
            raise ConfigError("--sql is a whole query: give it without --columns, --day, ...")
        for name in named:
            if name not in there:
                raise ConfigError(f"no column {name!r} in the table; there are: {', '.join(there)}")

    def to_sql(self) -> tuple[str, list[str]]:
        """The query in DuckDB's SQL with `?` for values, and the values."""
        limit = "" if self.limit is None else f" LIMIT {self.limit:d}"
        if self.sql is not None:
            return f"SELECT * FROM ({self.sql}){limit}", []  # noqa: S608 (the user's own query)
        parts = [f"SELECT {', '.join(_quoted(c) for c in self.columns) or '*'} FROM {VIEW}"]  # noqa: S608 (names are quoted)
        tests = [f"CAST({_quoted(column)} AS STRING) = ?" for column in self.where]
        values = list(self.where.values())
        if self.day:
            # Compared as a date, so that only the day's files are read.
            tests.append("day = CAST(? AS DATE)")
            values.append(self.day.isoformat())
        if tests:
            parts.append("WHERE " + " AND ".join(tests))
        if self.order_by:
            orders = [
                _quoted(c.removeprefix("-")) + " DESC" * c.startswith("-") for c in self.order_by
            ]
            parts.append("ORDER BY " + ", ".join(orders))
        return " ".join(parts) + limit, values


def _quoted(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


class Engine(Protocol):
    """Something that answers questions: a stream of Arrow batches, never the whole result."""

    def answer(self, table: str, question: Question) -> pa.RecordBatchReader: ...


class DuckDB:
    """DuckDB over the files that Delta's log names; needs no Spark and no Java."""

    def answer(self, table: str, question: Question) -> pa.RecordBatchReader:
        try:
            import duckdb
            from deltalake import DeltaTable, QueryBuilder
        except ImportError as error:
            raise ConfigError(f"{error.name} is missing: pip install 'tfspark[query]'") from None
        if not DeltaTable.is_deltatable(table):
            raise SourceMissing(
                f"{table}: no Delta table there (yet); check the path, or run score"
            )
        delta = DeltaTable(table)
        scored = delta.to_pyarrow_dataset()
        names = scored.schema.names
        if "columnMapping" in (delta.protocol().writer_features or []):
            # Arrow's dataset knows nothing of Delta's names and would give nulls.
            rows = QueryBuilder().register(VIEW, delta).execute(f"SELECT * FROM {VIEW}")  # noqa: S608
            scored = pa.RecordBatchReader.from_stream(rows)
        connection = duckdb.connect()
        connection.register(VIEW, scored)
        question.check(names)
        sql, values = question.to_sql()
        try:
            # From here on a query has the view alone: no files, no network, none of our variables.
            for setting in _LOCKED:
                connection.execute(f"SET {setting}")
            if question.sql is not None:
                _refuse_statements(connection, question.sql)
            return connection.sql(sql, params=values or None).to_arrow_reader()
        except duckdb.Error as error:
            raise ConfigError(f"the query does not run: {error}") from None


def _refuse_statements(connection: Any, sql: str) -> None:
    """Refuse what is not one query: `SELECT 1) TO 'file'; ...` would end the one around it."""
    kinds = [statement.type.name for statement in connection.extract_statements(sql)]
    if kinds != ["SELECT"]:
        raise ConfigError(f"--sql: give one query; there are: {', '.join(kinds) or 'none'}")


class SparkSQL:
    """Spark SQL; the table may be a folder or a name of the catalog."""

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark

    def answer(self, table: str, question: Question) -> pa.RecordBatchReader:
        from pyspark.errors import AnalysisException, ParseException
        from pyspark.sql import functions as F

        from tfspark.sparkerrors import first_line
        from tfspark.tables import quote, read_table

        df = read_table(self.spark, table)
        question.check(df.columns)
        if question.sql is not None:
            df.createOrReplaceTempView(VIEW)
            try:
                df = self.spark.sql(question.sql)
            except (AnalysisException, ParseException) as error:
                raise ConfigError(f"the query does not run: {first_line(error)}") from None
        # Not SQL text: Delta's parser loses the bound values of spark.sql(..., args=...).
        for column, value in question.where.items():
            df = df.where(F.col(quote(column)).cast("string") == value)
        if question.day:
            df = df.where(F.col("day") == F.lit(question.day))
        orders = [
            F.desc(quote(c.removeprefix("-"))) if c.startswith("-") else F.asc(quote(c))
            for c in question.order_by
        ]
        df = df.orderBy(*orders) if orders else df
        df = df.select(*[quote(c) for c in question.columns]) if question.columns else df
        return _stream(df if question.limit is None else df.limit(question.limit))


def _stream(df: Any) -> pa.RecordBatchReader:
    """A DataFrame's rows, a partition at a time."""
    from pyspark.sql.types import TimestampType

    from tfspark.compat.spark import to_arrow_schema

    schema = to_arrow_schema(df.schema, timezone="UTC")
    names = schema.names
    instants = [field.name for field in df.schema if isinstance(field.dataType, TimestampType)]

    def batches() -> Iterator[pa.RecordBatch]:
        rows: list[dict[str, Any]] = []
        for row in df.toLocalIterator():
            values = dict(zip(names, row, strict=True))
            # Spark gives instants as the local time of this process.
            values |= {name: values[name].astimezone(dt.UTC) for name in instants if values[name]}
            rows.append(values)
            if len(rows) == 10_000:
                yield pa.RecordBatch.from_pylist(rows, schema)
                rows = []
        if rows:
            yield pa.RecordBatch.from_pylist(rows, schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def main(argv: Sequence[str]) -> int:
    """`query --table TABLE ...`; see --help."""
    parser = argparse.ArgumentParser(prog="query", description=__doc__, allow_abbrev=False)
    parser.add_argument("--config", help="take the scored table of this configuration")
    parser.add_argument("--table", help="folder of a Delta table, or a name of Spark's catalog")
    parser.add_argument("--engine", choices=["spark", "duckdb"], default="spark")
    parser.add_argument("--columns", type=_list, default=[], metavar="A,B", help="default: all")
    parser.add_argument("--day", type=as_day, help="YYYY-MM-DD")
    parser.add_argument("--where", action="append", default=[], metavar="COLUMN=VALUE")
    parser.add_argument("--order-by", type=_list, default=[], metavar="A,-B")
    parser.add_argument("--limit", type=int, help="default: 20 on the screen, all into a file")
    parser.add_argument("--sql", help=f"a whole query; the table's name in it is {VIEW}")
    parser.add_argument("--to", metavar="FILE", help="write FILE.csv or FILE.parquet")
    parser.add_argument(
        "--escape-formulas",
        action="store_true",
        help="of FILE.csv: ' before texts that begin as formulas do; default: texts as they are",
    )
    given = parser.parse_args(argv)
    if given.escape_formulas and not given.to:
        raise ConfigError("--escape-formulas is for --to FILE.csv")
    table = given.table or (load_settings(given.config).scored if given.config else None)
    if not table:
        raise ConfigError("query: name the table with --table, or a configuration with --config")
    where = dict(_pair(text) for text in given.where)
    limit = given.limit if given.limit is not None or given.to else 20
    if given.to:
        refuse_overlap(given.to, [table], "--to")
    question = Question(given.columns, given.day, where, given.order_by, limit, given.sql)
    answer = _engine(given.engine).answer(table, question)
    if not given.to:
        show(answer)
        return 0
    rows = save(answer, given.to, given.escape_formulas)
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
