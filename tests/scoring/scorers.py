"""Scorers outside of Spark: a model's pieces as a driver would have sent them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tfspark.registry.resolve import ModelFolder
from tfspark.scoring.model.pack import Packed, cut, listed
from tfspark.scoring.worker.guard import Scorer
from tfspark.scoring.worker.predict import Feed


class Piece:
    """What stands in for a broadcast."""

    def __init__(self, value: bytes) -> None:
        self.value = value


def scorer(model: ModelFolder, **change: Any) -> Scorer:
    packed = Packed(model.path, model.digest, listed(model), tuple(map(Piece, cut(model))))
    feeds = tuple(Feed(name, spec) for name, spec in model.signature.inputs.items())
    return replace(Scorer(packed, model.signature, feeds), **change)
