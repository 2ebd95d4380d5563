"""Row checks: one pass over the raw table gives every bad row all its reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.window import Window

from tfspark.contracts.column import Column
from tfspark.contracts.contract import Contract
from tfspark.contracts.fit import columns_fit, unique
from tfspark.contracts.types import family, spark_type
from tfspark.daycolumn import no_day
from tfspark.tables import CORRUPT, JSON, RAW, REASONS, quote

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql import DataFrame

_TYPED = "_tfspark_typed_"
_TIMES = "_tfspark_times_"
_NOT_UTF8 = "\ufffd"
# What Spark's casts take, and more, is taken only in these forms; RowChecks.scala has the same.
_WHOLE = "[+-]?[0-9]+"
_DECIMAL = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_INFINITE = "(?i)[+-]?inf(?:inity)?"
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_FORMS: dict[type[T.DataType], str] = {
    T.BooleanType: "(?i)(?:t|true|y|yes|1|f|false|n|no|0)",
    **dict.fromkeys((T.ByteType, T.ShortType, T.IntegerType, T.LongType), _WHOLE),
    **dict.fromkeys((T.FloatType, T.DoubleType), f"{_DECIMAL}|(?i)[+-]?nan|{_INFINITE}"),
    T.DecimalType: _DECIMAL,
    T.DateType: _DAY + r"(?:[ T]00:00(?::00(?:\.0+)?)?)?",
    T.TimestampType: _DAY
    + r"(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6}0*)?)?"
    + r"(?: ?(?:Z|UTC|GMT|[+-][0-9]{2}(?::[0-9]{2})?))?)?",
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
    if df.columns == [JSON]:
        # In brackets, so that text behind an object is no JSON.
        inside = F.concat(F.lit("["), F.col(JSON), F.lit("]"))
        found = F.from_json(inside, "array<map<string,string>>", {"allowSingleQuotes": "false"})
        parsed = F.when(F.size(found) == 1, F.get(found, F.lit(0)))
        fields = [parsed.getItem(c.name).alias(c.name) for c in contract.columns]
        # from_json gives an empty map or null for what is no object.
        broken = F.when(parsed.isNull() | (F.size(parsed) == 0), F.col(JSON)).alias(CORRUPT)
        return df.select(JSON, *fields, broken), F.col(JSON)
    text = F.to_json(F.struct(*[F.col(quote(n)) for n in df.columns if n != CORRUPT]))
    if CORRUPT in df.columns:
        text = F.coalesce(F.col(CORRUPT), text)
    return df, text


def _typed(column: Column, source: T.DataType) -> Expression:
    """The value in the contract's type; null where it cannot be."""
    target = spark_type(column.physical_type)
    value = F.col(quote(column.name))
    if source == target:
        return value
    if isinstance(source, T.StringType):
        text = value if isinstance(target, T.BinaryType) else F.trim(value)
        return F.when(_is(text, _FORMS[type(target)]), _parsed(text, target))
    cast = value.try_cast(target)
    return F.when(cast.try_cast(source).eqNullSafe(value), cast)


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
    cast = text.try_cast(target)
    if isinstance(target, T.FloatType | T.DoubleType):
        endless = F.abs(cast) == float("inf")
        return F.when(~endless | _is(text, _INFINITE), cast)
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
        values = [F.col(_TYPED + str(i)) for i in columns]
        complete = values[0].isNotNull()
        for value in values[1:]:
            complete &= value.isNotNull()
        # Rows without a complete key are spread, not gathered in one partition.
        spread = F.when(~complete, F.monotonically_increasing_id())
        times = F.count("*").over(Window.partitionBy(*values, spread))
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
    shown = F.substring(raw.cast("string"), 1, 100)
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
        damaged = raw.contains(_NOT_UTF8) | ~F.is_valid_utf8(raw.cast("string"))
        checks.append((damaged, shown, F.lit(" is not UTF-8")))
    if column.valid_values is not None:
        allowed = F.concat_ws(", ", *map(_text, column.valid_values))
        known = value.isin(*column.valid_values)
        checks.append((value.isNotNull() & ~known, shown, F.lit(" is not one of "), allowed))
    options = column.options
    if options.minimum is not None:
        below = (value < options.minimum) | _is_nan(kind, value)
        least = (F.lit(" is below the minimum "), _text(options.minimum))
        checks.append((below, shown, *least))
    if options.maximum is not None:
        # Spark sorts NaN above every number, so this refuses NaN too.
        above = value > options.maximum
        most = (F.lit(" is above the maximum "), _text(options.maximum))
        checks.append((above, shown, *most))
    if options.pattern is not None:
        misses = ~value.rlike(rf"\A(?:{options.pattern})\z")
        checks.append((misses, shown, F.lit(f" does not match {options.pattern}")))
    if options.min_length is not None:
        short = F.length(value) < options.min_length
        checks.append((short, shown, F.lit(f" is shorter than {options.min_length}")))
    if options.max_length is not None:
        long = F.length(value) > options.max_length
        checks.append((long, shown, F.lit(f" is longer than {options.max_length}")))
    return checks


def _text(value: object) -> Expression:
    """As Spark writes it, and so in every language."""
    return F.lit(value).cast("string")


def _is_nan(kind: str, value: Expression) -> Expression:
    return F.isnan(value) if kind in ("float", "double") else F.lit(False)
