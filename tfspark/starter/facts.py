"""What the rows of a table say of each column: its type, its values, what is missing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tfspark.config.textoptions import TextForms
from tfspark.rowchecks.forms import parser_of, without_units
from tfspark.starter.forms import FEW_ODD, MISSING, is_grouped

_WORDS = ("true", "false", "t", "f", "yes", "no", "y", "n")
_PROSE, _FEW_TEXTS = 5, 20
"""Words on average, and different values, from which text is prose."""
_DIGITS = 15
"""Digits that a double holds whatever they are."""
_TYPES = {
    pa.int64(): "bigint",
    pa.float64(): "double",
    pa.date32(): "date",
    pa.timestamp("us", "UTC"): "timestamp",
}


@dataclass(frozen=True)
class Facts:
    """What was seen of a column.

    Attributes:
        type: of a contract; "" if a contract has none for it.
        rows, nulls, distinct: numbers of rows, of those without a value, of different values.
        common: the most frequent values and how often they are there.
        least, most: of numbers, days and times.
        mean: length of text, in characters.
        words: of texts, on average, and of nearly all.
        odd: values that are not of the type.
        missing: words that stand for a missing value.
        zeros: whether it is text for the zeros that its digits begin with.
        doubt: what may be meant otherwise.
    """

    name: str
    type: str
    rows: int
    nulls: int
    distinct: int
    common: tuple[tuple[Any, int], ...] = ()
    least: Any = None
    most: Any = None
    mean: float = 0.0
    words: tuple[float, int] = (0.0, 0)
    odd: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    zeros: bool = False
    doubt: str = ""
    values: pa.Array = field(repr=False, compare=False, default=None)

    @property
    def number(self) -> bool:
        """Whether a model can take it as a number."""
        return self.type in ("tinyint", "smallint", "int", "bigint", "float", "double")

    @property
    def prose(self) -> bool:
        """Whether it is text that is written, and not a name, a code or a category."""
        mean, _ = self.words
        various = self.distinct > _FEW_TEXTS and self.distinct > 0.1 * (self.rows - self.nulls)
        return self.type == "string" and various and mean >= _PROSE

    @property
    def unique(self) -> bool:
        """Whether every row has a value of its own."""
        return self.distinct == self.rows > 0 and not self.nulls


def facts(
    name: str,
    column: pa.ChunkedArray,
    forms: TextForms,
    nulls: Collection[str] = (),
    spared: Collection[str] = (),
) -> Facts:
    """Look at one column.

    Args:
        nulls: texts that stand for null in all columns.
        spared: texts that cannot, though they look like it.
    """
    array: Any = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.nulls(0)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_large_string(array.type):
        array = array.cast(pa.string())
    if not pa.types.is_string(array.type):
        return _seen(name, array, _physical(array.type))
    if nulls:
        missing = pc.is_in(array, pa.array(sorted(nulls), pa.string()))
        array = pc.if_else(missing, pa.scalar(None, pa.string()), array)
    text = pc.utf8_trim_whitespace(array)
    there = text.drop_null()
    if not len(there):
        return _seen(name, array, "string")
    words = pa.array([*(forms.trues or _WORDS), *forms.falses])
    if pc.all(pc.is_in(pc.utf8_lower(there), words)).as_py():
        return _seen(name, parser_of(pa.bool_(), forms)(text), "boolean")
    zeros = bool(pc.any(pc.match_substring_regex(there, r"^[+-]?0[0-9]")).as_py())
    clash = ""
    for kind, physical in _TYPES.items():
        if zeros and physical in ("bigint", "double"):
            continue
        typed = parser_of(kind, forms)(text)
        bad = pc.and_(text.is_valid(), typed.is_null())
        odd = sorted(set(array.filter(bad).to_pylist()))
        missing = tuple(w for w in odd if w.strip().lower() in MISSING and w not in spared)
        others = tuple(word for word in odd if word not in missing)
        wrong = _count(array, others)
        if typed.null_count < len(typed) and wrong <= FEW_ODD * len(there):
            if physical == "double":
                physical = _decimal(text) or physical
            if physical.endswith(",0)"):
                break  # an id of more digits than a bigint has
            doubt = _doubt(text, typed, physical, forms)
            return _seen(name, typed, physical, odd=others, missing=missing, doubt=doubt)
        held = [word for word in others if word in spared]
        if held and wrong - _count(array, held) <= FEW_ODD * len(there):
            clash = held[0]
    if clash:
        clash = f"{clash} is a value of the key or the label too, so it is none for a missing one"
    return _seen(name, array, "string", zeros=zeros, doubt=clash or _spellings(array))


def _count(texts: pa.Array, words: Sequence[str]) -> int:
    """How many of the texts are one of the words."""
    return int(pc.sum(pc.is_in(texts, pa.array(words, pa.string()))).as_py() or 0)


def _doubt(text: pa.Array, typed: pa.Array, physical: str, forms: TextForms) -> str:
    """What the texts may mean as well; "": nothing."""
    there = text.drop_null()
    if physical in ("date", "timestamp"):
        patterns = forms.dates if physical == "date" else forms.timestamps
        other = tuple(p.translate(str.maketrans("dM", "Md")) for p in patterns if "MMM" not in p)
        swapped = (
            replace(forms, dates=other) if physical == "date" else replace(forms, timestamps=other)
        )
        if other and patterns:
            read = parser_of(typed.type, swapped)(text)
            if read.null_count <= typed.null_count and not read.equals(typed):
                return f"is it {patterns[0]} or {other[0]}? No value tells (source.options)"
        return ""
    bare = without_units(there, forms.units) if forms.units else there
    mark = next((m for m in ".," if m == forms.decimal and is_grouped(bare, m)), "")
    if not mark and forms.thousands == "." and is_grouped(bare, "."):
        one = pc.match_substring_regex(bare, r"^[^.]*\.[^.]*$")
        mark = "." if pc.all(one).as_py() else ""
    if not mark:
        return ""
    first = next(said for said in bare.to_pylist() if mark in said)
    read = "thousands" if mark == forms.thousands else "decimals"
    return f"{first} is read with {read}; is it so? (source.options.decimal, thousands)"


def _spellings(values: pa.Array) -> str:
    """Values that differ in spaces and in the case of letters alone, if there are few."""
    there = values.unique().drop_null().to_pylist()
    if len(there) > _FEW_TEXTS:
        return ""
    alike: dict[str, list[str]] = {}
    for value in sorted(there):
        alike.setdefault(" ".join(value.casefold().split()), []).append(repr(value))
    several = [" and ".join(same) for same in alike.values() if len(same) > 1]
    return f"are {'; '.join(several)} the same? They count as different values" if several else ""


def _decimal(text: pa.Array) -> str:
    """The type of numbers of which a double loses digits; "": it loses none."""
    plain = pc.fill_null(pc.match_substring_regex(text, r"^[+-]?[0-9]*\.?[0-9]*$"), True)
    if not pc.all(plain).as_py():
        return ""
    there = text.drop_null()
    long = there.filter(pc.greater(pc.utf8_length(there), _DIGITS)).to_pylist()
    if all(Decimal(said) == Decimal(repr(float(said))) for said in long):
        return ""
    parts = pc.split_pattern(pc.utf8_ltrim(there, "+-0"), ".")
    whole = pc.max(pc.utf8_length(pc.list_element(parts, 0))).as_py()
    fraction = parts.filter(pc.greater(pc.list_value_length(parts), 1))
    scale = pc.max(pc.utf8_length(pc.list_element(fraction, 1))).as_py() if len(fraction) else 0
    return f"decimal(38,{scale})" if whole + scale <= 38 else ""


def _physical(kind: pa.DataType) -> str:
    t = pa.types
    if t.is_list(kind) or t.is_large_list(kind):
        inner = _physical(kind.value_type)
        return f"array<{inner}>" if inner else ""
    if t.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if t.is_timestamp(kind):
        return "timestamp"
    if t.is_date(kind):
        return "date"
    if t.is_binary(kind) or t.is_large_binary(kind):
        return "binary"
    if t.is_null(kind):
        return "string"
    names = {
        pa.bool_(): "boolean",
        pa.int8(): "tinyint",
        pa.int16(): "smallint",
        pa.int32(): "int",
        pa.int64(): "bigint",
        pa.uint8(): "smallint",
        pa.uint16(): "int",
        pa.uint32(): "bigint",
        pa.float32(): "float",
        pa.float64(): "double",
        pa.string(): "string",
    }
    return names.get(kind, "")


def _seen(name: str, values: pa.Array, physical: str, **more: Any) -> Facts:
    rows, nulls = len(values), values.null_count
    if not physical or pa.types.is_nested(values.type):
        return Facts(name, physical, rows, nulls, 0, **more)
    there = values.drop_null()
    counts = there.value_counts()
    order = pc.sort_indices(counts.field("counts"), sort_keys=[("", "descending")])
    common = tuple(
        (counts.field("values")[i.as_py()].as_py(), counts.field("counts")[i.as_py()].as_py())
        for i in order[:10]
    )
    if pa.types.is_string(values.type):
        more["mean"] = pc.mean(pc.utf8_length(there)).as_py() or 0.0
        counts_of = pc.count_substring_regex(there, r"\S+")
        mean, most = pc.mean(counts_of).as_py() or 0.0, pc.quantile(counts_of, 0.98)[0].as_py()
        more["words"] = (mean, int(most or 0))
    elif not pa.types.is_binary(values.type) and not pa.types.is_boolean(values.type):
        ends = pc.min_max(there)
        more["least"], more["most"] = ends["min"].as_py(), ends["max"].as_py()
    return Facts(name, physical, rows, nulls, len(counts), common=common, values=values, **more)


def told(value: Any) -> str:
    """A value as a comment shows it."""
    if isinstance(value, dt.datetime):
        return value.isoformat(" ", "seconds")
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 24 else f"{text[:23]}…"
