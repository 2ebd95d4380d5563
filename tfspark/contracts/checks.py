"""Row checks: one pass over the raw table gives every bad row all its reasons."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.window import Window

from tfspark.contracts import values
from tfspark.contracts.column import Column
from tfspark.contracts.contract import Contract
from tfspark.contracts.dateformat import rewriting
from tfspark.contracts.fit import columns_fit, unique
from tfspark.contracts.patterns import anchored
from tfspark.contracts.types import family, spark_type
from tfspark.daycolumn import no_day, with_seconds
from tfspark.tables import CORRUPT, JSON, RAW, REASONS, quote

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql import DataFrame

_TYPED = "_tfspark_typed_"
_TIMES = "_tfspark_times_"
# What Spark's casts take, and more, is taken only in these forms; RowChecks.scala has the same.
_FORMS: dict[type[T.DataType], str] = {
    T.BooleanType: f"(?i)(?:{'|'.join((*values.TRUE, *values.FALSE))})",
    **dict.fromkeys((T.ByteType, T.ShortType, T.IntegerType, T.LongType), values.WHOLE),
    **dict.fromkeys(
        (T.FloatType, T.DoubleType), f"{values.DECIMAL}|(?i:[+-]?nan)|{values.INFINITE}"
    ),
    T.DecimalType: values.DECIMAL,
    T.DateType: values.DATE,
    T.TimestampType: values.TIMESTAMP,
    T.BinaryType: "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?",
    T.ArrayType: r"(?s)\s*\[.*\]\s*",
}


def check(
    df: DataFrame, contract: Contract, where: str | None = None, day_column: str | None = None
) -> DataFrame:
    """Apply a contract to a raw table.

    Args:
        df: the raw table, as `tfspark.tables.read_source` gives it. Strings are parsed to the
            contract's types; typed columns are widened, never narrowed.
        where: the table's name in messages.
        day_column: the column that tells a row's day: a row without one is bad.

    Returns:
        The contract's columns, typed (null where a value is bad); `_tfspark_reasons`, an array of
        every reason why the row is bad, empty for a good row; `_tfspark_raw`, the raw text of a bad
        row, null for a good one. As many rows as came in.

    Raises:
        ContractViolation: a column is missing or has a type that cannot be taken without loss.
    """
    where = where or contract.name
    raw, raw_text = _fields(df, contract)
    columns_fit(raw.schema, contract, where)
    typed = raw.select(
        "*",
        *[
            _typed(column, raw.schema[column.name].dataType).alias(_TYPED + str(i))
            for i, column in enumerate(contract.columns)
        ],
    )
    counted = _count_unique(typed, contract)
    found = _reasons(counted, contract)
    if day_column is not None:
        found.append(no_day(df, day_column))
    reasons: Expression = F.array_compact(F.array(*found))
    if CORRUPT in counted.columns:
        # What was not cut into fields says nothing about its fields.
        broken = F.array(F.lit("the line does not have the fields of the table"))
        reasons = F.when(F.col(CORRUPT).isNotNull(), broken).otherwise(reasons)
    bad = counted.withColumn(REASONS, reasons)
    return bad.select(
        *[F.col(_TYPED + str(i)).alias(c.name) for i, c in enumerate(contract.columns)],
        REASONS,
        F.when(F.size(REASONS) > 0, raw_text).alias(RAW),
    )


def _fields(df: DataFrame, contract: Contract) -> tuple[DataFrame, Expression]:
    """The raw columns by name, and the expression of a row's raw text."""
    if JSON in df.columns:
        return df, F.make_valid_utf8(F.col(JSON))
    text = F.to_json(F.struct(*[F.col(quote(n)) for n in df.columns if n != CORRUPT]))
    if CORRUPT in df.columns:
        text = F.coalesce(F.col(CORRUPT), text)
    return df, F.make_valid_utf8(text)


