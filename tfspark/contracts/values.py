"""The values that a contract names, in a column's own type: bounds, valid values, nulls."""

from __future__ import annotations

import datetime as dt
import math
import re
import struct
from decimal import Decimal, localcontext
from typing import Any

from tfspark.contracts.types import family
from tfspark.wording import say

WHOLE = "[+-]?[0-9]+"
DECIMAL = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
INFINITE = "(?i:[+-]?inf(?:inity)?)"
TRUE, FALSE = ("t", "true", "y", "yes", "1"), ("f", "false", "n", "no", "0")
_NO_NUMBER = r"|[+-]?\.(?i:inf|nan)"
_TEXTS = ("string", "binary", "date", "timestamp")
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
DATE = _DAY + r"(?:[ T]00:00(?::00(?:\.0+)?)?)?"
TIMESTAMP = (
    _DAY
    + r"(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6}0*)?)?"
    + r"(?: ?(?:Z|UTC|GMT|[+-][0-9]{2}(?::[0-9]{2})?))?)?"
)
BITS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}


def own(value: Any, physical: str) -> Any:
    """A value of a contract as Python has it in a column's type.

    Raises:
        ValueError: it is none of this type.
    """
    kind, text = family(physical), spelled(value)
    try:
        made = _READ[kind](value, text, physical) if kind in _READ else None
    except (ValueError, ArithmeticError):
        made = None
    if made is None:
        raise ValueError(say("no_own_value", value=text, type=physical))
    return made


def written(value: Any, kind: str, text: str | None) -> Any:
    """A value as its author wrote it, for a column of a kind of type.

    Args:
        text: what the file says; None where YAML reads it as text.

    Raises:
        ValueError: a number that YAML reads as another one.
    """
    if value is None or (kind == "boolean" and not isinstance(value, str)):
        return value
    if kind in _TEXTS:
        return value if text is None else text
    if isinstance(value, str) and re.fullmatch(DECIMAL, value) and kind != "boolean":
        text = value
        value = int(value) if re.fullmatch(WHOLE, value) else float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or text is None:
        return value
    if re.match("[+-]?0[0-9_]", text) or not re.fullmatch(DECIMAL + _NO_NUMBER, text):
        raise ValueError(say("odd_number", text=text, value=spelled(value)))
    is_cut = kind == "decimal" and Decimal(text) != Decimal(spelled(value))
    return text if is_cut else value


def spelled(value: Any) -> str:
    """As YAML has it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return value.isoformat(" ") if isinstance(value, dt.datetime) else str(value)


def _text(value: Any, text: str, physical: str) -> Any:
    if not isinstance(value, str):
        return None
    return text.encode() if family(physical) == "binary" else text


def _boolean(value: Any, text: str, physical: str) -> bool | None:
    said = text.lower()
    return said in TRUE if said in (*TRUE, *FALSE) else None


def _whole(value: Any, text: str, physical: str) -> int | None:
    if isinstance(value, float) and value.is_integer():
        number = int(value)
    elif re.fullmatch(WHOLE, text):
        number = int(text)
    else:
        return None
    most = 2 ** (BITS[physical] - 1)
    return number if -most <= number < most else None


def _float(value: Any, text: str, physical: str) -> float | None:
    if isinstance(value, bool) or not re.fullmatch(f"{DECIMAL}|(?i:[+-]?nan)|{INFINITE}", text):
        return None
    number = float(text)
    if physical == "float":
        number = struct.unpack("f", struct.pack("f", number))[0]
    return None if math.isinf(number) and not re.fullmatch(INFINITE, text) else number


def _decimal(value: Any, text: str, physical: str) -> Decimal | None:
    if isinstance(value, bool) or not re.fullmatch(DECIMAL, text):
        return None
    precision, scale = map(int, re.findall("[0-9]+", physical))
    with localcontext(prec=400):
        number = Decimal(text)
        fits = number == number.quantize(Decimal(1).scaleb(-scale))
    return number if fits and abs(number) < Decimal(10) ** (precision - scale) else None


def _date(value: Any, text: str, physical: str) -> dt.date | None:
    return dt.date.fromisoformat(text[:10]) if re.fullmatch(DATE, text) else None


def _timestamp(value: Any, text: str, physical: str) -> dt.datetime | None:
    if not re.fullmatch(TIMESTAMP, text):
        return None
    zoned = re.sub(" ?(?:Z|UTC|GMT)$", "+00:00", text).replace(" +", "+").replace(" -", "-")
    time = dt.datetime.fromisoformat(re.sub(r"(\.[0-9]{1,6})0*(?=$|[+-])", r"\1", zoned))
    return time.astimezone(dt.UTC) if time.tzinfo else time.replace(tzinfo=dt.UTC)


_READ: dict[str, Any] = {
    **dict.fromkeys(("string", "binary"), _text),
    "boolean": _boolean,
    **dict.fromkeys(BITS, _whole),
    **dict.fromkeys(("float", "double"), _float),
    "decimal": _decimal,
    "date": _date,
    "timestamp": _timestamp,
}
