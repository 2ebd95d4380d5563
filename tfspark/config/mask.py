"""The settings in force without their secrets, for screens and logs."""

from __future__ import annotations

from typing import Any

from tfspark.config.settings import Settings
from tfspark.mask import mask_value

FREE = ("options", "spark")
"""Settings that hold options of others' choice: what is not known to be harmless is hidden."""


def masked(settings: Settings) -> dict[str, Any]:
    """The effective settings as plain values, every secret replaced by `***`.

    Args:
        settings: the settings to show.

    Returns:
        Nested mappings, fit for YAML.
    """
    return {key: _mask(value, key) for key, value in settings.model_dump(mode="json").items()}


def _mask(value: Any, key: str) -> Any:
    if isinstance(value, dict) and key not in FREE:
        return {name: _mask(inner, str(name)) for name, inner in value.items()}
    return mask_value(value, key, free=key in FREE)
