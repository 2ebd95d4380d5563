"""Rows to compare a model with: of its dataset where it is there, else made up."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from tfspark import storage
from tfspark.config import Settings
from tfspark.errors import ConfigError
from tfspark.registry.resolve import ModelFolder
from tfspark.registry.signature import Signature
from tfspark.tensors import Array, TensorSpec, numpy_dtype
from tfspark.training.loop.work import Parts, Spec

_WORDS = ("", "a", "yes", "no", "1", "0.5", "some words of a text", "ä")
_OPEN = 3
"""Values in a dimension of any size."""


def parts_of(model: ModelFolder, settings: Settings) -> Parts:
    """What the model was trained from.

    Raises:
        ConfigError: that is not known, or not there.
    """
    said = model.manifest or {}
    recipe, dataset = said.get("recipe"), said.get("dataset")
    if not isinstance(recipe, dict) or not isinstance(dataset, dict):
        raise ConfigError(
            f"model {model.path}: tfspark has not trained it, and a SavedModel holds graphs and "
            "weights but no layers of Keras, so none can be made of it. Save it with Keras where "
            "it is trained: model.save('model.keras')"
        )
    name, version = str(dataset.get("name")), str(dataset.get("version"))
    folder = storage.join(settings.warehouse, "datasets", name, version)
    spec = Spec.from_json(
        {
            "dataset": folder,
            "features": recipe["features"],
            "model": recipe["model"],
            "training": recipe["training"],
            "checkpoints": "",
            "tensorboard": None,
            "batch": 1,
            "rate": 0.0,
        }
    )
    try:
        parts = Parts(spec)
    except ConfigError as error:
        raise ConfigError(
            f"model {model.path}: its layers are built with the statistics of its dataset, {name} "
            f"{version}: {error}. Give --warehouse or --config, where it is"
        ) from None
    if parts.dataset.digest != dataset.get("digest"):
        raise ConfigError(
            f"model {model.path}: {folder} is another dataset than the one that it was trained "
            f"with ({parts.dataset.digest[:12]}, not {str(dataset.get('digest'))[:12]})"
        )
    return parts


def rows_of(model: ModelFolder, settings: Settings, count: int) -> tuple[dict[str, Array], str]:
    """Rows of the training split, or made up; and what is said of them."""
    from tfspark.training.readers.encoder import head

    try:
        parts = parts_of(model, settings)
    except ConfigError:
        return _made_up(model.signature, count)
    found = head(parts.dataset, parts.encoder, count)
    if set(found) != set(model.signature.inputs):
        return _made_up(model.signature, count)
    return found, f"{len(next(iter(found.values())))} rows of the training split"


def _made_up(signature: Signature, count: int) -> tuple[dict[str, Array], str]:
    """The same rows each time: numbers of all sizes, missing ones, words."""
    rng = np.random.default_rng(0)
    count = signature.batch or count

    def column(name: str, spec: TensorSpec) -> Array:
        open_ = [_OPEN if size is None else size for size in spec.shape]
        shape = tuple(open_) if name in signature.whole else (count, *open_)
        return _values(rng, spec, shape)

    made = {name: column(name, spec) for name, spec in signature.inputs.items()}
    return made, f"{count} rows, made up"


def largest_gap(
    expected: Mapping[str, Array], found: Mapping[str, Array], told: Callable[[str], Exception]
) -> float:
    """How far outputs are apart, relative to numbers above 1; texts and NaN must be the same.

    Raises:
        Exception: that of `told`, for outputs of other shapes or values that are no numbers.
    """
    worst = 0.0
    for name, right in expected.items():
        if name not in found or found[name].shape != right.shape:
            shape = found[name].shape if name in found else "none"
            raise told(f"output {name} has the shape {shape}, not {right.shape}")
        if right.dtype.kind not in "fiub":
            if (np.asarray(found[name], object) != np.asarray(right, object)).any():
                raise told(f"output {name} has other texts")
            continue
        one, other = right.astype("float64"), found[name].astype("float64")
        same = (one == other) | (np.isnan(one) & np.isnan(other))
        with np.errstate(invalid="ignore"):
            apart = np.where(same, 0.0, np.abs(one - other) / np.maximum(1.0, np.abs(one)))
        gap = float(np.max(apart, initial=0.0))
        worst = max(worst, math.inf if math.isnan(gap) else gap)
    return worst


def _values(rng: np.random.Generator, spec: TensorSpec, shape: tuple[int, ...]) -> Array:
    kind = numpy_dtype(spec.dtype)
    if spec.dtype == "string":
        texts = np.array([word.encode() for word in _WORDS], object)
        return np.asarray(texts[rng.integers(0, len(texts), shape)], object)
    if spec.dtype == "bool":
        return rng.random(shape) < 0.5
    if kind.kind in "iu":
        values = rng.integers(0, 100, shape).astype(kind)
    else:
        values = (rng.normal(size=shape) * 10.0 ** rng.integers(-2, 3, shape)).astype(kind)
    if spec.null is not None and shape and not isinstance(spec.null, str):
        values[rng.random(shape) < 0.05] = spec.null
    return values
