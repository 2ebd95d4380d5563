"""What a model has to predict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Output:
    """The prediction that a builder must give: one tensor [rows, units].

    Attributes:
        name: the output's name in the signature.
        units: 1 for two classes and for a number, else the number of classes or labels.
        activation: `sigmoid`, `softmax` or `linear`.
        mean, std: of a number's label in the training split; of log(1 + label) with `log`.
        log: whether log(1 + label) is learned.
    """

    name: str
    units: int
    activation: str
    mean: float = 0.0
    std: float = 1.0
    log: bool = False

    def layer(self, **kwargs: Any) -> Any:
        """The last layer: dense, of the right width and activation; float32 in any precision.

        A number is predicted in its own units from a start at the mean, so that a network learns
        labels of any size.
        """
        import keras

        kwargs = {"dtype": "float32", **kwargs}
        dense = keras.layers.Dense(self.units, activation=self.activation, **kwargs)
        layers = [dense]
        if (self.mean, self.std) != (0.0, 1.0):
            layers.append(keras.layers.Rescaling(self.std, self.mean, dtype="float32"))
        if self.log:  # back from log(1 + x); float32 ends at exp(88)
            layers.append(keras.layers.ReLU(max_value=80.0, negative_slope=1.0, dtype="float32"))
            layers.append(keras.layers.Activation("exponential", dtype="float32"))
            layers.append(keras.layers.Rescaling(1.0, -1.0, dtype="float32"))
        return keras.Sequential(layers) if layers[1:] else dense
