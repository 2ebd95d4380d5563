"""Preprocessing inside the graph: from a recipe, a contract and statistics to Keras tensors."""

from typing import TYPE_CHECKING

from tfspark import lazy

if TYPE_CHECKING:
    from tfspark.features.build import Features

__all__ = ["Features"]

__getattr__ = lazy.names(__name__, {"build": ("Features",)})
