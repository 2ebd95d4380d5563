"""The page of a night: one HTML file of at most 300 kB, without a script, from its record.

    <warehouse>/nights/<NAME>/<DATE>.html

What a record says is text wherever it came from: it is escaped, cut, and nothing of it is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfspark import storage
from tfspark.page import drift, late
from tfspark.page.render import render
from tfspark.page.words import (
    SIGNS,
    TONES,
    cut,
    day_of,
    interval,
    moment,
    number,
    part,
    parts,
    said,
    seconds,
    share,
    tone,
)

MOST_BYTES = 300_000
_SIZES = ((24, 20), (12, 10), (6, 5), (2, 2), (0, 0))
"""Plots of columns and examples: fewer where a page would be too large."""
_STATES = {
    "done": ("green", "✓"),
    "skipped": ("grey", "–"),
    "degraded": ("yellow", "▲"),
    "failed": ("red", "✕"),
}
_GATE = {
    "better": "green",
    "not worse": "green",
    "worse": "red",
    "refused": "red",
    "cannot tell": "yellow",
}


def write_night(record: Mapping[str, Any], folder: str) -> str:
    """Write the page of a night; its path.

    Args:
        record: of the night.
        folder: of all nights; the page goes into the folder of the record's name.

    Raises:
        StorageError: it cannot be written.
    """
    name, date = cut(record["name"]), day_of(record["date"])
    path = storage.join(folder, name, f"{date}.html")
    storage.write_bytes(path, night_page(record).encode())
    return path


def night_page(record: Mapping[str, Any]) -> str:
    """The page as a text, whatever of a record is missing."""
    page = ""
    for columns, examples in _SIZES:
        page = render("night.html", view(record, columns, examples))
        if len(page.encode()) <= MOST_BYTES:
            break
    return page


def view(record: Mapping[str, Any], columns: int, examples: int) -> dict[str, Any]:
    """What the template shows: texts alone."""
    verdict = str(record.get("verdict") or "")
    colour = TONES.get(verdict, "grey")
    name, date = cut(record.get("name")), day_of(record.get("date"))
    rows = part(record.get("rows"))
    started, ended = moment(record.get("started")), moment(record.get("ended"))
    shown = parts(record.get("quarantine_examples"))[:examples]
    names = list(dict.fromkeys(key for one in shown for key in part(one.get("row"))))[:12]
    return {
        "title": f"{name} {date}: {verdict}",
        "index": "../index.html",
        "ran": " – ".join(text for text in (started, ended) if text),
        "tone": colour,
        "sign": SIGNS[colour],
        "verdict": {"green": "Green", "yellow": "Yellow", "red": "Red"}.get(verdict, "No verdict"),
        "name": name,
        "date": date,
        "message": said(record.get("message")),
        "what_to_do": said(record.get("what_to_do")),
        "tiles": _tiles(record, rows),
        "watch": drift.view(part(record.get("watch")), columns),
        "labels": late.view(part(record.get("labels"))),
        "gate": _gate(part(record.get("gate"))),
        "quarantined": bool(rows.get("quarantined") or shown),
        "quarantine_said": _quarantine(rows, bool(names)),
        "example_columns": [cut(one, 40) for one in names],
        "examples": [
            {
                "reasons": cut("; ".join(map(str, _listed(one.get("reasons")))), 240),
                "values": [cut(part(one.get("row")).get(key)) for key in names],
            }
            for one in shown
        ],
        "steps": [_step(one) for one in parts(record.get("steps"))],
        "history": [
            {
                "at": moment(one.get("at")),
                "version": cut(one.get("version")),
                "by": cut(one.get("by")),
                "reason": cut(one.get("reason"), 200),
            }
            for one in parts(record.get("history"))[:20]
        ],
        "pin": _pin(part(record.get("pin")), record),
    }


def _tiles(record: Mapping[str, Any], rows: Mapping[str, Any]) -> list[dict[str, str]]:
    came, bad = rows.get("in"), rows.get("quarantined")
    model = part(part(record.get("pin")).get("model"))
    published = part(record.get("published"))
    of = share(bad / came) if isinstance(came, int) and isinstance(bad, int) and came else ""
    at = f"version {cut(published.get('version'))}" if published else "not published"
    late_day = "filled in later" if record.get("backfilled") else ""
    version = cut(model.get("version"), 12) or "–"
    return [
        {"name": "rows in", "value": number(came), "about": late_day},
        {"name": "scored", "value": number(rows.get("scored")), "about": at},
        {"name": "quarantined", "value": number(bad), "about": of and f"{of} of the rows"},
        {"name": "model", "value": version, "about": cut(str(model.get("digest") or "")[:12])},
        {"name": "took", "value": seconds(record.get("seconds")) or "–", "about": ""},
    ]


def _quarantine(rows: Mapping[str, Any], examples: bool) -> str:
    bad = number(rows.get("quarantined"))
    if examples:
        return f"{bad} rows were refused. Shown are columns that the contract marks public."
    return (
        f"{bad} rows were refused; they stand in the quarantine table. No values are shown here: "
        "no column is marked `classification: public` in the contract."
    )


def _step(one: Mapping[str, Any]) -> dict[str, str]:
    state = str(one.get("state") or "")
    colour, sign = _STATES.get(state, ("grey", "·"))
    text = said(one.get("said"))
    return {
        "name": cut(one.get("name"), 20),
        "state": cut(state, 20),
        "tone": colour,
        "sign": sign,
        "said": text if state in ("done", "") or not text else f"{state}: {text}",
        "seconds": seconds(one.get("seconds")),
    }


def _gate(gate: Mapping[str, Any]) -> dict[str, Any] | None:
    if not gate:
        return None
    verdict = cut(gate.get("verdict"))
    checked, needed = gate.get("rows"), gate.get("rows_needed")
    said_rows = f"judged on {number(checked)} rows that neither was trained on" if checked else ""
    if needed:
        said_rows += f"; about {number(needed)} would tell"
    return {
        "verdict": verdict,
        "tone": _GATE.get(verdict, "grey"),
        "reason": said(gate.get("reason")),
        "rows": said_rows,
        "metrics": [
            {
                "name": cut(name, 40),
                "champion": number(one.get("champion")),
                "challenger": number(one.get("challenger")),
                "difference": number(one.get("difference")),
                "interval": interval(one.get("low"), one.get("high")),
            }
            for name, one in part(gate.get("metrics")).items()
            if isinstance(one, Mapping)
        ],
        "checks": [
            {
                "name": cut(one.get("name"), 60),
                "passed": "passed" if one.get("passed") else "failed",
                "tone": tone("ok" if one.get("passed") else "alert"),
                "said": cut(one.get("said"), 240),
            }
            for one in parts(gate.get("checks"))
        ],
    }


def _pin(pin: Mapping[str, Any], record: Mapping[str, Any]) -> list[dict[str, str]]:
    """What the night read, by name; run and token last, they are for searching a log."""
    flat: dict[str, str] = {}
    for name, value in pin.items():
        if isinstance(value, Mapping):
            flat[str(name)] = ", ".join(f"{key} {cut(inner)}" for key, inner in value.items())
        elif value is not None:
            flat[str(name)] = cut(value)
    flat |= {name: cut(record[name]) for name in ("run", "token") if record.get(name)}
    return [{"name": cut(name, 40), "value": cut(value, 400)} for name, value in flat.items()]


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value] if value else []
