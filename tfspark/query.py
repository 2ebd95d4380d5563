"""Ask a scored table: by Spark SQL, or without Spark by DuckDB over Delta's files."""

from __future__ import annotations

import argparse
import datetime as dt
import operator
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from tfspark import storage
from tfspark.answers import ENDINGS, save, show
from tfspark.config import Settings, load_settings
from tfspark.config.day import as_day
from tfspark.console import print_summary
from tfspark.deltalog import dataset
from tfspark.errors import ConfigError, SourceMissing, StorageError
from tfspark.flags import Parser, spark_setting
from tfspark.question import VIEW, Compared, Question
from tfspark.sparkrows import arrow_rows
from tfspark.targets import refuse_overlap
from tfspark.wording import say

if TYPE_CHECKING:
    from pyspark.sql import Column, SparkSession

_LOCKED = (
    "enable_external_access = false",
    "python_enable_replacements = false",
    "lock_configuration = true",
)
_HIDDEN = ("model_digest", "run_id")


class Engine(Protocol):
    """Something that answers questions: a stream of Arrow batches, never the whole result."""

    def answer(self, table: str, question: Question) -> pa.RecordBatchReader: ...


class DuckDB:
    """DuckDB over the files that Delta's log names; needs no Spark and no Java."""

    def answer(self, table: str, question: Question) -> pa.RecordBatchReader:
        try:
            import duckdb
            from deltalake import DeltaTable, QueryBuilder
            from deltalake.exceptions import DeltaError
        except ImportError as error:
            raise ConfigError(f"{error.name} is missing: pip install 'tfspark[query]'") from None
        try:
            where = storage.for_delta(table)
            if not DeltaTable.is_deltatable(where):
                raise SourceMissing(
                    f"{table}: no Delta table there (yet); check the path, or run score"
                )
            delta = DeltaTable(where)
            scored = _rows(delta, table)
            if scored is None:
                rows = QueryBuilder().register(VIEW, delta).execute(f"SELECT * FROM {VIEW}")  # noqa: S608
                scored = pa.RecordBatchReader.from_stream(rows)
        except (DeltaError, OSError) as error:
            said = " ".join(re.sub(r"\x1b\[\d+m|\u21b3", "", str(error)).split())
            raise StorageError(f"{table}: {said}; --engine spark may read it") from None
        names = scored.schema.names
        connection = duckdb.connect()
        connection.register(VIEW, scored)
        question.check(names)
        try:
            connection.execute("SET TimeZone = 'UTC'")
            empty = connection.sql(f"SELECT * FROM {VIEW} LIMIT 0")  # noqa: S608
            types = map(str, empty.types)
            sql, values = question.to_sql(dict(zip(empty.columns, types, strict=True)))
            # From here on a query has the view alone: no files, no network, none of our variables.
            for setting in _LOCKED:
                connection.execute(f"SET {setting}")
            if question.sql is not None:
                _refuse_statements(connection, question.sql)
            return connection.sql(sql, params=values or None).to_arrow_reader()
        except duckdb.Error as error:
            raise ConfigError(f"the query does not run: {error}") from None


def _rows(delta: Any, table: str) -> Any:
    """The table for Arrow, of which a query reads the files that it needs; None: it cannot."""
    if "columnMapping" in (delta.protocol().writer_features or []):
        return None  # Arrow's dataset knows nothing of Delta's names and would give nulls
    try:
        return dataset(delta, table)
    except ValueError:  # statistics of days that Python has not
        return None


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
        for test in self._tests(question, df.schema):
            df = df.where(test)
        if question.day:
            df = df.where(F.col("day") == F.lit(question.day))
        orders = [
            F.desc(quote(c.removeprefix("-"))) if c.startswith("-") else F.asc(quote(c))
            for c in question.order_by
        ]
        df = df.orderBy(*orders) if orders else df
        df = df.select(*[quote(c) for c in question.columns]) if question.columns else df
        return arrow_rows(df if question.limit is None else df.limit(question.limit))

    def _tests(self, question: Question, schema: Any) -> Iterator[Column]:
        """The comparisons, with values that can be read as their columns' types."""
        from pyspark.sql import functions as F

        from tfspark.tables import quote

        tests = question.compared
        values = [F.lit(test.value).try_cast(schema[test.column].dataType) for test in tests]
        read = self.spark.range(1).select(*values).collect()[0] if values else ()
        for test, value, found in zip(tests, values, read, strict=True):
            if found is None:
                kind = schema[test.column].dataType.simpleString()
                raise ConfigError(f"{test.said}: the column is {kind}, the value is not")
            yield _SIGNS[test.sign](F.col(quote(test.column)), value)


