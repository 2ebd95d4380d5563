"""How the values of text files are written: decimal commas, days, words for yes and no."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tfspark.config.textoptions import TextForms
from tfspark.rowchecks.forms import parser_of

MISSING = ("na", "n/a", "#n/a", "nan", "null", "none", "nil", "-", "--", "?", r"\n", ".")
"""Words in lower case that stand for a missing value."""
FEW_ODD = 0.01
"""The share of values that need not be of a column's type: bad rows, later."""

_ENOUGH = 5_000
_MARKS = [(".", ""), (".", ","), (",", "."), (",", ""), (",", " "), (".", "'"), (".", " ")]
_DAYS = ["yyyy-MM-dd", "dd.MM.yyyy", "dd/MM/yyyy", "MM/dd/yyyy", "dd-MM-yyyy", "yyyy/MM/dd"]
_DAYS += ["d.M.yyyy", "d/M/yyyy", "M/d/yyyy", "dd MMM yyyy", "dd-MMM-yyyy"]
_TIMES = [f"{day} {clock}" for day, clock in product(_DAYS, ("HH:mm:ss", "HH:mm"))]
_YES = ("true", "t", "yes", "y", "ja", "oui", "sí", "si", "sim", "wahr", "vrai", "on")
_NO = ("false", "f", "no", "n", "nein", "non", "não", "falsch", "faux", "off")
_USUAL = {"true", "t", "yes", "y", "false", "f", "no", "n"}


def forms_of(rows: pa.Table, marks: bool) -> TextForms:
    """The forms in which most columns of text are numbers, days, or yes and no.

    Args:
        marks: whether numbers may have a decimal comma and thousands.
    """
    texts = [_sample(column) for column in rows.columns if pa.types.is_string(column.type)]
    texts = [text for text in texts if len(text)]
    decimal, thousands = _marks(texts) if marks else (".", "")
    numbers = TextForms(decimal=decimal, thousands=thousands)
    left = [text for text in texts if not _are(text, pa.float64(), numbers)]
    trues, falses = _words(left)
    dates = _patterns(left, pa.date32(), _DAYS, lambda p: TextForms(dates=p))
    left = [text for text in left if not _are(text, pa.date32(), TextForms(dates=dates))]
    instant = pa.timestamp("us", "UTC")
    times = _patterns(left, instant, _TIMES, lambda p: TextForms(timestamps=p))
    return TextForms(dates, times, decimal, thousands, trues, falses)


def options_of(forms: TextForms, missing: Sequence[str]) -> dict[str, Any]:
    """The options of a source that say so; what is usual is left out."""
    said: dict[str, Any] = {}
    if missing:
        said["nullValues"] = sorted(missing)
    if forms.decimal != ".":
        said["decimal"] = forms.decimal
    if forms.thousands:
        said["thousands"] = forms.thousands
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


def _marks(texts: Sequence[pa.Array]) -> tuple[str, str]:
    fit = {
        marks: sum(
            _are(text, pa.float64(), TextForms(decimal=marks[0], thousands=marks[1]))
            for text in texts
        )
        for marks in _MARKS
    }
    return max(_MARKS, key=lambda marks: fit[marks])  # the first of those that are as good


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
        fit = (p for p in known if _are(text, kind, of((p,))))
        if pattern := next(fit, None):
            found[pattern] = None
    if found and plain:
        found["yyyy-MM-dd" if known is _DAYS else "yyyy-MM-dd HH:mm:ss"] = None
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
