"""`format` of dates and timestamps as text: rewritten to ISO, then read as strictly as ISO is."""

from __future__ import annotations

import re

from tfspark.wording import say

_PARTS = {"yyyy": "y", "uuuu": "y", "MM": "M", "dd": "d", "HH": "H", "mm": "m", "ss": "s"}
_TOKEN = re.compile(r"yyyy|uuuu|MM|dd|HH|mm|ss|S{1,6}|[ZXx]+|'[^']*'|T|[^A-Za-z']")


def rewriting(form: str, kind: str) -> tuple[str, list[str | int]]:
    """The pattern of a text, and the ISO text as parts: texts, and numbers of its groups.

    Args:
        form: in Java's letters, as the standard has them.
        kind: date or timestamp.

    Raises:
        ValueError: other letters, a part twice or missing.
    """
    groups: dict[str, int] = {}
    pattern, at = "", 0
    while at < len(form):
        token = _TOKEN.match(form, at)
        if token is None:
            raise ValueError(say("no_date_format", format=form))
        at, text = token.end(), token[0]
        part = _PARTS.get(text) or ("S" if text[0] == "S" else "z" if text[0] in "ZXx" else None)
        if part in groups:
            raise ValueError(say("no_date_format", format=form))
        if part is None:
            pattern += _literal(text.strip("'") if text != "''" else "'")
            continue
        groups[part] = len(groups) + 1
        digits = f"([0-9]{{{len(text)}}})"
        pattern += "(Z|[+-][0-9]{2}:?[0-9]{2})" if part == "z" else digits
    there = "".join(part for part in "yMdHmsSz" if part in groups)
    if there not in (("yMd",) if kind == "date" else _WHOLE):
        raise ValueError(say("no_date_format", format=form))
    iso: list[str | int] = [groups["y"], "-", groups["M"], "-", groups["d"]]
    if "H" in groups:
        iso += [" ", groups["H"], ":", groups["m"]]
        iso += [":", groups["s"]] if "s" in groups else []
        iso += [".", groups["S"]] if "S" in groups else []
    return pattern, iso + ([groups["z"]] if "z" in groups else [])


_WHOLE = ("yMd", "yMdHm", "yMdHms", "yMdHmsS", "yMdHmz", "yMdHmsz", "yMdHmsSz")


def _literal(text: str) -> str:
    return "".join(
        c if c.isalnum() or c == " " else f"[{c}]" if c not in "^\\" else f"\\{c}" for c in text
    )
