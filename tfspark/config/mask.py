"""The settings in force without their secrets, for screens and logs."""

from __future__ import annotations

import re
from typing import Any

from tfspark.config.settings import Settings

SECRET = re.compile(r"password|passwd|secret|token|credential|api_?key|access_?key", re.I)
URL_SECRET = re.compile(r"(://[^/\s:@]*:)[^@/\s]+@|((?:password|pwd|token)=)[^;&\s]+", re.I)


def masked(settings: Settings) -> dict[str, Any]:
    """The effective settings as plain values, every secret replaced by `***`.

    Args:
        settings: the settings to show.

    Returns:
        Nested mappings, fit for YAML.
    """

    def mask(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: mask(inner, str(name)) for name, inner in value.items()}
        if isinstance(value, list):
            return [mask(inner, key) for inner in value]
        if value and SECRET.search(key):
            return "***"
        if isinstance(value, str):
            return URL_SECRET.sub(lambda m: f"{m[1]}***@" if m[1] else f"{m[2]}***", value)
        return value

    result: dict[str, Any] = mask(settings.model_dump(mode="json"))
    return result
