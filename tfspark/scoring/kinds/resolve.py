"""The factory: from what a user names to what is scored. Only here the kind of model is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tfspark.errors import ConfigError
from tfspark.registry.resolve import resolve_model
from tfspark.scoring.kinds.model import AnyModel
from tfspark.scoring.kinds.one import One
from tfspark.scoring.kinds.segments import BySegment, Segments
from tfspark.scoring.kinds.share import ByShare, Share
from tfspark.scoring.kinds.sidebyside import SideBySide
from tfspark.scoring.model.outputs import Outputs, check_asked, with_outputs

Models = str | Mapping[str, str] | Segments | Share


def resolve(
    models: Models,
    tracking_uri: str | None = None,
    signature: str | None = None,
    outputs: Outputs | None = None,
) -> AnyModel:
    """One model or several, each found and verified.

    Args:
        outputs: what the columns of outputs are called, see `Outputs`; of several models each.

    Raises:
        ModelNotFound, IntegrityError, UnsafeModelError, SignatureError: see `resolve_model`.
        SignatureError: models of segments differ in their outputs.
        ConfigError: there is no model, or a name is empty.
    """

    known: dict[str, str] = {}

    def find(uri: str) -> One:
        found = resolve_model(uri, tracking_uri, signature)
        known.update(dict.fromkeys(found.signature.outputs, found.path))
        return One.of(with_outputs(found, outputs), uri)

    made = _made(models, find)
    check_asked(outputs, made.path, known)
    return made


def _made(models: Models, find: Callable[[str], One]) -> AnyModel:
    if isinstance(models, str):
        return find(models)
    if isinstance(models, Segments):
        return BySegment.of(models, find)
    if isinstance(models, Share):
        return ByShare.of(models, find)
    if not models or not all(models):
        raise ConfigError("model: give each of several models a name: {'champion': 'models/m/1'}")
    return SideBySide.of({name: find(uri) for name, uri in models.items()})


def from_settings(
    model: str | Mapping[str, str], segment_column: str, segment_default: str
) -> Models:
    """What the settings of a job name.

    Raises:
        ConfigError: a column of segments, and no model for each of them.
    """
    if not segment_column:
        return model
    if not isinstance(model, Mapping):
        raise ConfigError("score.segment_column: score.model must be a mapping, value: model")
    return Segments(segment_column, model, segment_default or None)


def uris(model: str | Mapping[str, str]) -> list[str]:
    """Every model that the settings of a job name."""
    return list(model.values()) if isinstance(model, Mapping) else [model]


def from_json(described: Mapping[str, Any]) -> Models:
    """What `AnyModel.pinned` described."""
    if "model" in described:
        return str(described["model"])
    if "column" in described:
        return Segments(described["column"], described["models"], described["default"])
    if "salt" in described:
        first, second = str(described["first"]), str(described["second"])
        keys = tuple(described["keys"])
        return Share(first, second, float(described["share"]), str(described["salt"]), keys)
    return dict(described["models"])
