"""The rules of a column on its typed values: which values break one, and what is said of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tfspark.contracts.column import Column
from tfspark.rowchecks.arrays import some
from tfspark.rowchecks.parse import bounds_of, parser
from tfspark.rowchecks.patterns import Pattern
from tfspark.rowchecks.words import spelled

Broken = Iterator[tuple[pa.Array, str]]
"""For each rule that is broken: a mask, and what is said behind the value."""
_BEYOND = 10**60
"""More than any type has room for."""


class Rule:
    def broken(self, values: pa.Array) -> Broken:
        raise NotImplementedError


def rules_of(column: Column, kind: pa.DataType) -> list[Rule]:
    """In the order in which reasons are given.

    Raises:
        ValueError: a pattern that no engine here can match.
    """
    rules: list[Rule] = []
    options = column.options
    if column.valid_values is not None:
        rules.append(OneOf.of(column.valid_values, kind))
    if (options.minimum, options.maximum) != (None, None):
        make = Bounds if pa.types.is_floating(kind) else Units.of
        rules.append(make(options.minimum, options.maximum, kind))
    if options.pattern is not None:
        rules.append(Matches(Pattern.of(options.pattern), options.pattern))
    if (options.min_length, options.max_length) != (None, None):
        rules.append(Lengths(options.min_length, options.max_length))
    return rules


@dataclass(frozen=True)
class OneOf(Rule):
    values: pa.Array
    said: str

    @classmethod
    def of(cls, allowed: Sequence[Any], kind: pa.DataType) -> OneOf:
        known = [made for value in allowed if (made := _value(value, kind)) is not None]
        values = pa.concat_arrays(known) if known else pa.array([], kind)
        if pa.types.is_float32(kind):
            exact = [float(value) for value in allowed if isinstance(value, int | float)]
            values = pa.array(exact, pa.float64())  # as for bounds
        return cls(values, " is not one of " + ", ".join(map(spelled, allowed)))

    def broken(self, values: pa.Array) -> Broken:
        if pa.types.is_floating(values.type):
            values = pc.add(values.cast(pa.float64()), 0.0)  # -0.0 is 0.0
        known = pc.is_in(values, self.values)
        if known.true_count + values.null_count == len(values):
            return
        if (mask := some(pc.and_(values.is_valid(), pc.invert(known)))) is not None:
            yield mask, self.said


def _value(value: Any, kind: pa.DataType) -> pa.Array | None:
    """One allowed value with a column's type; None: it can never be one."""
    if pa.types.is_list(kind):
        return None
    if pa.types.is_binary(kind):
        return pa.array([str(value).encode()])
    made = parser(kind)(pa.array([spelled(value)]))
    return None if made.null_count else made


@dataclass(frozen=True)
class Bounds(Rule):
    """Of floats: as doubles; NaN is outside."""

    least: float | None
    most: float | None
    kind: pa.DataType

    def broken(self, values: pa.Array) -> Broken:
        if _within(values, self.least, self.most):
            return
        wide = values.cast(pa.float64())
        nan = pc.is_nan(wide)
        if self.least is not None:
            below = some(pc.or_(pc.less(wide, float(self.least)), nan))
            if below is not None:
                yield below, f" is below the minimum {spelled(self.least)}"
        if self.most is not None:
            above = some(pc.or_(pc.greater(wide, float(self.most)), nan))
            if above is not None:
                yield above, f" is above the maximum {spelled(self.most)}"


def _within(values: pa.Array, least: float | None, most: float | None) -> bool:
    """Whether all are, seen at a glance."""
    if values.null_count or not len(values):
        return False
    numbers = values.to_numpy()
    # NaN is the least and the largest of its array, and no comparison holds for it.
    return (least is None or bool(numbers.min() >= least)) and (
        most is None or bool(numbers.max() <= most)
    )


@dataclass(frozen=True)
class Units(Rule):
    """Of integers and decimals, exactly: bounds in the type itself.

    Attributes:
        sides: the comparison that a value outside passes, with what, and what is said.
    """

    sides: tuple[tuple[str, pa.Scalar, str], ...]

    @classmethod
    def of(cls, minimum: Any, maximum: Any, kind: pa.DataType) -> Units:
        whole = pa.types.is_integer(kind)
        scale = 0 if whole else kind.scale
        nines = 10**kind.precision - 1 if not whole else 0
        lowest, highest = bounds_of(kind) if whole else (-nines, nines)

        def number(units: int) -> pa.Scalar:
            return pa.scalar(units if whole else Decimal(units).scaleb(-scale), kind)

        sides = []
        if minimum is not None and (least := _units(minimum, scale, math.ceil)) > lowest:
            said = f" is below the minimum {spelled(minimum)}"
            if least > highest:  # every value is
                sides.append(("less_equal", number(highest), said))
            else:
                sides.append(("less", number(least), said))
        if maximum is not None and (most := _units(maximum, scale, math.floor)) < highest:
            said = f" is above the maximum {spelled(maximum)}"
            if most < lowest:
                sides.append(("greater_equal", number(lowest), said))
            else:
                sides.append(("greater", number(most), said))
        return cls(tuple(sides))

    def broken(self, values: pa.Array) -> Broken:
        for compare, end, said in self.sides:
            if (mask := some(pc.call_function(compare, [values, end]))) is not None:
                yield mask, said


def _units(bound: float, scale: int, rounded: Callable[[Decimal], int]) -> int:
    """A bound in the last digit of a type."""
    if not math.isfinite(bound):
        return -_BEYOND if bound < 0 else _BEYOND  # Spark sorts NaN above every number
    with localcontext(prec=400, Emax=1000, Emin=-1000):
        return rounded(Decimal(spelled(bound)).scaleb(scale))


@dataclass(frozen=True)
class Matches(Rule):
    pattern: Pattern
    said: str

    def broken(self, values: pa.Array) -> Broken:
        matched = self.pattern.matches(values)
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
