"""What is shown of a thing, whatever it is: texts, tables, plots; for a terminal and for a page."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfspark.mask import mask_text
from tfspark.page.render import render
from tfspark.page.words import cut, said

Facts = Sequence[tuple[str, str]]
_CELL = 40
_BARS = " ▁▂▃▄▅▆▇█"
_KINDS = {b"\xff\xd8\xff": "jpeg", b"\x89PNG": "png", b"GIF8": "gif", b"BM": "bmp"}


@dataclass(frozen=True)
class Plot:
    """A bar for each part of what a column holds: (what it is, its share)."""

    name: str
    bars: Sequence[tuple[str, float]]


@dataclass(frozen=True)
class Picture:
    """An image as its file has it."""

    name: str
    content: bytes

    @property
    def kind(self) -> str:
        """The form; "" for one that browsers do not show."""
        return next((k for head, k in _KINDS.items() if self.content.startswith(head)), "")


@dataclass(frozen=True)
class Box:
    """A part of a drawing: its place is (row, column); `to` are places of others."""

    name: str
    about: str
    at: tuple[int, int]
    to: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True)
class Section:
    """A part of a view; `lines` are points of curves (see `tfspark.look.run`)."""

    title: str
    said: str = ""
    facts: Facts = ()
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    plots: Sequence[Plot] = ()
    sheet: Sequence[Picture] = ()
    boxes: Sequence[Box] = ()
    lines: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class View:
    """A thing."""

    title: str
    said: str
    sections: Sequence[Section]

    def text(self) -> str:
        """For a terminal."""
        lines = [cut(self.title), said(self.said)]
        for section in self.sections:
            lines += ["", cut(section.title), *_text(section)]
        return mask_text("\n".join(line.rstrip() for line in lines))

    def page(self) -> str:
        """One HTML page that loads nothing and runs nothing."""
        return render(
            "look.html",
            {
                "title": _shown(self.title),
                "said": _shown(self.said),
                "sections": [_section(section) for section in self.sections],
            },
        )


def _text(section: Section) -> list[str]:
    lines = [f"  {said(section.said)}"] if section.said else []
    width = max((len(cut(name, _CELL)) for name, _ in section.facts), default=0)
    lines += [f"  {cut(name, _CELL):<{width}}  {said(value)}" for name, value in section.facts]
    if section.head:
        lines += _grid([section.head, *section.rows])
    if section.plots:
        width = max(len(cut(plot.name, _CELL)) for plot in section.plots)
        lines += [f"  {cut(plot.name, _CELL):<{width}}  {_bars(plot)}" for plot in section.plots]
    for number in sorted({box.at[0] for box in section.boxes}):
        row = [box for box in section.boxes if box.at[0] == number]
        lines.append("  " + " | ".join(f"{cut(b.name, _CELL)} ({cut(b.about)})" for b in row))
    if section.sheet:
        lines.append(f"  {len(section.sheet)} images are in the page: --html FILE")
    return lines


def _grid(rows: Sequence[Sequence[str]]) -> list[str]:
    cells = [[cut(cell, _CELL) for cell in row] for row in rows]
    widths = [max(len(row[n]) for row in cells) for n in range(len(cells[0]))]
    return ["  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in cells]


def _bars(plot: Plot) -> str:
    most = max((share for _, share in plot.bars), default=0) or 1
    ends = f"  {cut(plot.bars[0][0], 20)} to {cut(plot.bars[-1][0], 20)}" if plot.bars else ""
    # A bar that is there is never as low as none.
    return "".join(_BARS[-int(-share / most * 8 // 1)] for _, share in plot.bars) + ends


def _shown(value: str) -> str:
    return said(mask_text(value))


def _section(section: Section) -> dict[str, Any]:
    return {
        "title": _shown(section.title),
        "said": _shown(section.said),
        "facts": [{"name": _shown(name), "value": _shown(value)} for name, value in section.facts],
        "head": [_shown(cell) for cell in section.head],
        "rows": [[_shown(cell) for cell in row] for row in section.rows],
        "plots": [{"name": _shown(p.name), "plot": _plot(p)} for p in section.plots if p.bars],
        "sheet": [
            {"name": _shown(one.name), "src": _embedded(one)} for one in section.sheet if one.kind
        ],
        "drawing": _drawing(section.boxes),
        "lines": section.lines,
    }


def _embedded(one: Picture) -> str:
    return f"data:image/{one.kind};base64,{base64.b64encode(one.content).decode()}"


def _plot(plot: Plot) -> dict[str, Any]:
    step = 320 / len(plot.bars)
    most = max(share for _, share in plot.bars) or 1
    bars = []
    for place, (name, share) in enumerate(plot.bars):
        at = {"inner_x": round(place * step + step * 0.07, 1), "inner": round(step * 0.86, 1)}
        high = round(76 * share / most, 1)
        bars.append(
            {
                "title": f"{cut(name, _CELL)}: {share:.2%}",
                **{"x": at["inner_x"], "width": at["inner"], "was": 0, "was_y": 80},
                **{**at, "is": high, "is_y": round(80 - high, 1)},
            }
        )
    return {"label": f"shares of {cut(plot.name, _CELL)}", "bars": bars}


_WIDE, _HIGH, _GAP = 150, 40, 26


def _drawing(boxes: Sequence[Box]) -> dict[str, Any] | None:
    """Boxes in rows, each row in the middle, and lines between them."""
    if not boxes:
        return None
    rows: dict[int, int] = {}
    for box in boxes:
        rows[box.at[0]] = max(rows.get(box.at[0], 0), box.at[1] + 1)
    width = max(rows.values()) * (_WIDE + _GAP)

    def corner(at: tuple[int, int]) -> tuple[float, float]:
        left = (width - rows[at[0]] * (_WIDE + _GAP)) / 2
        return left + at[1] * (_WIDE + _GAP) + _GAP / 2, at[0] * (_HIGH + _GAP) + 2

    lines, drawn = [], []
    for box in boxes:
        x, y = corner(box.at)
        about = f"{box.name}: {box.about}"
        drawn.append(
            {
                "x": x,
                "y": y,
                "name": cut(box.name, 22),
                "about": cut(box.about, 24),
                "title": cut(about, 200),
            }
        )
        for other in box.to:
            to_x, to_y = corner(other)
            lines.append({"x1": x + _WIDE / 2, "y1": y + _HIGH, "x2": to_x + _WIDE / 2, "y2": to_y})
    height = (max(rows) + 1) * (_HIGH + _GAP)
    return {
        "width": width,
        "height": height,
        "wide": _WIDE,
        "high": _HIGH,
        "boxes": drawn,
        "lines": lines,
    }
