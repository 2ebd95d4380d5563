"""Which columns become which inputs of a model, decided on the driver before any task runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
from pyspark.sql import types as T

from tfspark.compat.spark import arrow_of
from tfspark.errors import SignatureError
from tfspark.registry.resolve import ModelFolder
from tfspark.registry.signature import Signature
from tfspark.tensors import DTYPES, BadRows, TensorSpec, misfit, to_numpy
from tfspark.wording import near

Inputs = Mapping[str, str | Sequence[str] | Mapping[str, Any]]
CONSTANT = "constant"


@dataclass(frozen=True)
class Binding:
    """One input of a model and the columns that feed it, or the value that all rows have.

    Attributes:
        spec: the input's tensor.
        columns: their names in the table; more than one become one tensor; none: a constant.
        stacked: whether the columns were given as a list.
        value: of a constant, a row's.
        whole: whether a constant is one value for the whole batch.
    """

    name: str
    spec: TensorSpec
    columns: tuple[str, ...]
    stacked: bool
    value: Any = None
    whole: bool = False

    def about(self, place: int) -> str:
        """What a message on a column begins with: the input, and the column of several."""
        return f"{self.name} ({self.columns[place]}): " if self.stacked else f"{self.name}: "

    def said(self) -> str:
        """The binding, for people."""
        tensor = f"{self.spec.dtype}, shape {list(self.spec.shape)}"
        return f"{self.name} ({tensor}) <- {', '.join(self.columns) or repr(self.value)[:80]}"


@dataclass(frozen=True)
class Route(Binding):
    """The column that chooses the model of a row; it is no input of a model."""

    def said(self) -> str:
        return f"{self.columns[0]} chooses the model"


def bind(
    model: ModelFolder, schema: T.StructType, inputs: Inputs | None, case_sensitive: bool = False
) -> list[Binding]:
    """Bind every input of a model to columns of a table.

    Args:
        inputs: input → column, → columns that become one tensor, or → `{"constant": value}`; an
            input that is not named is bound to the column of its name, or left out if it may be.
        case_sensitive: whether `age` may not feed the input `Age`; Spark's own rule.

    Raises:
        SignatureError: an input without a column, a column of a type that never fits, a mapping
            that names an input or a column that is not there.
    """
    given = dict(inputs or {})
    table = _Table(model, schema, case_sensitive)
    known = model.signature.inputs
    bound: list[Binding] = []
    wrong = [unknown_input(model.path, name, known) for name in given if name not in known]
    for name, spec in known.items():
        try:
            bound.append(_bind_one(table, name, spec, given.get(name, name), name in given))
        except SignatureError as error:
            wrong.append(error)
    if wrong:
        raise _all_of(table.where, wrong)
    if not any(binding.columns for binding in bound):
        raise SignatureError(f"model {model.path}: no column feeds it; map an input to one")
    return bound


def _all_of(where: str, wrong: Sequence[SignatureError]) -> SignatureError:
    """All mistakes as one error."""
    if len(wrong) == 1:
        return wrong[0]
    lines = [str(error).removeprefix(f"{where}: ") for error in wrong]
    return SignatureError("\n  ".join([f"{where}: {len(wrong)} mistakes:", *lines]))


def constant_of(model: str, name: str, spec: TensorSpec, given: Mapping[str, Any]) -> Any:
    """The value of a row that `{"constant": value}` gives to an input.

    Raises:
        SignatureError: it is no such mapping, or its value does not become the input's tensor.
    """
    if set(given) != {CONSTANT}:
        raise SignatureError(
            f"model {model}: input {name}: a constant is written {{'constant': 0.5}}"
        )
    value = given[CONSTANT]
    try:
        array = pa.array([value])
        if reason := misfit(array.type, spec):
            raise TypeError(reason)
        return to_numpy(array, spec).tolist()[0]
    except BadRows as bad:
        reason = bad.reason
    except (pa.ArrowException, TypeError, ValueError) as error:
        reason = str(error)
    raise SignatureError(
        f"model {model}: input {name} ({spec.dtype}, shape {list(spec.shape)}) cannot take the "
        f"constant {value!r}: {reason}"
    )


def needs_constant(model: str, name: str, spec: TensorSpec) -> SignatureError:
    """The error of an input that no column can feed."""
    return SignatureError(
        f"model {model}: input {name} ({spec.dtype}) is one value for the whole batch, not one a "
        f"row; give it a constant: inputs={{{name!r}: {{'{CONSTANT}': 0.5}}}}"
    )


def unknown_input(model: str, name: str, known: Mapping[str, object]) -> SignatureError:
    """The error of an input that is not there."""
    return SignatureError(
        f"model {model}: has no input {name}; its inputs: {listed(known)}{near(name, known)}"
    )


class _HasOutputs(Protocol):
    @property
    def path(self) -> str: ...

    @property
    def signature(self) -> Signature: ...


def check_outputs(model: _HasOutputs, kept: Sequence[str]) -> None:
    """Refuse outputs that no column can hold, or whose names are taken.

    Raises:
        SignatureError: says which.
    """
    taken, made = {name.lower(): name for name in kept}, dict[str, str]()
    for name, spec in model.signature.outputs.items():
        if spec.dtype not in DTYPES:
            raise SignatureError(
                f"model {model.path}: output {name} is {spec.dtype}, which no column can hold"
            )
        rename = f"outputs={{{name!r}: 'other_name'}}"
        if name.lower() in taken:
            raise SignatureError(
                f"model {model.path}: its output {name} would take the name of the kept column "
                f"{taken[name.lower()]}; name the columns to keep without it: keep=[...], or "
                f"rename the column, or the output: {rename}"
            )
        if name.lower() in made:
            raise SignatureError(
                f"model {model.path}: its outputs {made[name.lower()]} and {name} differ by their "
                f"case alone, which Spark does not tell apart; rename one: {rename}"
            )
        made[name.lower()] = name


@dataclass
class _Table:
    """The table's side of a binding, and what messages say of it."""

    model: ModelFolder
    schema: T.StructType
    case_sensitive: bool

    @property
    def where(self) -> str:
        return f"model {self.model.path}"

    def find(self, column: str) -> str | None:
        if column in self.schema.names:
            return column
        if self.case_sensitive:
            return None
        same = [name for name in self.schema.names if name.lower() == column.lower()]
        return same[0] if len(same) == 1 else None


