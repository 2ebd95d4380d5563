"""From what was seen to what it means: the key, the label, the task, what a model can use."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import pyarrow as pa

from tfspark.errors import ConfigError
from tfspark.starter.facts import Facts
from tfspark.starter.forms import FEW_ODD

_KEY = re.compile(
    r"(^|_)(id|key|uuid|guid|number|no|nr|code|pk)$|(?<=[a-z])(Id|ID|Key|No|Nr)$", re.I
)
_LABEL = re.compile(
    r"^(label|target|class|y|outcome|result|response|churn(ed)?|survived|default(ed)?|fraud"
    r"|click(ed)?|bought|converted|price|median_house_value|sentiment|rating|species|quality)$",
    re.I,
)
_CLASSES = 100
_FEW = 20
_TEXT = 40
"""Characters on average from which text is the last to be a key."""
_KEY_COLUMNS = 8
_KEY_TYPES = ("string", "bigint", "int", "smallint", "tinyint", "date", "timestamp")


@dataclass(frozen=True)
class Guess:
    """What a table is taken for.

    Attributes:
        key: columns that tell rows apart.
        doubled: rows that have the key of another one.
        label: what is to be predicted.
        task: binary, multiclass or regression.
        roles: by column: key, label, feature, time or ignore, and why it is ignored.
    """

    key: tuple[str, ...]
    doubled: int
    label: str
    task: str
    roles: dict[str, tuple[str, str]]


def guess(where: str, columns: Sequence[Facts], label: str | None, key: Sequence[str]) -> Guess:
    """What the columns of a table are.

    Args:
        where: the table, in messages.
        label, key: what the user says of them; without it they are looked for.

    Raises:
        ConfigError: there is no such column, none that can be predicted or learnt from, or rows
            cannot be told apart.
    """
    by_name = {column.name: column for column in columns}
    for name in [*([label] if label else []), *key]:
        if name not in by_name:
            raise ConfigError(
                f"{where}: there is no column {name}; there are: {', '.join(by_name)}"
            )
    if label and label in key:
        raise ConfigError(f"{where}: {label} cannot be the label and in the key")
    usable = [column for column in columns if column.type]
    found = label or _label(where, usable, set(key))
    task = _task(where, by_name[found])
    keys = tuple(key) or _key([c for c in usable if c.name != found])
    if not keys:
        raise ConfigError(
            f"{where}: no column, and no three of them, tell the rows apart; give the table a "
            "column that numbers its rows, or name the columns with --key"
        )
    roles = {c.name: _role(c, keys, found) for c in columns}
    if not {"feature", "time"} & {role for role, _ in roles.values()}:
        raise ConfigError(
            f"{where}: beside the key ({', '.join(keys)}) and the label ({found}) no column is one "
            "that a model can use as it is; a text that is the key is no feature: give the table "
            "a column that numbers its rows; lists need a model of your own (docs/training.md)"
        )
    return Guess(keys, _doubled([by_name[name] for name in keys]), found, task, roles)


def _label(where: str, columns: Sequence[Facts], key: set[str]) -> str:
    measured = ("float", "double")
    fit = [c for c in columns if c.name not in key and c.distinct > 1]
    fit = [c for c in fit if c.type in measured or not c.unique]
    if named := [column for column in fit if _LABEL.match(column.name)]:
        return min(reversed(named), key=lambda column: column.distinct > 2).name
    if fit and fit[-1] is columns[-1] and (fit[-1].number or fit[-1].distinct <= _CLASSES):
        return fit[-1].name
    raise ConfigError(f"{where}: what is to be predicted? Name its column with --label")


def _task(where: str, label: Facts) -> str:
    if label.distinct == 2:
        return "binary"
    if label.distinct < 2:
        raise ConfigError(f"{where}: {label.name} has one value only; nothing can be learnt of it")
    if label.number and (label.distinct > _FEW or label.type in ("float", "double")):
        return "regression"
    if label.distinct <= _CLASSES and not label.type.startswith(("decimal", "array")):
        return "multiclass"
    raise ConfigError(
        f"{where}: {label.name} is {label.type} of {label.distinct:,} different values: neither "
        "classes nor a number; name another column with --label"
    )


def _key(columns: Sequence[Facts]) -> tuple[str, ...]:
    fit = [c for c in columns if c.type in _KEY_TYPES and not c.nulls]
    alone = sorted(
        (c for c in fit if c.unique), key=lambda c: (not _KEY.search(c.name), c.mean > _TEXT)
    )
    if alone:
        return (alone[0].name,)
    # A few rows that have none are bad rows, and so, below, are a few that are there twice.
    few = (c for c in columns if c.type in _KEY_TYPES and c.nulls <= FEW_ODD * c.rows)
    own = [c for c in few if c.distinct == c.rows - c.nulls]
    if own:
        return (min(own, key=lambda c: (not _KEY.search(c.name), c.mean > _TEXT)).name,)
    fit = sorted(fit, key=lambda c: (not _KEY.search(c.name), c.number, -c.distinct))[:_KEY_COLUMNS]
    for count in (2, 3):
        for chosen in combinations(fit, count):
            if not _doubled(chosen):
                return tuple(c.name for c in chosen)
    for column in fit[:1]:
        if _doubled([column]) <= 0.005 * column.rows:
            return (column.name,)
    return ()


def _doubled(key: Sequence[Facts]) -> int:
    rows = pa.table({str(n): column.values for n, column in enumerate(key)})
    return int(rows.num_rows - rows.group_by(rows.column_names).aggregate([]).num_rows)


def _role(column: Facts, keys: Sequence[str], label: str) -> tuple[str, str]:
    if column.name in keys:
        return "key", "text" if column.prose else ""
    if column.name == label:
        return "label", ""
    if column.nulls == column.rows:
        return "ignore", "it is empty"
    if column.type in ("date", "timestamp"):
        return "time", ""
    if column.type.startswith("array") or column.type == "binary":
        return "ignore", "lists and bytes need a model of your own"
    if column.distinct == 1 and not column.nulls:
        return "ignore", "it has one value only"
    if column.prose:
        return "feature", "text"
    if column.type == "string" and column.distinct > 0.5 * (column.rows - column.nulls):
        return "ignore", "nearly every row has a value of its own"
    return "feature", ""
