"""Whether a raw table can be checked against a contract, and what must be unique in it."""

from __future__ import annotations

from pyspark.sql import types as T

from tfspark.contracts.contract import Contract
from tfspark.contracts.types import spark_type
from tfspark.errors import ContractViolation
from tfspark.wording import say

_WHOLE = (T.ByteType, T.ShortType, T.IntegerType, T.LongType)


def columns_fit(raw: T.StructType, contract: Contract, where: str) -> None:
    """Refuse a raw table that no row check can save.

    Raises:
        ContractViolation: a column is missing or has a type that cannot be taken without loss.
    """
    there = {field.name: field.dataType for field in raw}
    for column in contract.columns:
        if column.name not in there:
            named = [name for name in there if not name.startswith("_tfspark")]
            hint, said = _separator(named), ", ".join(named)
            raise ContractViolation(
                say("no_column", where=where, column=column.name, there=said, hint=hint)
            )
        source = there[column.name]
        if not takes(source, spark_type(column.physical_type)):
            raise ContractViolation(
                f"{where}: column {column.name} is {source.simpleString()}, the contract says "
                f"{column.physical_type}: values would be lost; correct the contract or the table"
            )


def _separator(named: list[str]) -> str:
    """What is said of a header that was read as one column."""
    for sign in (";", "\t", "|"):
        if len(named) == 1 and sign in named[0]:
            return say("other_separator", sign=sign.replace("\t", "\\t"))
    return ""


def takes(source: T.DataType, target: T.DataType) -> bool:
    """Whether values of a type can be checked row by row against another without loss."""
    if source == target or isinstance(source, T.StringType):
        return True
    if isinstance(target, T.StringType):
        return not isinstance(source, T.ArrayType | T.StructType | T.MapType | T.BinaryType)
    if isinstance(target, T.FloatType):
        return isinstance(source, T.ByteType | T.ShortType)
    if isinstance(target, T.DoubleType):
        few_digits = isinstance(source, T.DecimalType) and source.precision <= 15
        return few_digits or (
            isinstance(source, T.FloatType | T.NumericType)
            and not isinstance(source, T.DecimalType)
        )
    if isinstance(target, _WHOLE):
        return isinstance(source, T.NumericType)
    if isinstance(target, T.DecimalType):
        return isinstance(source, (*_WHOLE, T.DecimalType))
    if isinstance(target, T.TimestampType | T.DateType):
        return isinstance(source, T.TimestampType | T.DateType | T.TimestampNTZType)
    if isinstance(source, T.ArrayType) and isinstance(target, T.ArrayType):
        return takes(source.elementType, target.elementType) and not isinstance(
            source.elementType, T.StringType
        )
    return False


def unique(contract: Contract) -> dict[str, list[int]]:
    """What must be unique: name for messages → positions of its columns."""
    keys = [i for i, column in enumerate(contract.columns) if column.key]
    single = {column.name: [i] for i, column in enumerate(contract.columns) if column.unique}
    return {", ".join(contract.columns[i].name for i in keys): keys} | single