def _bind_one(table: _Table, name: str, spec: TensorSpec, wanted: Any, named: bool) -> Binding:
    signature, path = table.model.signature, table.model.path
    whole = name in signature.whole
    if isinstance(wanted, Mapping):
        value = constant_of(path, name, spec, wanted)
        return Binding(name, spec, (), False, value, whole)
    if not named and name in signature.defaults and (whole or table.find(name) is None):
        return Binding(name, spec, (), False, signature.defaults[name], whole)
    if whole:
        raise needs_constant(path, name, spec)
    stacked = not isinstance(wanted, str)
    columns = []
    for column in [wanted] if isinstance(wanted, str) else wanted:
        found = table.find(column)
        if found is None:
            raise SignatureError(_missing(table, name, spec, column, named))
        columns.append(found)
    if stacked:
        _check_stack(table, name, spec, columns)
        spec_of_one = spec.of_one()
    else:
        spec_of_one = spec
    for column in columns:
        _check_type(table, name, spec_of_one, column)
    return Binding(name, spec, tuple(columns), stacked)


def _check_stack(table: _Table, name: str, spec: TensorSpec, columns: Sequence[str]) -> None:
    known = [size for size in spec.shape if size is not None]
    size = math.prod(known)
    fits = len(columns) == size if len(known) == len(spec.shape) else len(columns) % size == 0
    open_ends = len(spec.shape) - len(known)
    if not columns or not fits or open_ends > (1 if spec.shape[:1] == (None,) else 0):
        raise SignatureError(
            f"{table.where}: input {name} takes {list(spec.shape)} values a row, the mapping gives "
            f"it {len(columns)} columns"
        )


def _check_type(table: _Table, name: str, spec: TensorSpec, column: str) -> None:
    kind = table.schema[column].dataType
    try:
        reason = misfit(arrow_of(kind), spec)
    except Exception:  # what Spark itself cannot hand to Python
        reason = f"{kind.simpleString()} cannot be handed to a model"
    if reason and isinstance(kind, T.UserDefinedType):
        reason = "make a vector an array: pyspark.ml.functions.vector_to_array"
    if reason and isinstance(kind, T.StructType):
        reason += f"; for its fields as columns: df.select('{column}.*')"
    if reason:
        raise SignatureError(
            f"{table.where}: input {name} ({spec.dtype}, shape {list(spec.shape)}) cannot take the "
            f"column {column} ({kind.simpleString()}): {reason}"
        )


def _missing(table: _Table, name: str, spec: TensorSpec, column: str, named: bool) -> str:
    there = table.schema.names
    said = f"{table.where}: input {name} ({spec.dtype}, shape {list(spec.shape)})"
    if named:
        said += f" is mapped to the column {column}, which the table does not have"
    else:
        said += " has no column of its name"
    inside = [
        field.name
        for field in table.schema
        if isinstance(field.dataType, T.StructType) and column in field.dataType.names
    ]
    if inside:
        said += f" (the column {inside[0]} has such a field: df.select('{inside[0]}.*', ...))"
    many = math.prod(size or 2 for size in spec.shape) > 1
    example = '["f0", "f1", ...]' if many else '"your_column"'
    return (
        f"{said}; the table's columns: {listed(there)}{near(column, there)}; map it: "
        f"inputs={{{name!r}: {example}}}"
    )


def listed(names: Sequence[str] | Mapping[str, object]) -> str:
    """Names for a message, not too many."""
    names = list(names)
    more = f" and {len(names) - 30} more" if len(names) > 30 else ""
    return ", ".join(names[:30]) + more
