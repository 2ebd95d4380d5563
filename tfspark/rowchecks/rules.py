"""The rules of a column on its typed values: which values break one, and what is said of them."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tfspark.contracts.column import Column
from tfspark.contracts.patterns import anchored
from tfspark.contracts.values import own
from tfspark.rowchecks.arrays import is_number, numpy_of, some, with_hidden
from tfspark.rowchecks.words import spelled

Broken = Iterator[tuple[pa.Array, str]]
"""For each rule that is broken: a mask, and what is said behind the value."""
_SIDES = {
    "minimum": ("less", "is below the minimum"),
    "exclusive_minimum": ("less_equal", "is not above"),
    "maximum": ("greater", "is above the maximum"),
    "exclusive_maximum": ("greater_equal", "is not below"),
}
"""A bound → the comparison that a value outside passes, and what is said."""


class Rule:
    def broken(self, values: pa.Array) -> Broken:
        raise NotImplementedError


def rules_of(column: Column, kind: pa.DataType) -> list[Rule]:
    """In the order in which reasons are given."""
    rules: list[Rule] = []
    options, physical = column.options, column.physical_type
    if column.valid_values is not None:
        allowed = pa.array([own(value, physical) for value in column.valid_values], kind)
        said = ", ".join(map(spelled, column.valid_values))
        rules.append(OneOf(allowed, f" is not one of {said}"))
    sides = [
        (compare, pa.scalar(own(bound, physical), kind), f" {said} {spelled(bound)}")
        for name, (compare, said) in _SIDES.items()
        if (bound := getattr(options, name)) is not None
    ]
    if sides:
        rules.append(Bounds(tuple(sides)))
    if options.multiple_of is not None:
        rules.append(MultipleOf(options.multiple_of))
    if options.pattern is not None:
        rules.append(Matches(anchored(options.pattern), options.pattern))
    if (options.min_length, options.max_length) != (None, None):
        rules.append(Lengths(options.min_length, options.max_length))
    if (options.min_items, options.max_items) != (None, None):
        rules.append(Items(options.min_items, options.max_items))
    return rules


@dataclass(frozen=True)
class OneOf(Rule):
    values: pa.Array
    said: str

    def broken(self, values: pa.Array) -> Broken:
        if pa.types.is_floating(values.type):
            values = pc.add(values, pa.scalar(0.0, values.type))  # -0.0 is 0.0
        known = pc.is_in(values, self.values)
        if known.true_count + values.null_count == len(values):
            return
        if (mask := some(pc.and_(values.is_valid(), pc.invert(known)))) is not None:
            yield mask, self.said


@dataclass(frozen=True)
class Bounds(Rule):
    """In the column's own type; NaN is outside of all of them."""

    sides: tuple[tuple[str, pa.Scalar, str], ...]

    def broken(self, values: pa.Array) -> Broken:
        floating = pa.types.is_floating(values.type)
        if self._within(values):
            return
        for compare, end, said in self.sides:
            outside = pc.call_function(compare, [values, end])
            if floating:
                outside = pc.or_(outside, pc.is_nan(values))
            if (mask := some(outside)) is not None:
                yield mask, said

    def _within(self, values: pa.Array) -> bool:
        """Whether all are, seen at a glance, and what lies under nulls too: it may be anything."""
        if not len(values) or not is_number(values.type):
            return False
        numbers = with_hidden(values)
        # NaN is the least and the largest of its array, and no comparison holds for it.
        low, high = numbers.min(), numbers.max()
        inside = {
            "less": (low, operator.ge),
            "less_equal": (low, operator.gt),
            "greater": (high, operator.le),
            "greater_equal": (high, operator.lt),
        }
        return all(
            bool(inside[compare][1](inside[compare][0], end.as_py()))
            for compare, end, _ in self.sides
        )


@dataclass(frozen=True)
class MultipleOf(Rule):
    number: int

    def broken(self, values: pa.Array) -> Broken:
        rest = pa.array(numpy_of(values).astype("int64") % self.number != 0)
        if (mask := some(pc.and_(rest, values.is_valid()))) is not None:
            yield mask, f" is no multiple of {self.number}"


@dataclass(frozen=True)
class Matches(Rule):
    pattern: str
    said: str

    def broken(self, values: pa.Array) -> Broken:
        matched = pc.match_substring_regex(values, self.pattern)
        if matched.true_count + values.null_count == len(values):
            return
        if (mask := some(pc.invert(matched))) is not None:
            yield mask, f" does not match {self.said}"


@dataclass(frozen=True)
class Lengths(Rule):
    """In characters, whatever bytes they take."""

    least: int | None
    most: int | None

    def broken(self, values: pa.Array) -> Broken:
        lengths = pc.utf8_length(values)
        ends = pc.min_max(lengths)
        shortest, longest = ends["min"].as_py(), ends["max"].as_py()
        if shortest is None:
            return
        if self.least is not None and shortest < self.least:
            yield some(pc.less(lengths, self.least)), f" is shorter than {self.least}"
        if self.most is not None and longest > self.most:
            yield some(pc.greater(lengths, self.most)), f" is longer than {self.most}"


@dataclass(frozen=True)
class Items(Rule):
    """Of lists."""

    least: int | None
    most: int | None

    def broken(self, values: pa.Array) -> Broken:
        lengths = pc.list_value_length(values)
        if self.least is not None and (few := some(pc.less(lengths, self.least))) is not None:
            yield few, f" has less than {self.least} items"
        if self.most is not None and (many := some(pc.greater(lengths, self.most))) is not None:
            yield many, f" has more than {self.most} items"
