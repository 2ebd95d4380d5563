"""Coordinates of the plots; the templates draw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfspark.page.words import cut, day_of, number, share

_WIDTH, _HEIGHT, _TOP = 320.0, 80.0, 4.0
_MOST = 40  # bars
_ROWS_WIDTH, _ROWS_HEIGHT = 480.0, 100.0
_LEFT, _RIGHT, _LOW, _HIGH = 36.0, 480.0, 130.0, 8.0


def bars(column: Mapping[str, Any]) -> dict[str, Any] | None:
    """A bar a bin: what training had, and in front of it what the day has.

    Bins that are empty in both are left out.
    """
    named = zip(
        column.get("edges") or (),
        column.get("shares_reference") or (),
        column.get("shares_day") or (),
        strict=False,
    )
    shown = [(name, float(was), float(now)) for name, was, now in named if was or now][:_MOST]
    if not shown:
        return None
    step = _WIDTH / len(shown)
    width = step * 0.86
    scale = (_HEIGHT - _TOP) / max(max(was, now) for _, was, now in shown)
    made = []
    for place, (name, was, now) in enumerate(shown):
        x, before, today = place * step + (step - width) / 2, was * scale, now * scale
        made.append(
            {
                "title": f"{cut(name, 40)}: {share(was)} in training, {share(now)} this day",
                "x": _round(x),
                "width": _round(width),
                "inner_x": _round(x + width * 0.22),
                "inner": _round(width * 0.56),
                "was": _round(before),
                "was_y": _round(_HEIGHT - before),
                "is": _round(today),
                "is_y": _round(_HEIGHT - today),
            }
        )
    label = f"shares of {cut(column.get('name'), 40)} by bin, in training and this day"
    return {"label": label, "bars": made}


def days(counts: Sequence[Sequence[Any]]) -> dict[str, Any] | None:
    """A bar a day, the last one marked."""
    pairs = [(day_of(one[0]), float(one[1])) for one in counts[-60:] if len(one) == 2]
    if not pairs:
        return None
    step = min(_ROWS_WIDTH / len(pairs), 40.0)
    most = max(count for _, count in pairs) or 1.0
    made = [
        {
            "title": f"{day}: {number(count)} rows",
            "kind": "now" if place == len(pairs) - 1 else "was",
            "x": _round(_ROWS_WIDTH - (len(pairs) - place) * step + step * 0.1),
            "width": _round(step * 0.8),
            "height": _round(count / most * (_ROWS_HEIGHT - 6)),
            "y": _round(_ROWS_HEIGHT - count / most * (_ROWS_HEIGHT - 6)),
        }
        for place, (day, count) in enumerate(pairs)
    ]
    first = pairs[0][0] if len(pairs) * step > _ROWS_WIDTH / 2 else ""
    return {"label": "rows a day", "bars": made, "first": first, "last": pairs[-1][0]}


def metric(found: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """A line through the days that have a value, with its interval and the estimate."""
    values = [
        float(one[key])
        for one in found
        for key in ("value", "low", "high", "estimate")
        if isinstance(one.get(key), int | float)
    ]
    if not values:
        return None
    low, high = min(values), max(values)
    room = (high - low) * 0.08 or abs(high) * 0.05 or 0.05
    low, high = low - room, high + room

    def x(place: int) -> float:
        return _round(_LEFT + (_RIGHT - _LEFT - 8) * (place + 0.5) / len(found))

    def y(value: Any) -> float:
        return _round(_LOW - (float(value) - low) / (high - low) * (_LOW - _HIGH))

    at = list(enumerate(found))
    told = [(i, one) for i, one in at if isinstance(one.get("value"), int | float)]
    wide = [
        (i, one)
        for i, one in told
        if isinstance(one.get("low"), int | float) and isinstance(one.get("high"), int | float)
    ]
    estimated = [(i, one) for i, one in at if isinstance(one.get("estimate"), int | float)]
    band = [f"{x(i)},{y(one['low'])}" for i, one in wide]
    band += [f"{x(i)},{y(one['high'])}" for i, one in reversed(wide)]
    dots = [
        {
            "x": x(i),
            "y": y(one["value"]),
            "kind": "dot" if one.get("counts", True) else "open",
            "title": f"{day_of(one.get('date'))}: {number(one['value'])}, "
            f"{share(one.get('coverage'))} of the labels",
        }
        for i, one in told
    ]
    ticks = [
        {"y": y(value), "text": f"{value:.3g}"}
        for value in (low + room, (low + high) / 2, high - room)
    ]
    return {
        "label": "the metric by day",
        "ticks": ticks,
        "band": " ".join(band) if len(wide) > 1 else "",
        "points": " ".join(f"{x(i)},{y(one['value'])}" for i, one in told),
        "estimate": " ".join(f"{x(i)},{y(one['estimate'])}" for i, one in estimated),
        "dots": dots,
        "first": day_of(found[0].get("date")),
        "last": day_of(found[-1].get("date")),
    }


def _round(value: float) -> float:
    return round(value, 1)