_SIGNS = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def main(argv: Sequence[str]) -> int:
    """`query --table TABLE ...`; see --help."""
    parser = Parser(prog="query", description=__doc__)
    parser.add_argument("--config", help="take the scored table of this configuration")
    parser.add_argument("--table", help="folder of a Delta table, or a name of Spark's catalog")
    parser.add_argument("--engine", choices=["spark", "duckdb"], default="spark")
    parser.add_argument(
        "--conf", action="append", default=[], metavar="spark.NAME=VALUE", help="of Spark"
    )
    parser.add_argument("--columns", type=_list, default=[], metavar="A,B", help="default: all")
    parser.add_argument("--day", type=_day, metavar="YYYY-MM-DD")
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        help="or !=, <, <=, >, >=; may be repeated: all must hold",
    )
    parser.add_argument("--order-by", type=_list, default=[], metavar="A,-B", help="-B: downwards")
    parser.add_argument("--limit", type=_limit, help="default: 20 on the screen, all into a file")
    parser.add_argument("--sql", help=f"a whole query; the table's name in it is {VIEW}")
    parser.add_argument("--to", metavar="FILE", help=f"write a file: {', '.join(ENDINGS)}")
    parser.add_argument(
        "--escape-formulas",
        action="store_true",
        help="of FILE.csv: ' before texts that begin as formulas do; default: texts as they are",
    )
    given = parser.parse(argv)
    if given.escape_formulas and not given.to:
        raise ConfigError("--escape-formulas is for --to FILE.csv")
    settings = load_settings(given.config) if given.config else None
    conf = (settings.spark if settings else {}) | dict(map(spark_setting, given.conf))
    table = given.table or _table_of(settings)
    limit = given.limit if given.limit is not None or given.to else 20
    if given.to:
        refuse_overlap(given.to, [table], "--to")
    tests = [Compared.read(text) for text in given.where]
    question = Question(given.columns, given.day, {}, given.order_by, limit, given.sql, tests)
    answer = _engine(given.engine, table, conf).answer(table, question)
    with _running():
        if not given.to:
            whole = given.columns or given.sql is not None
            show(answer, hide=() if whole else _HIDDEN)
            return 0
        rows = save(answer, given.to, given.escape_formulas)
    print_summary("query: done", {"table": table, "rows": rows, "file": given.to})
    return 0


def _table_of(settings: Settings | None) -> str:
    if settings is None or not (settings.name or settings.score.output):
        raise ConfigError("query: name the table with --table, or a configuration with --config")
    return settings.scored


@contextmanager
def _running() -> Iterator[None]:
    """What fails while rows come: a cast of `--sql`, say. (DuckDB's errors reach us as Arrow's.)"""
    try:
        yield
    except pa.ArrowException as error:
        raise ConfigError(f"the query does not run: {str(error).splitlines()[0]}") from None


def _engine(name: str, table: str, spark: dict[str, str]) -> Engine:
    """
    Args:
        spark: settings of Spark, of the configuration and `--conf`.
    """
    if name == "duckdb":
        return DuckDB()
    from tfspark.session import open_session

    on_s3 = "://" in table and storage.parse(table).scheme == "s3"
    return SparkSQL(open_session("tfspark query", spark, say=True, stores=on_s3))


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _day(text: str) -> dt.date:
    try:
        return as_day(text)
    except ConfigError:
        raise argparse.ArgumentTypeError(say("date_type")) from None


def _limit(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(say("int_type"))
    return int(text)
