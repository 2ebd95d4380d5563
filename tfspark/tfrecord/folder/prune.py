"""Which files of a partitioned folder are read: a condition on partition columns.

    day >= '2026-01-01' and country in ('de', 'at') and hour != 3

Comparisons (`=`, `!=`, `<>`, `<`, `<=`, `>`, `>=`, `in`) of a column with literals, joined by
`and`. A null matches none, as in SQL.
"""

from __future__ import annotations

import datetime as dt
import operator
import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from tfspark.errors import ConfigError
from tfspark.tfrecord.folder.manifest import FileEntry, Folder

_LITERAL = r"'(?:[^']|'')*'|-?\d+|true|false"
_TERM = re.compile(
    r"\s*(`[^`]+`|[^\W\d]\w*)\s*(?:(=|!=|<>|<=|>=|<|>)\s*(" + _LITERAL + r")"
    r"|in\s*\(((?:\s*(?:" + _LITERAL + r")\s*,?)+)\))\s*(?:and\b|$)",
    re.IGNORECASE,
)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def matching(folder: Folder, where: str) -> list[FileEntry]:
    """The files whose partition values fulfil a condition; all for an empty one.

    Raises:
        ConfigError: it is no such condition, or names a column that is no partition column.
    """
    tests = []
    at = 0
    while at < len(where.rstrip()):
        found = _TERM.match(where, at)
        if not found:
            raise ConfigError(
                f"where: cannot read {where[at:].strip()!r}; write comparisons of partition "
                "columns with literals, joined by and: day >= '2026-01-01' and hour in (1, 2)"
            )
        tests.append(_test(folder, found))
        at = found.end()
    return [entry for entry in folder.files if all(test(entry) for test in tests)]


def _test(folder: Folder, found: re.Match[str]) -> Callable[[FileEntry], bool]:
    name = found[1].strip("`")
    if name not in folder.partition_by.names:
        raise ConfigError(
            f"where: {name} is no partition column of {folder.path}; those are "
            f"{folder.partition_by.names}"
        )
    kind = folder.partition_by.field(name).type
    literals = re.findall(_LITERAL, found[3] or found[4], re.IGNORECASE)
    values = [_value(name, literal, kind) for literal in literals]
    if found[2]:
        compare = _OPERATORS[found[2]]
        return lambda e: e.partition[name] is not None and compare(e.partition[name], values[0])
    return lambda e: e.partition[name] in values


def _value(name: str, literal: str, kind: pa.DataType) -> Any:
    text = literal[1:-1].replace("''", "'") if literal.startswith("'") else literal
    try:
        if pa.types.is_integer(kind):
            return int(text)
        if pa.types.is_boolean(kind):
            return {"true": True, "false": False}[text.lower()]
        return dt.date.fromisoformat(text) if pa.types.is_date(kind) else text
    except (ValueError, KeyError):
        raise ConfigError(f"where: {name} is {kind}, {literal} is none") from None
