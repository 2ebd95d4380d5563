"""Several models over one read of a table: side by side, or one model a segment.

    tfspark.score(df, {"champion": "models:/m@champion", "challenger": "models:/m/7"})
    tfspark.score(df, Segments("country", {"DE": "models/de", "FR": "models/fr"}, "models/rest"))

Both stand where a single model stands: the same `signature` for the plans, the same call as
`Scorer` in the tasks. A model that fails does not take the scores of the others with it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import types as T

from tfspark.errors import ConfigError, SignatureError
from tfspark.registry.resolve import ModelFolder, resolve_model
from tfspark.registry.signature import Signature
from tfspark.scoring.model.binding import Binding, Inputs, Route, bind, unknown_input
from tfspark.tensors import TensorSpec, arrow_type

TEXT = TensorSpec("string")
ABOUT = ("model_name", "model_version", "model_digest")
_KEYS = (T.StringType, T.IntegralType, T.BooleanType, T.DateType)


@dataclass(frozen=True)
class Segments:
    """Which model scores which rows.

    Attributes:
        column: whose value chooses; text, an integer, a boolean or a date.
        models: value → folder of a SavedModel or MLflow URI.
        default: the model of all other values and of null; None: they are bad rows.
    """

    column: str
    models: Mapping[Any, str]
    default: str | None = None


Models = str | Mapping[str, str] | Segments


@dataclass(frozen=True)
class Several:
    """What the plans need to know of several models; see `ModelFolder` for the attributes.

    Attributes:
        members: the models, each once.
    """

    members: tuple[ModelFolder, ...]
    signature: Signature
    name: str
    version: str
    path: str
    digest: str
    manifest: dict[str, Any] | None


@dataclass(frozen=True)
class SideBySide(Several):
    """Every row goes to every model.

    Outputs are `NAME_OUTPUT` of each model, then `NAME_error` of each: why it could not score a
    row that another one could, null where it did. A row that none could score is a bad row.

    Attributes:
        names: the members' names.
    """

    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class BySegment(Several):
    """Every row goes to the model of its segment.

    Outputs are the models' and, of the model that scored the row, its name, version and digest.

    Attributes:
        column: the column that holds the segment.
        segments: its values, as text.
        of: for each of them the number of its member.
        default: the number of the member for the rest; None: there is none.
    """

    column: str = ""
    segments: tuple[str, ...] = ()
    of: tuple[int, ...] = ()
    default: int | None = None


AnyModel = ModelFolder | Several


def resolve(
    models: Models, tracking_uri: str | None = None, signature: str | None = None
) -> AnyModel:
    """One model or several, each found and verified.

    Raises:
        ModelNotFound, IntegrityError, UnsafeModelError, SignatureError: see `resolve_model`.
        SignatureError: models of segments differ in their outputs.
        ConfigError: there is no model, or a name is empty.
    """
    if isinstance(models, str):
        return resolve_model(models, tracking_uri, signature)
    if isinstance(models, Segments):
        return _by_segment(models, tracking_uri, signature)
    if not models or not all(models):
        raise ConfigError("model: give each of several models a name: {'champion': 'models/m/1'}")
    found = {name: resolve_model(uri, tracking_uri, signature) for name, uri in models.items()}
    outputs: dict[str, TensorSpec] = {}
    for name, model in found.items():
        for output, spec in model.signature.outputs.items():
            _add(outputs, f"{name}_{output}", spec)
    for name in found:
        _add(outputs, f"{name}_error", TEXT)
    members = tuple(found.values())
    return SideBySide(members, *_common(found, outputs), names=tuple(found))


def about(model: AnyModel) -> dict[str, str]:
    """The columns of a scored table that say which model it was, where all rows have the same.

    One model: `model_name`, `model_version`, `model_digest`. Side by side: these of each, with its
    name before them. By segment: none, as they are outputs.
    """
    if isinstance(model, BySegment):
        return {}
    if isinstance(model, SideBySide):
        return {
            f"{name}_{column}": value
            for name, member in zip(model.names, model.members, strict=True)
            for column, value in about(member).items()
        }
    return dict(zip(ABOUT, (model.name, model.version, model.digest), strict=True))


def bind_any(
    model: AnyModel, schema: T.StructType, inputs: Inputs | None, case_sensitive: bool = False
) -> list[Binding]:
    """`bind` for one model or several: the bindings of all, one model after the other.

    Raises:
        SignatureError: see `bind`; or the column of the segments is not there, or cannot be one.
    """
    if isinstance(model, ModelFolder):
        return bind(model, schema, inputs, case_sensitive)
    for name in inputs or {}:
        if name not in model.signature.inputs:
            raise unknown_input(model.path, name, model.signature.inputs)
    bound: list[Binding] = (
        [_route(model, schema, case_sensitive)] if isinstance(model, BySegment) else []
    )
    for member in model.members:
        own = {n: c for n, c in (inputs or {}).items() if n in member.signature.inputs}
        bound += bind(member, schema, own, case_sensitive)
    return bound


def _by_segment(asked: Segments, tracking_uri: str | None, signature: str | None) -> BySegment:
    if not asked.column or not asked.models:
        raise ConfigError("segments: name the column and a model for at least one of its values")
    rest = [] if asked.default is None else [asked.default]
    uris = list(dict.fromkeys([*asked.models.values(), *rest]))
    members = [resolve_model(uri, tracking_uri, signature) for uri in uris]
    first = members[0]
    for other in members[1:]:
        if _kinds(other) != _kinds(first):
            raise SignatureError(
                f"model {other.path}: its outputs ({_said(other)}) are not those of {first.path} "
                f"({_said(first)}); models of segments have the same outputs"
            )
    outputs = dict(first.signature.outputs)
    for column in ABOUT:
        _add(outputs, column, TEXT)
    texts = tuple(_text(value) for value in asked.models)
    found = {
        text: members[uris.index(uri)]
        for text, uri in zip(texts, asked.models.values(), strict=True)
    }
    if len(found) < len(texts):
        raise ConfigError(f"segments: {', '.join(texts)}: one of them is there twice")
    default = None if asked.default is None else uris.index(asked.default)
    if default is not None:
        found = {**found, "(others)": members[default]}
    return BySegment(
        tuple(members),
        *_common(found, outputs),
        column=asked.column,
        segments=texts,
        of=tuple(uris.index(uri) for uri in asked.models.values()),
        default=default,
    )


def _common(
    found: Mapping[str, ModelFolder], outputs: dict[str, TensorSpec]
) -> tuple[Signature, str, str, str, str, dict[str, Any] | None]:
    """Signature, name, version, path, digest and manifest of several models."""
    inputs: dict[str, TensorSpec] = {}
    for model in found.values():
        inputs = {**model.signature.inputs, **inputs}
    said = {
        what: ", ".join(f"{name}: {getattr(model, what)}" for name, model in found.items())
        for what in ("name", "version", "path")
    }
    sums = "\n".join(f"{name}\t{model.digest}" for name, model in found.items())
    keys = [(model.manifest or {}).get("keys") for model in found.values()]
    manifest = {"keys": keys[0]} if keys[0] and all(k == keys[0] for k in keys) else None
    signature = Signature(inputs, outputs)
    digest = hashlib.sha256(sums.encode()).hexdigest()
    return signature, said["name"], said["version"], said["path"], digest, manifest


def _route(model: BySegment, schema: T.StructType, case_sensitive: bool) -> Route:
    names = [n for n in schema.names if n == model.column]
    if not names and not case_sensitive:
        names = [n for n in schema.names if n.lower() == model.column.lower()]
    if len(names) != 1:
        raise SignatureError(
            f"segments: the table has no column {model.column}; there are: "
            + ", ".join(schema.names[:30])
        )
    kind = schema[names[0]].dataType
    if not isinstance(kind, _KEYS):
        raise SignatureError(
            f"segments: the column {names[0]} is {kind.simpleString()}; it may be text, an "
            "integer, a boolean or a date"
        )
    return Route(names[0], TEXT, (names[0],), False)


def _add(outputs: dict[str, TensorSpec], name: str, spec: TensorSpec) -> None:
    if name in outputs:
        raise SignatureError(f"several models: two outputs would have the name {name}; rename")
    outputs[name] = spec


def _kinds(model: ModelFolder) -> dict[str, Any]:
    return {name: arrow_type(spec) for name, spec in model.signature.outputs.items()}


def _said(model: ModelFolder) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in _kinds(model).items())


def _text(value: Any) -> str:
    """A segment as Spark and Arrow write its value as text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | dt.date) and not isinstance(value, dt.datetime):
        return str(value)
    raise ConfigError(f"segments: {value!r}: a segment is text, an integer, a boolean or a date")


