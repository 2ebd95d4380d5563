"""How the values of text files are written: decimal commas, days, words for yes and no."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tfspark.config.textoptions import TextForms
from tfspark.rowchecks.forms import parser_of, without_units

MISSING = ("na", "n/a", "#n/a", "nan", "null", "none", "nil", "-", "--", "?", r"\n", ".")
"""Words in lower case that stand for a missing value."""
FEW_ODD = 0.01
"""The share of values that need not be of a column's type: bad rows, later."""

_ENOUGH = 5_000
_MARKS = [(".", ""), (".", ","), (",", "."), (",", ""), (",", " "), (".", "'"), (".", " ")]
_MARKS += [(",", "\u00a0"), (",", "\u202f"), (".", "\u2019")]
_GROUPED = r"^[+-]?(?:[1-9][0-9]{{0,2}}(?:{0}[0-9]{{3}})+|[0-9]{{1,3}})$"
_MONEY = r"\p{Sc}|EUR|USD|GBP|CHF|JPY|CNY|INR|PLN|SEK|NOK|DKK|CZK|HUF|BRL|CAD|AUD|MXN"
_SIZES = r"[%\x{2030}\x{B0}]|[kcm]?m[2\x{B2}3\x{B3}]?|[km]?g|m?l|km/h"
_BLANK = r"[ \x{A0}\x{202F}]"
_UNIT = (  # other words need a blank: A12 and 12b are no numbers
    rf"^[+-]?(?P<before>{_MONEY})?{_BLANK}?[+-]?[0-9][0-9.,' \x{{2019}}\x{{A0}}\x{{202F}}]*?"
    rf"(?:{_BLANK}?(?P<near>{_MONEY}|{_SIZES})|{_BLANK}(?P<behind>\pL[\pL0-9.]{{0,11}}))?$"
)
_DAYS = ["yyyy-MM-dd", "dd.MM.yyyy", "dd/MM/yyyy", "MM/dd/yyyy", "dd-MM-yyyy", "yyyy/MM/dd"]
_DAYS += ["d.M.yyyy", "d/M/yyyy", "M/d/yyyy", "dd MMM yyyy", "dd-MMM-yyyy"]
_TIMES = [f"{day} {clock}" for day, clock in product(_DAYS, ("HH:mm:ss", "HH:mm"))]
_YES = ("true", "t", "yes", "y", "ja", "oui", "sí", "si", "sim", "wahr", "vrai", "on")
_NO = ("false", "f", "no", "n", "nein", "non", "não", "falsch", "faux", "off")
_USUAL = {"true", "t", "yes", "y", "false", "f", "no", "n"}


def forms_of(rows: pa.Table, marks: bool, comma: str = ",") -> TextForms:
    """The forms in which most columns of text are numbers, days, or yes and no.

    Args:
        marks: whether numbers may have a decimal comma and thousands.
        comma: what is between the fields: who has ; there writes 1.234,5.
    """
    texts = [_sample(column) for column in rows.columns if pa.types.is_string(column.type)]
    texts = [text for text in texts if len(text)]
    units = {unit: n for n, text in enumerate(texts) if (unit := _unit(text))}
    bare = [without_units(text, units) for text in texts]
    decimal, thousands = _marks(bare, comma) if marks else (".", "")
    numbers = TextForms(decimal=decimal, thousands=thousands)
    units = {unit: n for unit, n in units.items() if _are(bare[n], pa.float64(), numbers)}
    numbers = replace(numbers, units=tuple(units))
    left = [text for text in texts if not _are(text, pa.float64(), numbers)]
    trues, falses = _words(left)
    # Where no value tells, who pays with $ writes the month first.
    days, clocks = (
        sorted(known, key=lambda p: p[0] != "M") if "$" in units else known
        for known in (_DAYS, _TIMES)
    )
    dates = _patterns(left, pa.date32(), days, lambda p: TextForms(dates=p))
    left = [text for text in left if not _are(text, pa.date32(), TextForms(dates=dates))]
    instant = pa.timestamp("us", "UTC")
    times = _patterns(left, instant, clocks, lambda p: TextForms(timestamps=p))
    return replace(numbers, dates=dates, timestamps=times, trues=trues, falses=falses)


