"""What a model has to predict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Output:
    """The prediction that a builder must give: one tensor [rows, units].

    Attributes:
        name: the output's name in the signature.
        units: 1 for two classes and for a number, else the number of classes.
        activation: `sigmoid`, `softmax` or `linear`.
    """

    name: str
    units: int
    activation: str

    def layer(self, **kwargs: Any) -> Any:
        """The last layer: dense, of the right width and activation; float32 in any precision."""
        import keras

        kwargs = {"dtype": "float32", **kwargs}
        return keras.layers.Dense(self.units, activation=self.activation, **kwargs)
