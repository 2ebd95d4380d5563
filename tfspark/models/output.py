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
        mean, std: of a number's label in the training split.
    """

    name: str
    units: int
    activation: str
    mean: float = 0.0
    std: float = 1.0

    def layer(self, **kwargs: Any) -> Any:
        """The last layer: dense, of the right width and activation; float32 in any precision.

        A number is predicted in its own units from a start at the mean, so that a network learns
        labels of any size.
        """
        import keras

        kwargs = {"dtype": "float32", **kwargs}
        dense = keras.layers.Dense(self.units, activation=self.activation, **kwargs)
        if (self.mean, self.std) == (0.0, 1.0):
            return dense
        scaled = keras.layers.Rescaling(self.std, self.mean, dtype="float32")
        return keras.Sequential([dense, scaled])
