"""What the images of a table must be, for the features of a recipe."""

from __future__ import annotations

from collections.abc import Sequence

from tfspark.config.recipe import Feature, Image
from tfspark.contracts import Contract
from tfspark.contracts.types import family
from tfspark.errors import ConfigError
from tfspark.images.check import ImageRule


def image_rules(features: Sequence[Feature], contract: Contract) -> list[ImageRule]:
    """One rule for each column of images.

    Raises:
        ConfigError: the contract has no such column, or not as bytes.
    """
    rules: dict[str, ImageRule] = {}
    kinds = {column.name: family(column.physical_type) for column in contract.columns}
    for feature in features:
        if not isinstance(feature, Image):
            continue
        name = feature.column
        if kinds.get(name) != "binary":
            is_there = f"has it as {kinds[name]}" if name in kinds else "has no such column"
            raise ConfigError(
                f"feature {feature.name}: column {name}: contract {contract.name} {is_there}; "
                "images are a column of physicalType binary"
            )
        before = rules.get(name, ImageRule(name))
        rules[name] = ImageRule(
            name,
            max(before.least_side, feature.least_side),
            min(before.most_pixels, feature.most_pixels),
        )
    return list(rules.values())
