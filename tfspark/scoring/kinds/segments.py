"""Every row to the model of its segment.

tfspark.score(df, Segments("country", {"DE": "models/de", "FR": "models/fr"}, "models/rest"))
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import types as T

from tfspark.errors import ConfigError, SignatureError
from tfspark.registry.resolve import ModelFolder
from tfspark.scoring.kinds.model import ABOUT, TEXT
from tfspark.scoring.kinds.one import One
from tfspark.scoring.kinds.several import Several, add_output, common
from tfspark.scoring.model.binding import Binding, Inputs, Route
from tfspark.scoring.worker.many import SegmentScorer
from tfspark.scoring.worker.predict import Feed
from tfspark.tensors import TensorSpec, arrow_type

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_KEYS = (T.StringType, T.IntegralType, T.BooleanType, T.DateType)


@dataclass(frozen=True)
class Segments:
    """Which model scores which rows.

    Attributes:
        column: the column whose value chooses; text, an integer, a boolean or a date.
        models: value → folder of a SavedModel or MLflow URI.
        default: the model of all other values and of null; None: they are bad rows.
    """

    column: str
    models: Mapping[Any, str]
    default: str | None = None


@dataclass(frozen=True)
class BySegment(Several):
    """Every row goes to the model of its segment.

    Outputs are the models' and, of the model that scored the row, its name, version and digest.

    Attributes:
        column: the column that holds the segment.
        segments: its values, as text.
        numbers: for each of them the number of its member.
        default: the number of the member for the rest; None: there is none.
    """

    column: str
    segments: tuple[str, ...]
    numbers: tuple[int, ...]
    default: int | None

    @classmethod
    def of(cls, asked: Segments, find: Callable[[str], One]) -> BySegment:
        """Find the models that are named.

        Raises:
            ConfigError: no column, no model, a value that is no segment, or one twice.
            SignatureError: the models differ in their outputs.
        """
        if not asked.column or not asked.models:
            raise ConfigError(
                "segments: name the column and a model for at least one of its values"
            )
        rest = [] if asked.default is None else [asked.default]
        uris = list(dict.fromkeys([*asked.models.values(), *rest]))
        members = [find(uri) for uri in uris]
        outputs = outputs_of(members)
        texts = tuple(_text(value) for value in asked.models)
        numbers = tuple(uris.index(uri) for uri in asked.models.values())
        found = {text: members[number] for text, number in zip(texts, numbers, strict=True)}
        if len(found) < len(texts):
            raise ConfigError(f"segments: {', '.join(texts)}: one of them is there twice")
        default = None if asked.default is None else uris.index(asked.default)
        if default is not None:
            found = {**found, "(others)": members[default]}
        return cls(
            *common(found, outputs),
            members=tuple(members),
            column=asked.column,
            segments=texts,
            numbers=numbers,
            default=default,
        )

    @property
    def inputs(self) -> dict[str, TensorSpec]:
        """The segment's column, then the models' inputs."""
        rest = {n: spec for n, spec in self.signature.inputs.items() if n != self.column}
        return {self.column: TEXT, **rest}

    @property
    def arguments(self) -> list[tuple[str, TensorSpec]]:
        return [(self.column, TEXT), *super().arguments]

    def about(self) -> dict[str, str]:
        """None: they are outputs."""
        return {}

    def bind(
        self, schema: T.StructType, inputs: Inputs | None, case_sensitive: bool = False
    ) -> list[Binding]:
        """The column of the segments, then as of several models.

        Raises:
            SignatureError: see `Several`; or the column is not there, or cannot be one.
        """
        self._check(inputs)
        return [
            route("segments", self.column, schema, case_sensitive),
            *self._bound(schema, inputs, case_sensitive),
        ]

    def scorer(self, spark: SparkSession, feeds: Sequence[Feed]) -> SegmentScorer:
        return SegmentScorer(
            self.column,
            self.segments,
            self.numbers,
            self.default,
            tuple((m.name, m.version, m.digest) for m in self.members),
            self._scorers(spark, feeds[1:]),
            self.signature,
        )

    def pinned(self) -> dict[str, Any]:
        uris = [member.pinned_uri for member in self.members]
        pairs = zip(self.segments, self.numbers, strict=True)
        rest = None if self.default is None else uris[self.default]
        models = {text: uris[number] for text, number in pairs}
        return {"column": self.column, "models": models, "default": rest}

    def each(self) -> list[tuple[str, ModelFolder]]:
        pairs = zip(self.segments, self.numbers, strict=True)
        named = [(f"{self.column} = {text}", self.members[number]) for text, number in pairs]
        if self.default is not None:
            named.append(("others", self.members[self.default]))
        return [(name, member.folder) for name, member in named]


def route(what: str, column: str, schema: T.StructType, case_sensitive: bool) -> Route:
    """The column whose value, as text, chooses the model of a row.

    Raises:
        SignatureError: it is not there, or cannot be one.
    """
    names = [n for n in schema.names if n == column]
    if not names and not case_sensitive:
        names = [n for n in schema.names if n.lower() == column.lower()]
    if len(names) != 1:
        raise SignatureError(
            f"{what}: the table has no column {column}; there are: " + ", ".join(schema.names[:30])
        )
    kind = schema[names[0]].dataType
    if not isinstance(kind, _KEYS):
        raise SignatureError(
            f"{what}: the column {names[0]} is {kind.simpleString()}; it may be text, an "
            "integer, a boolean or a date"
        )
    return Route(names[0], TEXT, (names[0],), False)


def outputs_of(members: Sequence[One]) -> dict[str, TensorSpec]:
    """The outputs that all have, and which model a row is of.

    Raises:
        SignatureError: they differ in their outputs.
    """
    first = members[0]
    for other in members[1:]:
        if _outputs(other) != _outputs(first):
            raise SignatureError(
                f"model {other.path}: its outputs ({_said(other)}) are not those of {first.path} "
                f"({_said(first)}); models that share a table have the same outputs"
            )
    outputs = dict(first.signature.outputs)
    for column in ABOUT:
        add_output(outputs, column, TEXT)
    return outputs


def _outputs(model: One) -> dict[str, Any]:
    return {name: arrow_type(spec) for name, spec in model.signature.outputs.items()}


def _said(model: One) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in _outputs(model).items())


def _text(value: Any) -> str:
    """A segment as Spark and Arrow write its value as text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | dt.date) and not isinstance(value, dt.datetime):
        return str(value)
    raise ConfigError(f"segments: {value!r}: a segment is text, an integer, a boolean or a date")
