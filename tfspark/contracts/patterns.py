"""Patterns of a contract: RE2's syntax, which takes linear time whatever the value."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from tfspark.wording import say


def refused(pattern: str) -> str | None:
    """What is wrong with a pattern; None: nothing."""
    if _in_class(pattern):
        return say("class_in_class", pattern=pattern)
    try:
        pc.match_substring_regex(pa.array([""]), anchored(pattern))
    except pa.ArrowInvalid:
        return say("no_regex", pattern=pattern)
    return None


def anchored(pattern: str) -> str:
    """The same pattern, which the whole value must match."""
    return rf"\A(?:{pattern})\z"


def _in_class(pattern: str) -> bool:
    """Whether a class of characters is within another: RE2 reads the brackets as characters."""
    bare = re.sub(r"\\.|\[:\^?\w+:\]", "x", pattern)
    classes = re.findall(r"\[\^?\]?[^\]]*\]", bare)
    return any("&&" in found or "[" in found[1:] for found in classes)