def split(model: Several, feeds: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The feeds of each member, of those of all; the one of the segments is left out."""
    left = list(feeds[1:] if isinstance(model, BySegment) else feeds)
    parts = []
    for member in model.members:
        count = len(member.signature.inputs)
        parts.append(tuple(left[:count]))
        left = left[count:]
    return parts


def pinned_json(asked: Models, model: AnyModel) -> dict[str, Any]:
    """What was asked for as JSON, each model by its version of now."""
    if isinstance(asked, str):
        return {"model": _pinned(asked, model)}
    if isinstance(asked, Segments) and isinstance(model, BySegment):
        models = {
            text: _pinned(uri, model.members[number])
            for text, uri, number in zip(
                model.segments, asked.models.values(), model.of, strict=True
            )
        }
        rest = asked.default
        if rest is not None and model.default is not None:
            rest = _pinned(rest, model.members[model.default])
        return {"column": asked.column, "models": models, "default": rest}
    if isinstance(asked, Mapping) and isinstance(model, Several):
        pairs = zip(asked.items(), model.members, strict=True)
        return {"models": {name: _pinned(uri, member) for (name, uri), member in pairs}}
    raise TypeError(f"{type(asked).__name__}: is no model")


def from_json(described: Mapping[str, Any]) -> Models:
    """What `pinned_json` described."""
    if "model" in described:
        return str(described["model"])
    if "column" in described:
        return Segments(described["column"], described["models"], described["default"])
    return dict(described["models"])


def _pinned(uri: str, model: AnyModel) -> str:
    if uri.startswith("models:/"):
        return f"models:/{model.name}/{model.version}"
    return model.path
