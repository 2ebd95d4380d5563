"""What a training is made from, as one digest: the same key, the same model."""

from __future__ import annotations

import hashlib
import json
import subprocess
from typing import Any

import tfspark
from tfspark import storage
from tfspark.config import Settings
from tfspark.config.recipe import Vocabulary
from tfspark.dataset import Dataset
from tfspark.models.build import builder_digest

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


def train_key(dataset: Dataset, settings: Settings) -> str:
    """sha256 of the dataset, the recipe with the files that it names, and this library."""
    files = {
        feature.file: storage.sha256(feature.file)
        for feature in settings.features
        if isinstance(feature, Vocabulary) and feature.file and storage.exists(feature.file)
    }
    made_from = {
        "dataset": dataset.digest,
        "recipe": recipe(settings),
        "files": files,
        "builder": builder_digest(settings.model.builder),
        "batch": settings.training.global_batch(settings.distributed.ranks),
        "tfspark": tfspark.__version__,
    }
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


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
