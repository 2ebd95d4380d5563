"""The layer of a feature of images, from the recipe's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfspark.config.recipe import Image

_SCALES = {"-1..1": (1 / 127.5, -1.0), "0..1": (1 / 255, 0.0), "0..255": (1.0, 0.0)}


def image_layer(feature: Image, null: Any, names: Mapping[str, str]) -> Any:
    """The layer that decodes, resizes and scales.

    Args:
        null: what stands for null in the column; None: nothing does.
        names: feature → what its layers may be called.
    """
    from tfspark.features.images import Images

    height, width = feature.size
    factor, offset = _SCALES[feature.scale]
    layer = Images(
        height,
        width,
        feature.channels,
        feature.resize,
        factor,
        offset,
        null,
        feature.most_pixels,
        name=f"{names[feature.name]}_pixels",
    )
    layer.feature = feature.name  # by which training finds it
    return layer
