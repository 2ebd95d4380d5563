"""Settings from the command line, the environment, a file; every mistake with its place."""

from __future__ import annotations

import datetime as dt
import os
import re
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from tfspark import storage
from tfspark.config.settings import ENV_PREFIX, Environment, Settings
from tfspark.errors import ConfigError
from tfspark.storage.s3 import use as use_s3
from tfspark.wording import misfit, near, say
from tfspark.yamlfile import line_of, load_yaml

# Variables with our prefix that are no settings, each with the place that reads it.
OWN_VARIABLES = [
    "TFSPARK_MODEL_CACHE",  # where models are unpacked
    "TFSPARK_MODEL_CACHE_BYTES",
    "TFSPARK_LOG",  # the form of the log
    "TFSPARK_ATTEMPT",  # in a rank: the number of the try
    "TFSPARK_HOME",  # schedules
    "TFSPARK_PYTHON",
    "TFSPARK_BASE_PYTHON",  # scripts: set-up, packages, sbt
    "TFSPARK_IVY_SETTINGS",
    "TFSPARK_JARS",
    "TFSPARK_SBT_REPOSITORIES",
    "TFSPARK_STORES",
]


def load_settings(
    path: str | None = None, overrides: dict[str, Any] | None = None, recipe: str | None = None
) -> Settings:
    """Settings from files, the environment and overrides (dotted names, as on the command line).

    Args:
        path: of the configuration file; None: without one.
        overrides: dotted names → values; they win over the environment and the files.
        recipe: of a file whose sections take the place of the configuration's, as wholes.

    Raises:
        ConfigError: an unknown key, a wrong value or a broken file, with its place.
    """
    file: dict[str, Any] = {}
    places: dict[str, tuple[str, dict[Any, int]]] = {}  # section → its file, lines
    for name in filter(None, (path, recipe)):
        sections, lines = _read(name)
        file |= sections
        places |= dict.fromkeys(sections, (name, lines))
    nested = _nest(overrides or {})
    _refuse_unknown_variables()
    scoped = type("Settings", (Settings,), {"_file": file, "__module__": __name__})
    try:
        settings = scoped(**nested)
    except ValidationError as error:
        given = [nested, Environment(scoped)(), file]
        place, said = misfit(error, given)
        if (first := error.errors(include_url=False)[0])["type"] == "extra_forbidden":
            known = _known(Settings, first["loc"][:-1])
            said = say("unknown_setting", near=near(str(first["loc"][-1]), known))
        where = _where(place, path, places, nested)
        name = ".".join(map(str, place))
        raise ConfigError(say("at", where=where, path=name, said=said)) from None
    if path and settings.contract and settings.contract == file.get("contract"):
        settings.contract = _beside(settings.contract, path)
    s3 = settings.storage.s3
    use_s3(s3.endpoint, s3.region, s3.path_style, s3.retries)
    return Settings.model_construct(**dict(settings))


def require_date(settings: Settings) -> dt.date:
    """The logical date.

    Args:
        settings: the settings of a job.

    Raises:
        ConfigError: none was given. A job never takes the clock's.
    """
    if settings.date is None:
        raise ConfigError(say("no_date"))
    return settings.date


def _beside(contract: str, config: str) -> str:
    """A contract not in the working folder is beside the configuration, or in the folder above.

    A driver on a cluster works in a folder of its own.
    """
    if re.match(r"/|[A-Za-z][A-Za-z0-9+.-]*:", contract) or storage.exists(contract):
        return contract
    folder = config.rpartition("/")[0] or "."
    places = [
        storage.join(place, contract) for place in (folder, folder.rpartition("/")[0]) if place
    ]
    return next((place for place in places if storage.exists(place)), contract)


def _read(path: str) -> tuple[dict[str, Any], dict[tuple[Any, ...], int]]:
    if not storage.exists(path):
        raise ConfigError(say("no_file", path=path))
    value, lines = load_yaml(storage.read_bytes(path), path)
    if not isinstance(value, dict):
        raise ConfigError(say("no_mapping", path=path))
    return value, lines


def _nest(dotted: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in dotted.items():
        # A Spark setting has dots of its own.
        head, *rest = name.split(".", 1) if name.startswith("spark.") else name.split(".")
        inner = result
        for part in rest:
            inner = inner.setdefault(head, {})
            head = part
        inner[head] = value
    return result


def _refuse_unknown_variables() -> None:
    for variable in os.environ:
        if not variable.startswith(ENV_PREFIX) or variable in OWN_VARIABLES:
            continue
        first = variable.removeprefix(ENV_PREFIX).split("__")[0].lower()
        if first not in Settings.model_fields:
            known = ", ".join(f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields)
            like = near(first, Settings.model_fields)
            raise ConfigError(say("unknown_variable", variable=variable, near=like, known=known))


def _known(kind: Any, place: tuple[Any, ...]) -> list[str]:
    """The keys that a mapping at that place of a type may have."""
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return [name for inner in get_args(kind) for name in _known(inner, place)]
    fields = kind.model_fields
    if place and place[0] in fields:
        return _known(fields[place[0]].annotation, place[1:])
    # Pydantic puts the index of a list and the kind of a feature between.
    if place and (isinstance(place[0], int) or "kind" not in fields):
        return _known(kind, place[1:])
    if place:
        return _known(kind, place[1:]) if place[0] in get_args(fields["kind"].annotation) else []
    return list(fields)


def _where(
    place: tuple[Any, ...],
    path: str | None,
    places: dict[str, tuple[str, dict[Any, int]]],
    given: dict[str, Any],
) -> str:
    """Which of the three says so: the first that names the place."""
    inner: Any = given
    for part in place:
        inner = inner.get(part) if isinstance(inner, dict) else None
    if inner is not None:
        return "command line"
    for end in range(len(place), 0, -1):
        variable = ENV_PREFIX + "__".join(map(str, place[:end])).upper()
        if variable in os.environ:
            return f"environment {variable}"
    if place and place[0] in places:
        name, lines = places[place[0]]
        return f"{name}:{line_of(lines, place)}"
    return f"{path}:1" if path else "settings"
