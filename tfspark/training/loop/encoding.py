"""Features encoded once: what of a model has no weights is done when a block of rows is read.

A step of training takes ids and numbers in place of raw columns, by a second model of the same
layers and weights. Validation, the export and scoring go through the whole model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfspark.compat.keras import calls_of, is_functional
from tfspark.config.recipe import Training
from tfspark.tensors import TensorSpec
from tfspark.training.loop.metrics import own_step

_NAME = "_tfspark_encoded_{}"


@dataclass(frozen=True)
class Encoding:
    """A model in two parts.

    Attributes:
        made: name → tensor of what the first part gives.
        raw: columns that the second part takes as they are.
        taken: columns that the first part takes.
        first: `taken` → tensors of `made`, in their order.
        forward: the second part, called with a dictionary of `made` and `raw`.
    """

    made: dict[str, TensorSpec]
    raw: tuple[str, ...]
    taken: tuple[str, ...]
    first: Any
    forward: Any


def encoding_of(model: Any, training: Training) -> Encoding | None:
    """The parts of a model; None: it is trained as a whole.

    As with a `train_step` of its own, or where nothing stands before the weights.
    """
    import keras

    if training.strategy != "none" or training.xla:
        return None
    if not is_functional(model) or own_step(model, "train_step"):
        return None
    given = model.input
    if not isinstance(given, dict):
        given = {tensor.name: tensor for tensor in keras.tree.flatten(given)}
    columns = {id(tensor): name for name, tensor in given.items()}
    border, used = _border(model, set(columns))
    own = [tensor for tensor in border if id(tensor) not in columns]
    if not own or any(t.dtype == "string" or len(t.shape) > 2 for t in own):
        return None
    if any(None in tensor.shape[1:] for tensor in own):
        return None
    made = {
        _NAME.format(place): TensorSpec(tensor.dtype, tuple(tensor.shape[1:]))
        for place, tensor in enumerate(own)
    }
    raw = {columns[id(tensor)]: tensor for tensor in border if id(tensor) in columns}
    second = keras.Model([*own, *raw.values()], model.output)
    taken = {name: tensor for name, tensor in given.items() if id(tensor) in used}
    first = keras.Model(taken, own)
    return Encoding(made, tuple(raw), tuple(taken), first, ByName(second, (*made, *raw)))


def _border(model: Any, inputs: set[int]) -> tuple[list[Any], set[int]]:
    """The tensors that layers of features give, and the inputs, that something else takes.

    And which inputs these layers take.
    """
    known, used = set(inputs), set()
    found: dict[int, Any] = {}
    for operation, taken, given in calls_of(model):
        if _encodes(operation) and all(id(tensor) in known for tensor in taken):
            known |= {id(tensor) for tensor in given}
            used |= {id(tensor) for tensor in taken} & inputs
        else:
            found |= {id(tensor): tensor for tensor in taken if id(tensor) in known}
    return list(found.values()), used


def _encodes(operation: Any) -> bool:
    import keras

    from tfspark.features import layers
    from tfspark.features.text import Words

    kinds: tuple[Any, ...] = (
        layers.Numbers,
        layers.Buckets,
        layers.Text,
        layers.HashIds,
        layers.OwnIds,
        Words,
        keras.layers.StringLookup,
        keras.layers.IntegerLookup,
    )
    return isinstance(operation, kinds)


class ByName:
    """A model of tensors in an order, called with a dictionary of them."""

    def __init__(self, model: Any, names: tuple[str, ...]) -> None:
        self._model, self._names = model, names

    def call(self, inputs: Mapping[str, Any], training: bool = False) -> Any:
        return self._model([inputs[name] for name in self._names], training=training)

    __call__ = call
