"""Drift on the page of a night."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfspark.page import plots
from tfspark.page.words import cut, number, part, parts, said, share, tone

_RATES = 12
_WORDS = {"": "ok", "few rows": "few rows", "warn": "warn", "alert": "alert"}


def view(watch: Mapping[str, Any], most: int) -> dict[str, Any] | None:
    """What the template shows of `Watched.to_json()`.

    Args:
        most: how many columns get a plot; they come worst first.
    """
    if not watch:
        return None
    every = parts(watch.get("columns"))
    columns = [one for one in map(_column, every[:most]) if one]
    rates = parts(watch.get("rates"))
    rates = [one for one in rates if one.get("level") or one.get("today") or one.get("before")]
    rates.sort(key=lambda one: not one.get("level"))
    left = len(every) - most
    scores, rows = part(watch.get("scores")), part(watch.get("rows"))
    verdict = cut(watch.get("verdict"))
    missing = watch.get("not_computed")
    return {
        "verdict": verdict,
        "tone": tone(verdict),
        "said": said(watch.get("said")),
        "power": _power(part(watch.get("power")), watch.get("alpha")),
        "scores": _column(scores) if scores else None,
        "rows": _rows(rows),
        "columns": columns,
        "more": f"and {left} more columns, none of them worse" if left > 0 else "",
        "rates": [
            {
                "name": cut(one.get("name")),
                "before": share(one.get("before")),
                "today": share(one.get("today")),
                "level": _WORDS.get(str(one.get("level") or ""), cut(one.get("level"))),
                "tone": tone(one.get("level")),
            }
            for one in rates[:_RATES]
        ],
        "not_computed": [said(one) for one in missing] if isinstance(missing, list) else [],
    }


def _column(one: Mapping[str, Any]) -> dict[str, Any] | None:
    plot = plots.bars(one)
    if plot is None:
        return None
    level = str(one.get("level") or "")
    psi = one.get("psi")
    about = [f"PSI {psi:.3f}"] if isinstance(psi, int | float) else []
    above = one.get("warns_above")
    if about and isinstance(above, int | float) and above > 0.02:
        about[0] += f", swings usually: warned above {above:.3f}"
    if one.get("form") == "length":
        about.append("by length of the text")
    if text := said(one.get("said")):
        about.append(text)
    return {
        "name": cut(one.get("name"), 40),
        "level": _WORDS.get(level, cut(level)),
        "tone": tone(level),
        "plot": plot,
        "about": "; ".join(about),
    }


def _rows(rows: Mapping[str, Any]) -> dict[str, Any] | None:
    counts = rows.get("days")
    plot = plots.days(counts) if isinstance(counts, list) else None
    if plot is None:
        return None
    level, same = str(rows.get("level") or ""), rows.get("same_days")
    known = len(same) if isinstance(same, list) else 0
    about = said(rows.get("said")) or (
        f"{number(rows.get('in'))} rows, as on {known} earlier days of this weekday"
        if known >= 4
        else f"{number(rows.get('in'))} rows; it takes 4 earlier days of this weekday to judge"
    )
    return {
        "level": _WORDS.get(level, cut(level)),
        "tone": tone(level),
        "plot": plot,
        "about": about,
    }


def _power(power: Mapping[str, Any], alpha: Any) -> str:
    seen, far, rows = (power.get(key) for key in ("seen", "deviations", "rows"))
    if not isinstance(seen, int | float) or not isinstance(far, int | float):
        return ""
    chance = f"{alpha:.1%}" if isinstance(alpha, int | float) else "–"
    return (
        f"With {number(rows)} rows, a column whose mean has moved by {far:.2f} standard deviations "
        f"(a true PSI of {seen:.3f}) is named in 4 of 5 nights. A night in which nothing has "
        f"moved has a false alarm with a chance of at most {chance}."
    )
