"""Options of a text source (CSV, JSON), typed: names as Spark has them, in any case."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tfspark.textblocks import PACKED, is_encoding
from tfspark.wording import distance, say

Option = str | bool | int | float | list[str]

KNOWN: dict[str, tuple[str, tuple[str, ...]]] = {
    "header": ("flag", ("csv",)),
    "columns": ("texts", ("csv",)),
    "sep": ("char", ("csv",)),
    "delimiter": ("char", ("csv",)),
    "quote": ("char or none", ("csv",)),
    "escape": ("char or none", ("csv",)),
    "multiLine": ("flag", ("csv", "json")),
    "encoding": ("encoding", ("csv", "json")),
    "charset": ("encoding", ("csv", "json")),
    "compression": ("compression", ("csv", "json")),
    "nullValue": ("texts", ("csv", "json")),
    "nullValues": ("texts", ("csv", "json")),
    "dateFormat": ("texts", ("csv", "json")),
    "timestampFormat": ("texts", ("csv", "json")),
    "decimal": ("mark", ("csv",)),
    "thousands": ("mark or none", ("csv",)),
    "units": ("texts", ("csv", "json")),
    "trueValues": ("texts", ("csv", "json")),
    "falseValues": ("texts", ("csv", "json")),
    "pathGlobFilter": ("text", ("csv", "json")),
    "recursiveFileLookup": ("flag", ("csv", "json")),
    "modifiedBefore": ("text", ("csv", "json")),
    "modifiedAfter": ("text", ("csv", "json")),
}
"""Name → what its value is, and the formats that have it."""
NEEDLESS = {
    "inferSchema": "option_types",
    "mode": "option_mode",
    "columnNameOfCorruptRecord": "option_mode",
    "enforceSchema": "option_headers",
    "maxColumns": "option_limits",
    "maxCharsPerColumn": "option_limits",
    "ignoreLeadingWhiteSpace": "option_spaces",
    "ignoreTrailingWhiteSpace": "option_spaces",
    "emptyValue": "option_empty",
}
"""Spark's options that are refused, and the text that says why."""
SAME = (("sep", "delimiter"), ("encoding", "charset"), ("nullValue", "nullValues"))
FILES = ("pathGlobFilter", "recursiveFileLookup", "modifiedBefore", "modifiedAfter")
"""Options for Spark, which lists the files."""
_NEAR = 2


@dataclass(frozen=True)
class TextForms:
    """How values are written, where it is not as docs/contracts.md#text has it.

    Attributes:
        dates, timestamps: patterns such as dd/MM/yyyy; none: ISO.
        trues, falses: words in lower case; none: the usual ones.
        units: texts such as €, of which one may stand before or behind a number.
    """

    dates: tuple[str, ...] = ()
    timestamps: tuple[str, ...] = ()
    decimal: str = "."
    thousands: str = ""
    trues: tuple[str, ...] = ()
    falses: tuple[str, ...] = ()
    units: tuple[str, ...] = ()


USUAL = TextForms()


@dataclass(frozen=True)
class TextOptions:
    """How the files of a source are read.

    Attributes:
        multi_line: whether a JSON record may take many lines; None: as the file begins.
        escape: "": the quote is doubled.
        files: options for Spark, which lists the files.
    """

    header: bool = True
    columns: tuple[str, ...] = ()
    comma: str = ","
    quote: str = '"'
    escape: str = ""
    multi_line: bool | None = None
    encoding: str = "utf-8"
    compression: str = "auto"
    nulls: tuple[str, ...] = ()
    forms: TextForms = USUAL
    files: Mapping[str, str] = field(default_factory=dict)


