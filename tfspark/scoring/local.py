"""A model for the process that asks, or one beside it, where there is no Spark."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tfspark.registry.resolve import ModelFolder
from tfspark.scoring.model.pack import packed_of
from tfspark.scoring.worker.guard import Scorer
from tfspark.scoring.worker.predict import Feed


def scorer_of(model: ModelFolder, feeds: Iterable[Feed] | None = None, **settings: Any) -> Scorer:
    """What scores columns.

    Args:
        feeds: what they become, in their order; None: the model's inputs, one by one.
        settings: of the scorer, by the names of its fields.
    """
    if feeds is None:
        feeds = (Feed(name, spec) for name, spec in model.signature.inputs.items())
    return Scorer(packed_of(model), model.signature, tuple(feeds), **settings)
