"""Values that are written otherwise than `parse` reads them: rewritten, where they have the form.

Dates and times by a pattern, numbers with a decimal comma, thousands or a unit, other words for
true and false. What does not have the form is null, so that its row is bad.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from tfspark.config.textoptions import TextForms, pattern_parts
from tfspark.rowchecks.arrays import only, some
from tfspark.rowchecks.parse import parser

Parse = Callable[[pa.Array], pa.Array]

_SPACE = r"[ \t\x{A0}\x{202F}]"
_MONTHS = [
    *("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
]
_PARTS = {
    "yyyy": "(?P<y>[0-9]{4})",
    "MMM": "(?P<m>[A-Za-z]{3})",
    "MM": "(?P<m>[0-9]{2})",
    "M": "(?P<m>[0-9]{1,2})",
    "dd": "(?P<d>[0-9]{2})",
    "d": "(?P<d>[0-9]{1,2})",
    "HH": "(?P<h>[0-9]{2})",
    "H": "(?P<h>[0-9]{1,2})",
    "mm": "(?P<i>[0-9]{2})",
    "ss": "(?P<s>[0-9]{2})",
    "XXX": "(?P<z>Z|[+-][0-9]{2}:[0-9]{2})",
}


def parser_of(kind: pa.DataType, forms: TextForms) -> Parse:
    """The function that reads text as a type that is no list: see `parse.parser`."""
    t, plain = pa.types, parser(kind)
    if t.is_date(kind) and forms.dates:
        return partial(_times, patterns=forms.dates, parse=plain)
    if t.is_timestamp(kind) and forms.timestamps:
        return partial(_times, patterns=forms.timestamps, parse=plain)
    if t.is_boolean(kind) and forms.trues:
        return partial(_words, forms=forms)
    number = t.is_integer(kind) or t.is_floating(kind) or t.is_decimal(kind)
    if number and (forms.decimal != "." or forms.thousands):
        plain = partial(_numbers, forms=forms, parse=plain)
    if number and forms.units:
        return partial(_measured, units=forms.units, parse=plain)
    return plain


def _words(text: pa.Array, forms: TextForms) -> pa.Array:
    lower = pc.utf8_lower(text)
    yes, no = (pc.is_in(lower, pa.array(words)) for words in (forms.trues, forms.falses))
    return only(yes, pc.or_(yes, no))


def _numbers(text: pa.Array, forms: TextForms, parse: Parse) -> pa.Array:
    point, mark = re.escape(forms.decimal), re.escape(forms.thousands)
    # No thousands begin with 0: 0.512 is no 512.
    whole = rf"(?:[1-9][0-9]{{0,2}}(?:{mark}[0-9]{{3}})+|[0-9]+)" if mark else "[0-9]+"
    form = (
        rf"^[+-]?(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?$|^[+-]?[A-Za-z]+$"
    )
    fits = pc.fill_null(pc.match_substring_regex(text, form), False)
    said = only(text, fits)
    if mark:
        said = pc.replace_substring(said, forms.thousands, "")
    return parse(pc.replace_substring(said, forms.decimal, "."))


def _measured(text: pa.Array, units: tuple[str, ...], parse: Parse) -> pa.Array:
    return parse(without_units(text, units))


def without_units(text: pa.Array, units: Iterable[str]) -> pa.Array:
    """Numbers without the unit before them (-€ 5, €-5) or behind them (5 %), as they are else."""
    # The longest first: of km and m, 5 km has the first.
    one = "|".join(map(re.escape, sorted(units, key=len, reverse=True)))
    before = rf"^([+-]?){_SPACE}*(?:{one}){_SPACE}*([+-]?[0-9.,].*)$"
    behind = rf"^(.*[0-9.,]){_SPACE}*(?:{one})$"
    first = pc.replace_substring_regex(text, before, r"\1\2")
    last = pc.replace_substring_regex(text, behind, r"\1")
    return pc.if_else(pc.match_substring_regex(text, before), first, last)


def _times(text: pa.Array, patterns: tuple[str, ...], parse: Parse) -> pa.Array:
    """Null where patterns give different days."""
    read = [parse(_iso(text, pattern)) for pattern in patterns]
    found = pc.coalesce(*read)
    for other in read:
        if (differ := some(pc.not_equal(found, other))) is not None:
            found = only(found, pc.invert(differ))
    return found


def _iso(text: pa.Array, pattern: str) -> pa.Array:
    """Texts of a pattern as ISO has them, null where one is not."""
    form = "".join(
        _PARTS.get(part)
        or (rf"(?P<f>[0-9]{{{len(part)}}})" if part[0] == "S" else re.escape(part.strip("'")))
        for part in pattern_parts(pattern)
    )
    parts = pc.extract_regex(text, f"^{form}$")
    there = [field.name for field in parts.type]

    def get(name: str) -> pa.Array:
        return parts.field(there.index(name))

    month = get("m")
    if "MMM" in pattern_parts(pattern):
        place = pc.index_in(pc.ascii_lower(month), pa.array(_MONTHS))
        month = pc.add(place, 1).cast(pa.string())
    two = partial(pc.utf8_lpad, width=2, padding="0")
    said = [get("y"), "-", two(month), "-", two(get("d"))]
    if "h" in there:
        said += ["T", two(get("h")), ":", get("i") if "i" in there else "00"]
        said += [":", get("s")] if "s" in there else []
        said += [".", get("f")] if "f" in there else []
        said += [get("z")] if "z" in there else []
    elif {"i", "s", "f", "z"} & {*there}:
        return pa.nulls(len(text), pa.string())
    whole = pc.binary_join_element_wise(*said, "")
    return only(whole, parts.is_valid())