def text_options(format: str, options: Mapping[str, Option]) -> TextOptions:
    """The options of a CSV or JSON source.

    Raises:
        ValueError: an option is not known, or its value is none that it takes.
    """
    given: dict[str, Option] = {}
    for name, value in options.items():
        known = _known(format, name)
        if known in given:
            raise ValueError(say("option_twice", name=name, other=known))
        given[known] = _value(name, KNOWN[known][0], value)
    for one, other in SAME:
        if one in given and other in given:
            raise ValueError(say("option_twice", name=one, other=other))

    def get(name: str, other: str = "", default: Option = "") -> str:
        return str(given.get(name, given.get(other, default)))

    def texts(name: str, other: str = "") -> tuple[str, ...]:
        found = given.get(name, given.get(other, []))
        return tuple(found) if isinstance(found, list) else (str(found),)

    plain = ("true", "false") if format == "json" and "trueValues" in given else ()
    forms = TextForms(
        tuple(map(_pattern, texts("dateFormat"))),
        tuple(map(_pattern, texts("timestampFormat"))),
        get("decimal", default="."),
        get("thousands"),
        tuple(word.lower() for word in texts("trueValues")) + plain[:1],
        tuple(word.lower() for word in texts("falseValues")) + plain[1:],
        tuple(filter(None, (unit.strip() for unit in texts("units")))),
    )
    if forms.decimal == forms.thousands:
        raise ValueError(say("option_marks"))
    if set(forms.trues) & set(forms.falses) or bool(forms.trues) != bool(forms.falses):
        raise ValueError(say("option_words"))
    header, columns = bool(given.get("header", "columns" not in given)), texts("columns")
    if columns and (header or len(set(columns)) < len(columns)):
        raise ValueError(say("option_columns"))
    multi = given.get("multiLine")
    return TextOptions(
        header,
        columns,
        get("sep", "delimiter", ","),
        get("quote", default='"'),
        get("escape"),
        None if multi is None else bool(multi),
        get("encoding", "charset", "utf-8"),
        get("compression", default="auto"),
        texts("nullValue", "nullValues"),
        forms,
        {name: spark_option(given[name]) for name in FILES if name in given},
    )


def forms_of(format: str, options: Mapping[str, Option]) -> TextForms:
    """How a source writes its values."""
    return text_options(format, options).forms if format in ("csv", "json") else USUAL


def spark_options(options: Mapping[str, Option]) -> dict[str, str]:
    """Options for Spark's reader of a format."""
    return {name: spark_option(value) for name, value in options.items()}


def spark_option(value: Option) -> str:
    """A value as Spark writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _known(format: str, name: str) -> str:
    lower = {known.lower(): known for known, (_, formats) in KNOWN.items() if format in formats}
    if name.lower() in lower:
        return lower[name.lower()]
    for needless, why in NEEDLESS.items():
        if name.lower() == needless.lower():
            raise ValueError(say("option_needless", name=name, why=say(why)))
    near = [k for small, k in lower.items() if distance(small, name.lower()) <= _NEAR]
    if near:
        raise ValueError(say("option_near", name=name, format=format, near=near[0]))
    known = ", ".join(lower.values())
    raise ValueError(say("option_unknown", name=name, format=format, known=known))


def _value(name: str, kind: str, value: Option) -> Option:
    if kind == "flag":
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if not isinstance(value, bool):
            raise ValueError(say("option_flag", name=name))
        return value
    if kind == "texts":
        if isinstance(value, bool):
            raise ValueError(say("option_texts", name=name))
        return value if isinstance(value, list) else [str(value)]
    if not isinstance(value, str):
        raise ValueError(say("option_text", name=name))
    if value == r"\t":
        value = "\t"
    empty = kind.endswith("or none") and not value
    char = len(value) == 1 and value.isascii() and value not in "\r\n"
    if kind.startswith("char") and not (char or empty):
        raise ValueError(say("option_char", name=name))
    mark = len(value) == 1 and value not in "+-0123456789eE\r\n"
    if kind.startswith("mark") and not (mark or empty):
        raise ValueError(say("option_mark", name=name))
    if kind == "encoding" and not is_encoding(value):
        raise ValueError(say("option_encoding", name=name, value=value))
    if kind == "compression":
        value = value.lower()
        if value not in (*PACKED, "none", "auto"):
            known = ", ".join(("auto", "none", *PACKED))
            raise ValueError(say("option_compression", name=name, value=value, known=known))
    return value


_LETTERS = re.compile(r"'[^']*'|([A-Za-z])\1*|[^A-Za-z']")
_PARTS = ("yyyy", "MM", "M", "MMM", "dd", "d", "HH", "H", "mm", "ss", "XXX")


def _pattern(text: str) -> str:
    """A date's pattern, of which every part is known, and a day is told by it."""
    parts = pattern_parts(text)
    letters = [part for part in parts if part.isascii() and part.isalpha()]
    odd = [p for p in letters if p not in _PARTS and not re.fullmatch("S{1,6}", p)]
    kinds = sorted(part[0] for part in letters)
    if odd or "".join(parts) != text or len(set(kinds)) < len(kinds) or not {*"yMd"} <= {*kinds}:
        raise ValueError(say("option_pattern", pattern=text))
    return text


def pattern_parts(text: str) -> list[str]:
    """A date's pattern in parts: runs of a letter, texts in quotes, single characters."""
    return [match[0] for match in _LETTERS.finditer(text)]