def is_grouped(text: pa.Array, mark: str) -> bool:
    """Whether all are whole numbers if the mark is between thousands, and it is there."""
    fits = pc.match_substring_regex(text, _GROUPED.format(re.escape(mark)))
    return bool(pc.all(fits).as_py()) and bool(pc.any(pc.match_substring(text, mark)).as_py())


def options_of(forms: TextForms, missing: Sequence[str]) -> dict[str, Any]:
    """The options of a source that say so; what is usual is left out."""
    said: dict[str, Any] = {}
    if missing:
        said["nullValues"] = sorted(missing)
    if forms.decimal != ".":
        said["decimal"] = forms.decimal
    if forms.thousands:
        said["thousands"] = forms.thousands
    if forms.units:
        said["units"] = list(forms.units)
    named: Mapping[str, tuple[str, ...]] = {
        "dateFormat": forms.dates,
        "timestampFormat": forms.timestamps,
        "trueValues": forms.trues,
        "falseValues": forms.falses,
    }
    return said | {name: list(values) for name, values in named.items() if values}


def _sample(column: pa.ChunkedArray) -> pa.Array:
    text = pc.utf8_trim_whitespace(column.combine_chunks().drop_null().slice(0, _ENOUGH))
    if isinstance(text, pa.ChunkedArray):
        text = text.combine_chunks()
    return text.filter(pc.invert(pc.is_in(pc.utf8_lower(text), pa.array(["", *MISSING]))))


def _are(text: pa.Array, kind: pa.DataType, forms: TextForms) -> bool:
    return bool(parser_of(kind, forms)(text).null_count <= FEW_ODD * len(text))


def _unit(text: pa.Array) -> str:
    """What stands before or behind all numbers of a column, always the same; "": nothing."""
    found = pc.extract_regex(text, _UNIT)
    if found.null_count > FEW_ODD * len(text):
        return ""
    there = {
        word.strip()
        for name in ("before", "near", "behind")
        for word in found.drop_null().field(name).unique().to_pylist()
    } - {""}
    return there.pop() if len(there) == 1 else ""


def _marks(texts: Sequence[pa.Array], comma: str) -> tuple[str, str]:
    known = ",." if comma == ";" else ".,"
    mark = known[1]  # 1.234 is 1234 where the decimal mark is the comma, and the other way round

    def fits(text: pa.Array, decimal: str, thousands: str) -> bool:
        if decimal == mark and is_grouped(text, mark):
            return False
        return _are(text, pa.float64(), TextForms(decimal=decimal, thousands=thousands))

    order = [_MARKS[0], *sorted(_MARKS[1:], key=lambda marks: marks[0] == mark)]
    fit = {marks: sum(fits(text, *marks) for text in texts) for marks in order}
    return max(order, key=lambda marks: fit[marks])  # the first of those that are as good


def _patterns(
    texts: Sequence[pa.Array],
    kind: pa.DataType,
    known: Sequence[str],
    of: Callable[[tuple[str, ...]], TextForms],
) -> tuple[str, ...]:
    """The patterns of the columns that are days; none if ISO is enough for all."""
    found: dict[str, None] = {}
    plain = False
    for text in texts:
        if _are(text, kind, TextForms()):
            plain = True
            continue
        odd = {p: parser_of(kind, of((p,)))(text).null_count for p in known}
        best = min(known, key=lambda p: odd[p])
        if odd[best] <= FEW_ODD * len(text):
            found[best] = None
    if found and plain:
        found["yyyy-MM-dd" if kind == pa.date32() else "yyyy-MM-dd HH:mm:ss"] = None
    return tuple(found)


def _words(texts: Sequence[pa.Array]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Words for yes and no, if there are any but the usual ones."""
    there: set[str] = set()
    for text in texts:
        words = set(pc.utf8_lower(text.unique()).to_pylist())
        if len(words) == 2 and words & {*_YES} and words & {*_NO}:
            there |= words
    if there <= _USUAL:
        return (), ()
    there |= _USUAL
    return tuple(w for w in _YES if w in there), tuple(w for w in _NO if w in there)
