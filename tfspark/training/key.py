"""What a training is made from, as one digest: the same key, the same model."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import tfspark
from tfspark import storage
from tfspark.config import Settings
from tfspark.dataset import Dataset
from tfspark.errors import StorageError
from tfspark.models.code import code_of

_OURS = ("tfspark.models.structured:mlp", "tfspark.models.text:bag", "tfspark.models.text:conv")
_RANDOM = ("dropout", "input_dropout")  # its parameters

_NO_MATTER = {
    "force",
    "checkpoint_epochs",
    "checkpoint_steps",
    "keep_checkpoints",
    "compare_steps",
}


def recipe(settings: Settings) -> dict[str, Any]:
    """Features, model and training as plain values, but for what does not change the model."""
    return {
        "features": [feature.model_dump(mode="json") for feature in settings.features],
        "model": settings.model.model_dump(mode="json"),
        "training": settings.training.model_dump(mode="json", exclude=_NO_MATTER),
    }


def code(settings: Settings) -> dict[str, str]:
    """Module → sha256 of the user's own code: builder, callbacks, and what they import.

    Raises:
        ConfigError: a module that is not there.
    """
    found = code_of(settings.model.builder, "model.builder")
    for name in settings.training.callbacks:
        found |= code_of(name, "training.callbacks")
    return found


def files(settings: Settings) -> dict[str, str]:
    """Path → sha256 of the files that the recipe names: vocabularies, parameters of the builder."""
    named: list[str] = [getattr(feature, "file", None) or "" for feature in settings.features]
    named += _texts(settings.model.params)
    found: dict[str, str] = {}
    for path in filter(None, named):
        with suppress(StorageError, OSError, ValueError):  # a text that is no path at all
            found |= _sums(path)
    return found


def _sums(path: str) -> dict[str, str]:
    """Of a file, or of those in a folder."""
    if storage.is_dir(path):
        inside = [storage.join(path, name) for name, _ in storage.files(path)]
        return {name: storage.sha256(name) for name in inside}
    return {path: storage.sha256(path)} if storage.exists(path) else {}


def train_key(dataset: Dataset, settings: Settings) -> str:
    """sha256 of the dataset, the recipe with the files and the code that it names, and tfspark.

    The number of ranks is part of it where the model may depend on it.
    """
    ranks = settings.distributed.ranks
    made_from = {
        "dataset": dataset.digest,
        "recipe": recipe(settings),
        "files": files(settings),
        "code": code(settings),
        "batch": settings.training.global_batch(ranks),
        "ranks": ranks if ranks_matter(settings) else None,
        "tfspark": tfspark.__version__,
    }
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def ranks_matter(settings: Settings) -> bool:
    """Whether another number of ranks may give another model, by more than rounding.

    Each rank draws its own random numbers, and a builder of the user's may hold anything.
    """
    model, training = settings.model, settings.training
    random = model.builder not in _OURS or any(model.params.get(name) for name in _RANDOM)
    digits = training.compression != "none" or training.precision != "float32"
    return random or digits or training.resample is not None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def git_revision() -> str | None:
    """The commit of the working directory, `-dirty` if files differ; None outside of git."""
    try:
        told = [
            subprocess.run(
                ["git", *words], capture_output=True, text=True, timeout=10, check=True
            ).stdout.strip()
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "-uno"])
        ]
    except (OSError, subprocess.SubprocessError):
        return None
    return told[0] + ("-dirty" if told[1] else "")
