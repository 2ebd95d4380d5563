"""Patterns of a contract, Java's syntax, for RE2: linear time, whatever the value.

What the two read differently is written out; what RE2 has no words for is matched by Python's `re`,
value by value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

_LINES = "\n\r\u0085\u2028\u2029"
_SPACES = " \t\n\x0b\f\r"
_VERTICAL = "\n\x0b\f\r\u0085\u2028\u2029"
_SAME = frozenset("dDwWtnrfaAbB.^$*+?()[]{}|\\/-&#~<>=!,:;@%\"'`_ x")
"""What stands behind a backslash and is read alike by all three."""


@dataclass(frozen=True)
class Pattern:
    """A pattern that the whole value must match.

    Attributes:
        text: the pattern for RE2 and Python.
        linear: whether RE2 takes it.
    """

    text: str
    linear: bool

    @classmethod
    def of(cls, pattern: str) -> Pattern:
        """From the contract's words.

        Raises:
            ValueError: it has classes of characters within classes, which no engine here has.
        """
        text, alike = _translated(pattern)
        if alike:
            try:
                pc.match_substring_regex(pa.array([""]), _anchored(text))
            except pa.ArrowInvalid:
                alike = False
        return cls(text, alike)

    def matches(self, values: pa.Array) -> pa.Array:
        """A mask; null of null."""
        if self.linear:
            return pc.match_substring_regex(values, _anchored(self.text))
        match = re.compile(self.text, re.ASCII).fullmatch
        coded = values.dictionary_encode()
        said = [match(value) is not None for value in coded.dictionary.to_pylist()]
        return pa.array(said, pa.bool_()).take(coded.indices)


def _anchored(text: str) -> str:
    return rf"\A(?:{text})\z"


def _translated(pattern: str) -> tuple[str, bool]:
    """The pattern with Java's meaning written out, and whether RE2 reads it so."""
    said: list[str] = []
    alike, at = True, 0
    any_char = re.search(r"\(\?[a-zA-Z]*s", pattern) is not None  # a dot is a line's end too
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            part, fine = _escape(pattern[at + 1 : at + 2], inside=False)
            at += 2
        elif char == ".":
            part, fine = "." if any_char else f"[^{_LINES}]", True
            at += 1
        elif char == "[":
            end = _class_end(pattern, at)
            part, fine = _class(pattern[at:end])
            at = end
        else:
            # A flag changes what is read here; a `$` in the middle sees the end of a line.
            flag = char == "(" and re.match(r"\(\?[a-zA-Z^-]+[:)]", pattern[at:]) is not None
            middle = char == "$" and pattern[at + 1 : at + 2] not in ("", ")", "|")
            part, fine = char, not flag and not middle
            at += 1
        said.append(part)
        alike &= fine
    return "".join(said), alike


def _class_end(pattern: str, at: int) -> int:
    """Behind the bracket that closes a class."""
    place = at + (2 if pattern[at + 1 : at + 2] == "^" else 1)
    if pattern[place : place + 1] == "]":
        place += 1
    while place < len(pattern) and pattern[place] != "]":
        place += 2 if pattern[place] == "\\" else 1
    return place + 1


def _class(said: str) -> tuple[str, bool]:
    inner = said[1:-1]
    if "&&" in inner or re.search(r"(?<!\\)(?:\\\\)*\[", inner):
        raise ValueError(f"the class {said} within a class is not known; write it without")
    parts, alike, at = ["["], True, 0
    while at < len(inner):
        if inner[at] == "\\":
            part, fine = _escape(inner[at + 1 : at + 2], inside=True)
            parts.append(part)
            alike &= fine
            at += 2
        else:
            parts.append(inner[at])
            at += 1
    return "".join([*parts, "]"]), alike


def _escape(char: str, inside: bool) -> tuple[str, bool]:
    if char == "s":
        return (_SPACES if inside else f"[{_SPACES}]"), True
    if char == "S" and not inside:
        return f"[^{_SPACES}]", True
    if char == "v":
        return (_VERTICAL if inside else f"[{_VERTICAL}]"), True
    return f"\\{char}", char in _SAME and not (inside and char in "bB")
