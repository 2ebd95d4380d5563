"""A model for the process that asks, or one beside it, where there is no Spark."""

from __future__ import annotations

from typing import Any

from tfspark.registry.resolve import ModelFolder
from tfspark.scoring.model.pack import packed_of
from tfspark.scoring.worker.guard import Scorer
from tfspark.scoring.worker.predict import Feed


def scorer_of(model: ModelFolder, **settings: Any) -> Scorer:
    """What scores columns that come in the order of the model's inputs.

    Args:
        settings: of the scorer, by the names of its fields.
    """
    feeds = tuple(Feed(name, spec) for name, spec in model.signature.inputs.items())
    return Scorer(packed_of(model), model.signature, feeds, **settings)
