"""What a search may change: `tune.space` as Optuna's suggestions, and as a changed recipe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from tfspark.config import Settings, Space
from tfspark.config.recipe import Feature, Model, Training
from tfspark.errors import ConfigError
from tfspark.wording import misfit

if TYPE_CHECKING:
    from optuna.trial import Trial

_ROOTS = ("training", "model", "features")
_FREE = "model.params."  # its values have no declared type
_FEATURES: TypeAdapter[list[Feature]] = TypeAdapter(list[Feature])
_SCALARS = (str, int, float, bool, type(None))


def check_space(settings: Settings) -> None:
    """Refuse a space that could fail half-way through a search.

    Raises:
        ConfigError: with the key: no such setting, or values that it does not take.
    """
    if not settings.tune.space:
        raise ConfigError(
            "tune.space is empty; give the settings to search, such as "
            "training.learning_rate: {low: 0.0001, high: 0.01, log: true}"
        )
    for key, space in settings.tune.space.items():
        _check_kind(key, space, settings)
        for value in space.choices or [space.low, space.high]:
            override(settings, {key: _exact(key, space, settings, value)})


def suggest(trial: Trial, settings: Settings) -> dict[str, Any]:
    """Values for all of the space, by key, as the recipe takes them."""
    found: dict[str, Any] = {}
    for key, space in settings.tune.space.items():
        if space.choices is not None:
            plain = all(isinstance(choice, _SCALARS) for choice in space.choices)
            choices = space.choices if plain else [json.dumps(c) for c in space.choices]
            chosen = trial.suggest_categorical(key, choices)
            found[key] = chosen if plain else json.loads(str(chosen))
            continue
        low, high = space.low or 0.0, space.high or 0.0
        if _whole(key, space, settings):
            step = int(space.step or 1)
            found[key] = trial.suggest_int(key, int(low), int(high), step=step, log=space.log)
        else:
            found[key] = trial.suggest_float(key, low, high, step=space.step, log=space.log)
    return found


def override(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """The settings with other values in the recipe, by dotted keys.

    Raises:
        ConfigError: a key that is no setting, or a value that it does not take.
    """
    recipe: dict[str, Any] = {
        "training": settings.training.model_dump(),
        "model": settings.model.model_dump(),
        "features": {feature.name: feature.model_dump() for feature in settings.features},
    }
    for key, value in values.items():
        *path, last = key.split(".")
        place = recipe if path and path[0] in _ROOTS else None
        for part in path:
            place = place.get(part) if isinstance(place, dict) else None
        if not isinstance(place, dict) or (last not in place and not key.startswith(_FREE)):
            raise ConfigError(
                f"tune.space.{key}: there is no such setting; write training.NAME, "
                "model.params.NAME or features.FEATURE.NAME"
            )
        place[last] = value
    try:
        changed = {
            "training": Training(**recipe["training"]),
            "model": Model(**recipe["model"]),
            "features": _FEATURES.validate_python(list(recipe["features"].values())),
        }
    except ValidationError as error:
        _, said = misfit(error, [])
        named = ", ".join(f"{key} = {value!r}" for key, value in values.items())
        raise ConfigError(f"tune.space: {named}: {said}") from None
    return settings.model_copy(update=changed)


def _check_kind(key: str, space: Space, settings: Settings) -> None:
    where = f"tune.space.{key}"
    if space.choices is not None:
        return
    if space.log and space.step is not None:
        raise ConfigError(f"{where}: log and step exclude each other")
    if space.log and (space.low or 0.0) <= 0:
        raise ConfigError(f"{where}: log needs low above 0")
    declared = isinstance(_now(key, settings), int) and not key.startswith(_FREE)
    if declared and not _whole(key, space, settings):
        raise ConfigError(f"{where}: is a whole number, so low, high and step must be whole")


def _whole(key: str, space: Space, settings: Settings) -> bool:
    """Whether a range is of whole numbers: as the value in the recipe is, or else as the step."""
    now = _now(key, settings)
    bounds = [n for n in (space.low, space.high, space.step) if n is not None]
    integral = all(float(n).is_integer() for n in bounds)
    if isinstance(now, bool) or now is None:
        return integral and space.step is not None
    return integral and isinstance(now, int)


def _exact(key: str, space: Space, settings: Settings, value: Any) -> Any:
    if space.choices is None and _whole(key, space, settings):
        return int(value)
    return value


def _now(key: str, settings: Settings) -> Any:
    """The recipe's own value; None where it gives none."""
    place: Any = {
        "training": settings.training.model_dump(),
        "model": settings.model.model_dump(),
        "features": {feature.name: feature.model_dump() for feature in settings.features},
    }
    for part in key.split("."):
        place = place.get(part) if isinstance(place, dict) else None
    return place
