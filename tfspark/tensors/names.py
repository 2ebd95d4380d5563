"""Names of columns and features as TensorFlow, Keras and Serving take them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable


def plain_names(
    names: Iterable[str], also: Callable[[str], str] = lambda name: name
) -> dict[str, str]:
    """Name → letters of ASCII, digits and _ that stand for it, each another.

    Args:
        also: what else a name goes through.
    """
    found: dict[str, str] = {}
    taken = set[str]()
    for name in sorted(names, key=lambda name: (_plain(name) != name, name)):
        plain, number = also(_plain(name)), 1
        while plain in taken:
            number += 1
            plain = also(f"{_plain(name)}_{number}")
        taken.add(plain)
        found[name] = plain
    return found


def _plain(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", name)
