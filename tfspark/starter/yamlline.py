"""YAML in one line."""

from __future__ import annotations

import math
from typing import Any

import yaml


def yaml_line(said: Any) -> str:
    """A value in one line."""
    text = yaml.safe_dump(
        [said], default_flow_style=True, sort_keys=False, allow_unicode=True, width=math.inf
    )
    return text.strip()[1:-1]
