"""Keras's private attributes, and TensorFlow without Keras."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def moving_statistics(model: Any) -> list[Any]:
    """What training changes beside the weights that have gradients: moving averages.

    A frozen layer's do not change, so they are left out.
    """
    layers = model._flatten_layers(include_self=True, recursive=True)
    own = {id(v) for layer in layers if layer.trainable for v in layer._non_trainable_variables}
    return [v for v in model.non_trainable_weights if id(v) in own]


def stay_built(model: Any) -> None:
    """Keep Keras from building a built model again.

    It would under a strategy, with the mean of two batches, and texts have none.
    """
    object.__setattr__(model, "_maybe_symbolic_build", lambda **_: None)


@contextmanager
def without_keras() -> Iterator[None]:
    """TensorFlow alone: half of the seconds of its import are Keras, which no SavedModel needs.

    Code of this process that imports Keras later gets it as always.
    """
    if "keras" in sys.modules or "tensorflow" in sys.modules:
        yield
        return
    sys.modules["keras.src"] = None  # type: ignore[assignment]  # Python's way to say: not there
    try:
        yield
    finally:
        del sys.modules["keras.src"]
