"""Values as a page says them: short, and as text alone."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

VALUE, SENTENCE = 80, 600
"""Letters of a value, and of what is said in words."""
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
TONES = {"green": "green", "yellow": "yellow", "red": "red"}
SIGNS = {"green": "✓", "yellow": "▲", "red": "✕", "grey": "–"}
_LEVELS = {"": "green", "ok": "green", "warn": "yellow", "alert": "red"}


def cut(value: Any, most: int = VALUE) -> str:
    """A value as a text of at most so many letters, without control characters."""
    if value is None:
        return ""
    if isinstance(value, float) and not isinstance(value, bool):
        return number(value)
    text = value if isinstance(value, str) else str(value)
    text = "".join(
        " " if unicodedata.category(letter) in ("Cc", "Cs") else letter
        for letter in text[: most + 1]
    )
    return text if len(text) <= most else text[: most - 1] + "…"


def said(value: Any) -> str:
    """A sentence."""
    return cut(value, SENTENCE)


def number(value: Any) -> str:
    """A number for people; `–` where there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–"
    if isinstance(value, float) and not math.isfinite(value):
        return "–"
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def share(value: Any) -> str:
    """A share in per cent."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return "–"
    return f"{value:.2%}" if 0 < abs(value) < 0.1 else f"{value:.0%}"


def interval(low: Any, high: Any) -> str:
    """Two numbers."""
    return "–" if low is None or high is None else f"{number(low)} to {number(high)}"


def seconds(value: Any) -> str:
    """A duration."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    if value >= 60:
        return f"{int(value // 60)} min {int(value % 60)} s"
    return f"{value:.1f} s"


def day_of(value: Any) -> str:
    """The day at the head of a text; empty where there is none."""
    found = _DAY.match(str(value or ""))
    return found.group() if found else ""


def moment(value: Any) -> str:
    """A time to the second."""
    return cut(str(value or "")[:19].replace("T", " "))


def tone(level: Any) -> str:
    """The colour of a level: every level also has its word beside it."""
    return _LEVELS.get(str(level or ""), "grey")


def part(value: Any) -> Mapping[str, Any]:
    """A part of a record that may be missing or be something else."""
    return value if isinstance(value, Mapping) else {}


def parts(value: Any) -> list[Mapping[str, Any]]:
    """Those of a list that have names."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