def _typed(column: Column, source: T.DataType) -> Expression:
    """The value in the contract's type; null where it cannot be."""
    target = spark_type(column.physical_type)
    value = F.col(quote(column.name))
    if source == target:
        return value
    if isinstance(source, T.StringType):
        text = value if isinstance(target, T.BinaryType) else F.trim(value)
        if column.options.format is not None:
            text = _formatted(text, column.options.format, family(column.physical_type))
        return F.when(_is(text, _FORMS[type(target)]), _parsed(text, target))
    cast = value.try_cast(target)
    return F.when(cast.try_cast(source).eqNullSafe(value), cast)


def _formatted(text: Expression, form: str, kind: str) -> Expression:
    """A date or timestamp that is written otherwise, as ISO writes it."""
    pattern, parts = rewriting(form, kind)
    iso = "".join(f"${part}" if isinstance(part, int) else part for part in parts)
    return F.when(_is(text, pattern), F.regexp_replace(text, rf"\A{pattern}\z", iso))


def _is(text: Expression, form: str) -> Expression:
    return text.rlike(rf"\A(?:{form})\z")


def _parsed(text: Expression, target: T.DataType) -> Expression:
    """A text that has the form of a type; null where a digit would be lost."""
    if isinstance(target, T.ArrayType):
        # As a field, so that text behind the list is no JSON.
        object = F.concat(F.lit('{"a":'), text, F.lit("}"))
        return F.from_json(object, T.StructType().add("a", target)).getField("a")
    if isinstance(target, T.BinaryType):
        return F.unbase64(text)
    is_time = isinstance(target, T.TimestampType)
    cast = (with_seconds(text) if is_time else text).try_cast(target)
    if isinstance(target, T.FloatType | T.DoubleType):
        endless = F.abs(cast) == float("inf")
        return F.when(~endless | _is(text, values.INFINITE), cast)
    if isinstance(target, T.DecimalType):
        return F.when(_fraction(text) <= target.scale, cast)
    return cast


def _fraction(text: Expression) -> Expression:
    """How many digits of a decimal stand behind its point, zeros at the end not counted."""
    digits = F.regexp_replace(F.regexp_replace(text, "[eE].*", ""), "[^0-9]", "")
    kept = F.length(F.regexp_replace(digits, "0+$", ""))
    power = F.coalesce(F.regexp_extract(text, "[eE](.*)", 1).try_cast("int"), F.lit(0))
    behind = F.length(F.regexp_extract(text, r"\.([0-9]*)", 1))
    return F.when(kept == 0, 0).otherwise(behind - power - F.length(digits) + kept)


def _count_unique(df: DataFrame, contract: Contract) -> DataFrame:
    """How many rows share the key, and each unique column's value: the only shuffles."""
    for name, columns in unique(contract).items():
        shared = [F.col(_TYPED + str(i)) for i in columns]
        complete = shared[0].isNotNull()
        for value in shared[1:]:
            complete &= value.isNotNull()
        # Rows without a complete key are spread, not gathered in one partition.
        spread = F.when(~complete, F.monotonically_increasing_id())
        times = F.count("*").over(Window.partitionBy(*shared, spread))
        df = df.withColumn(_TIMES + name, F.when(complete, times))
    return df


def _reasons(df: DataFrame, contract: Contract) -> list[Expression]:
    reasons: list[Expression] = []
    for i, column in enumerate(contract.columns):
        value = F.col(_TYPED + str(i))
        for broken, *said in _column_checks(column, F.col(quote(column.name)), value):
            reasons.append(F.when(broken, F.concat(F.lit(f"{column.name}: "), *said)))
    for name in unique(contract):
        times = F.col(quote(_TIMES + name))
        text = F.concat(F.lit(f"{name}: there "), times.cast("string"), F.lit(" times"))
        reasons.append(F.when(times > 1, text))
    return reasons


