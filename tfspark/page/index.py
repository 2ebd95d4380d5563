"""The index of all nights: the newest 90 on one page, older ones on a page a month.

    <warehouse>/nights/index.html, index-2026-08.html

It is made of the records beside the pages. A month that is over and is on no newer page keeps its
page, so what a night costs does not grow with the years.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tfspark import storage
from tfspark.errors import StorageError
from tfspark.page.render import render
from tfspark.page.words import SIGNS, TONES, cut, number, part

NEWEST = 90
_RECORD = re.compile(r"(\d{4}-\d{2}-\d{2})\.json")


def write_index(folder: str) -> str:
    """Write the index of the nights in a folder, and the months that have none yet; its path.

    Raises:
        StorageError: it cannot be written.
    """
    found = sorted(_records(folder), reverse=True)
    newest, older = found[:NEWEST], found[NEWEST:]
    months: dict[str, list[tuple[str, str, str]]] = {}
    for one in older:
        months.setdefault(one[0][:7], []).append(one)
    links = [
        {"name": month, "href": f"index-{month}.html", "count": number(len(inside))}
        for month, inside in months.items()
    ]
    on_newest = {one[0][:7] for one in newest}
    for month, inside in months.items():
        path = storage.join(folder, f"index-{month}.html")
        if month in on_newest or not storage.exists(path):
            title = f"Nights of {month}"
            storage.write_bytes(path, _page(title, inside, []).encode())
    path = storage.join(folder, "index.html")
    storage.write_bytes(path, _page("Nights", newest, links).encode())
    return path


def _records(folder: str) -> list[tuple[str, str, str]]:
    """Day, name and path of every record."""
    found = []
    for name in storage.names(folder):
        inside = storage.join(folder, name)
        for file in storage.names(inside) if storage.is_dir(inside) else ():
            if match := _RECORD.fullmatch(file):
                found.append((match[1], name, storage.join(inside, file)))
    return found


def _page(
    title: str, nights: Sequence[tuple[str, str, str]], older: Sequence[Mapping[str, str]]
) -> str:
    months: dict[str, list[dict[str, str]]] = {}
    counted = {"green": 0, "yellow": 0, "red": 0, "grey": 0}
    for day, name, path in nights:
        line = _line(day, name, path)
        counted[line["tone"]] += 1
        months.setdefault(day[:7], []).append(line)
    parts = [f"{count} {tone}" for tone, count in counted.items() if count and tone != "grey"]
    return render(
        "index.html",
        {
            "title": title,
            "said": f"{len(nights)} nights: {', '.join(parts)}" if parts else "no nights yet",
            "months": [{"name": month, "nights": inside} for month, inside in months.items()],
            "older": older,
        },
    )


def _line(day: str, name: str, path: str) -> dict[str, str]:
    try:
        record = part(storage.read_json(path))
    except StorageError:  # one that is damaged: its page may still be there
        record = {}
    verdict = str(record.get("verdict") or "")
    tone = TONES.get(verdict, "grey")
    rows = part(record.get("rows"))
    page = path.removesuffix(".json") + ".html"
    return {
        "date": day,
        "name": cut(name, 40),
        "href": f"{name}/{day}.html" if storage.exists(page) else "",
        "verdict": verdict if tone != "grey" else "no record",
        "tone": tone,
        "sign": SIGNS[tone],
        "rows": number(rows.get("in")),
        "quarantined": number(rows.get("quarantined")),
        "drift": cut(part(record.get("watch")).get("verdict"), 20),
        "message": cut(record.get("message"), 140),
    }
