"""Keras's private attributes, and imports of TensorFlow that leave out what is not needed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def moving_statistics(model: Any) -> list[Any]:
    """What training changes beside the weights that have gradients: moving averages.

    A frozen layer's do not change, so they are left out.
    """
    layers = model._flatten_layers(include_self=True, recursive=True)
    own = {id(v) for layer in layers if layer.trainable for v in layer._non_trainable_variables}
    return [v for v in model.non_trainable_weights if id(v) in own]


def is_functional(built: Any) -> bool:
    """Whether a model is made of tensors, so that a part of it is a model too."""
    from keras.src.models import Functional

    return isinstance(built, Functional)


def batch_normalizations(model: Any) -> list[Any]:
    """Its layers of that kind, in an order of their own."""
    import keras

    layers = model._flatten_layers(include_self=True, recursive=True)
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]


def use_moments(layer: Any, moments: Callable[[Any, Any, Any], Any]) -> None:
    """Let a batch normalisation take mean and variance from `moments(inputs, mask, axes)`."""
    object.__setattr__(
        layer, "_moments", lambda inputs, mask: moments(inputs, mask, layer._reduction_axes)
    )


def loss_tracker(model: Any) -> Any:
    """The mean loss of the steps so far, which Keras's own steps keep.

    A model that overrides `metrics` may not list it.
    """
    return model._loss_tracker


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
    there = "keras" in sys.modules or "tensorflow" in sys.modules
    with _hidden(*() if there else ("keras.src",)):
        yield


@contextmanager
def keras_alone() -> Iterator[None]:
    """TensorFlow and Keras without scikit-learn and matplotlib, a third of the import's seconds.

    For a process that trains and nothing else: Keras's wrappers for scikit-learn and its galleries
    of images do not work there. Code that imports the two libraries itself gets them as always.
    """
    with _hidden(*{"sklearn", "matplotlib"} - sys.modules.keys()):
        yield


@contextmanager
def _hidden(*modules: str) -> Iterator[None]:
    """While these modules seem not to be there."""
    for module in modules:
        sys.modules[module] = None  # type: ignore[assignment]  # Python's way to say: not there
    try:
        yield
    finally:
        for module in modules:
            del sys.modules[module]


def calls_of(model: Any) -> Iterator[tuple[Any, list[Any], list[Any]]]:
    """The calls that a functional model is made of, each after those whose tensors it takes.

    Yields:
        The layer or operation, the tensors that go in, and those that come out.
    """
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if not node.is_input:
                yield node.operation, list(node.input_tensors), list(node.output_tensors)