def _column_checks(
    column: Column, raw: Expression, value: Expression
) -> list[tuple[Expression, ...]]:
    """(is it broken, what to say of it ...) for every check of one column."""
    kind = family(column.physical_type)
    shown = F.substring(F.make_valid_utf8(raw.cast("string")), 1, 100)
    given = raw.isNotNull()
    if kind != "string":
        # An empty field of a text file is no value of any other type.
        given &= F.trim(raw.cast("string")) != "" if kind != "binary" else F.lit(True)
    checks: list[tuple[Expression, ...]] = [
        (given & value.isNull(), shown, F.lit(f" is not {column.physical_type}"))
    ]
    if column.required or column.key:
        checks.append((~given, F.lit("null")))
    if kind == "string":
        damaged = ~F.is_valid_utf8(raw.cast("string"))
        checks.append((damaged, shown, F.lit(" is not UTF-8")))
    if column.valid_values is not None:
        allowed = F.concat_ws(", ", *map(_text, column.valid_values))
        known = value.isin(*[_own(one, column) for one in column.valid_values])
        checks.append((value.isNotNull() & ~known, shown, F.lit(" is not one of "), allowed))
    options = column.options
    # Spark sorts NaN above every number, so the upper bounds refuse NaN too.
    nan = _is_nan(kind, value)
    if (end := options.minimum) is not None:
        below = (value < _own(end, column)) | nan
        checks.append((below, shown, F.lit(" is below the minimum "), _text(end)))
    if (end := options.exclusive_minimum) is not None:
        below = (value <= _own(end, column)) | nan
        checks.append((below, shown, F.lit(" is not above "), _text(end)))
    if (end := options.maximum) is not None:
        above = value > _own(end, column)
        checks.append((above, shown, F.lit(" is above the maximum "), _text(end)))
    if (end := options.exclusive_maximum) is not None:
        above = value >= _own(end, column)
        checks.append((above, shown, F.lit(" is not below "), _text(end)))
    if options.multiple_of is not None:
        rest = value % F.lit(options.multiple_of)
        checks.append((rest != 0, shown, F.lit(f" is no multiple of {options.multiple_of}")))
    if options.pattern is not None:
        misses = ~_matching(options.pattern)(value)
        checks.append((misses, shown, F.lit(f" does not match {options.pattern}")))
    if options.min_length is not None:
        short = F.length(value) < options.min_length
        checks.append((short, shown, F.lit(f" is shorter than {options.min_length}")))
    if options.max_length is not None:
        long = F.length(value) > options.max_length
        checks.append((long, shown, F.lit(f" is longer than {options.max_length}")))
    if options.min_items is not None:
        few = F.size(value) < options.min_items
        checks.append((few, shown, F.lit(f" has less than {options.min_items} items")))
    if options.max_items is not None:
        many = F.size(value) > options.max_items
        checks.append((many, shown, F.lit(f" has more than {options.max_items} items")))
    return checks


def _own(value: object, column: Column) -> Expression:
    """A value of the contract in the column's own type."""
    own = values.own(value, column.physical_type)
    if isinstance(own, bytes):
        return F.lit(bytearray(own))
    return F.lit(own).cast(spark_type(column.physical_type))


def _matching(pattern: str) -> Callable[[Expression], Expression]:
    """In Python, by RE2: Java's engine ends the JVM at long values, or takes for ever."""
    whole = anchored(pattern)

    def matches(texts: pa.Array) -> pa.Array:
        return pc.match_substring_regex(texts, whole)

    # As objects: Spark reads what kind of function it is from them.
    matches.__annotations__ = {"texts": pa.Array, "return": pa.Array}
    udf: Callable[[Expression], Expression] = F.arrow_udf(matches, "boolean")  # type: ignore[attr-defined]
    return udf


def _text(value: object) -> Expression:
    """As Spark writes it, and so in every language."""
    return F.lit(value).cast("string")


def _is_nan(kind: str, value: Expression) -> Expression:
    return F.isnan(value) if kind in ("float", "double") else F.lit(False)
