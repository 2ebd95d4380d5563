"""What changed between two contracts, and whether data and models made with the first still fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tfspark.contracts.column import Column
from tfspark.contracts.contract import Contract
from tfspark.contracts.fit import takes
from tfspark.contracts.types import spark_type
from tfspark.tensors.spec import TensorSpec

_WHOLE = ("tinyint", "smallint", "int", "bigint")
_LOWER = ("minimum", "exclusive_minimum", "min_length", "min_items")
_UPPER = ("maximum", "exclusive_maximum", "max_length", "max_items")
_OTHER = ("pattern", "multiple_of", "format")


@dataclass(frozen=True)
class Change:
    """One difference.

    Attributes:
        column: "" of the whole table.
        data: whether tables that fit the first contract may not fit the second.
        models: whether models made with the first may not take what the second allows.
    """

    column: str
    said: str
    data: bool = False
    models: bool = False

    @property
    def breaking(self) -> bool:
        """Whether something that is there stops to fit."""
        return self.data or self.models


def changes(old: Contract, new: Contract) -> list[Change]:
    """All differences of meaning, in the order of the columns."""
    found = list(_table(old, new))
    there = {column.name: column for column in new.columns}
    for column in old.columns:
        if column.name not in there:
            used = column.role in ("feature", "key", "time")
            found.append(Change(column.name, "is gone", models=used))
        else:
            found += _column(column, there[column.name])
    known = {column.name for column in old.columns}
    for column in new.columns:
        if column.name not in known:
            said = f"is new ({column.physical_type}, {_role(column)}): older tables lack it"
            found.append(Change(column.name, said, data=True))
    return found


def _table(old: Contract, new: Contract) -> Iterator[Change]:
    if old.name != new.name:
        yield Change("", f"the table was {old.name}, is {new.name}")
    if old.keys != new.keys:
        said = f"the key was {', '.join(old.keys)}, is {', '.join(new.keys)}"
        yield Change("", said, data=not set(old.keys) <= set(new.keys))
    was, now = old.table.quarantine, new.table.quarantine
    for name in ("max_share", "max_rows", "least_rows", "most_rows"):
        before, after = getattr(was, name), getattr(now, name)
        if before != after:
            least = name == "least_rows"
            tighter = _tighter(before, after, lower=least)
            yield Change("", f"{_word(name)} was {_said(before)}, is {_said(after)}", data=tighter)


def _column(old: Column, new: Column) -> Iterator[Change]:
    name = new.name
    if old.physical_type != new.physical_type:
        said = f"was {old.physical_type}, is {new.physical_type}"
        yield Change(name, said, data=not _widens(old.physical_type, new.physical_type))
    if _role(old) != _role(new):
        label = "label" in (_role(old), _role(new))
        said = f"was {_role(old)}, is {_role(new)}"
        yield Change(
            name, said, models=label or (_role(new) == "ignore" and _role(old) == "feature")
        )
    must, musted = new.required or new.key, old.required or old.key
    if must != musted:
        said = "may no more be missing" if must else "may be missing"
        null = _tensor(new)
        fed = new.role in ("feature", "time")
        yield Change(
            name,
            said,
            data=must,
            models=not must and fed and _null(old) != _null(new) and null is not None,
        )
    if new.unique != old.unique:
        yield Change(name, "must be unique" if new.unique else "may repeat", data=new.unique)
    yield from _values(old, new)
    yield from _bounds(old, new)
    yield from _tensors(old, new)


def _values(old: Column, new: Column) -> Iterator[Change]:
    was, now = old.valid_values, new.valid_values
    if was == now or (was and now and set(was) == set(now) and old.role != "label"):
        return
    label = new.role == "label"
    if now is None:
        yield Change(new.name, "may have any value", models=label)
        return
    gone = [value for value in was or () if value not in now]
    more = [value for value in now if was is not None and value not in was]
    if was is None:
        yield Change(new.name, f"may only be {_list(now)}", data=True)
    if gone:
        yield Change(new.name, f"may no more be {_list(gone)}", data=True, models=label)
    if more:
        said = "" if label else ": models have not seen it"
        yield Change(new.name, f"may be {_list(more)}{said}", models=label)
    if was is not None and not gone and not more:
        yield Change(new.name, "its classes are in another order")


def _bounds(old: Column, new: Column) -> Iterator[Change]:
    for name in (*_LOWER, *_UPPER, *_OTHER):
        was, now = getattr(old.options, name), getattr(new.options, name)
        if was == now:
            continue
        if name in _OTHER:
            tighter = now is not None
            if name == "multiple_of" and was is not None and now is not None:
                tighter = was % now != 0
        else:
            tighter = _tighter(was, now, lower=name in _LOWER)
        yield Change(new.name, f"{_word(name)} was {_said(was)}, is {_said(now)}", data=tighter)


def _widens(old: str, new: str) -> bool:
    """Whether every value of a type is one of the other."""
    if not takes(spark_type(old), spark_type(new)):
        return False
    small = _WHOLE.index(old) if old in _WHOLE else len(_WHOLE)
    if new in _WHOLE:
        return small < _WHOLE.index(new)
    if new in ("float", "double"):
        return small < (2 if new == "float" else 3) or old == "float"
    return new == "string"


def _tighter(was: object, now: object, lower: bool) -> bool:
    """Whether a bound now allows less."""
    if now is None or was is None:
        return now is not None
    if isinstance(was, str) != isinstance(now, str):
        return True  # a day against a number: nobody knows
    return bool(now > was) if lower else bool(now < was)  # type: ignore[operator]


def _tensors(old: Column, new: Column) -> Iterator[Change]:
    if "ignore" in (old.role, new.role) or "label" in (old.role, new.role):
        return
    was, now = _tensor(old), _tensor(new)
    if was is None or now is None:
        if was is not now:
            yield Change(new.name, "has a tensor in one of both only", models=True)
        return
    for part in ("dtype", "shape", "pad"):
        before, after = was.to_json().get(part), now.to_json().get(part)
        if before != after:
            said = f"its tensor's {part} was {_said(before)}, is {_said(after)}"
            yield Change(new.name, said, models=True)
    if old.tensor.null_value != new.tensor.null_value:
        said = f"null was fed as {_said(old.tensor.null_value)}, is {_said(new.tensor.null_value)}"
        yield Change(new.name, said, models=True)


def _tensor(column: Column) -> TensorSpec | None:
    try:
        return column.tensor_spec()
    except ValueError:
        return None


def _null(column: Column) -> object:
    spec = _tensor(column)
    return None if spec is None else spec.to_json().get("null")


def _role(column: Column) -> str:
    return "key" if column.key else column.role


def _word(name: str) -> str:
    return name.replace("_", " ")


def _said(value: object) -> str:
    return "not set" if value is None else str(value)


def _list(values: object) -> str:
    shown = [str(value) for value in values]  # type: ignore[attr-defined]
    return ", ".join(shown[:6]) + (f" and {len(shown) - 6} more" if len(shown) > 6 else "")
