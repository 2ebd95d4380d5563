"""What a job says while it runs, and at its end.

On a terminal: a line a step. Elsewhere: one JSON object a line on stderr, for log collectors.
The summary goes to stdout, last.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tfspark.mask import mask_text, mask_value

_BAR, _WIDTH = 24, 110
_PROGRESS_SECONDS = 5.0


CONTROL = "[\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069]"
"""Characters that move a terminal's cursor, end its lines, or turn the order of what is read."""


def printable(text: str) -> str:
    """A text in which nothing controls the terminal: such characters are written `\\x1b`."""
    return re.sub(CONTROL, lambda found: ascii(found[0])[1:-1], text)


class Steps:
    """The steps of one run of one job."""

    def __init__(self, job: str, run_id: str | None = None) -> None:
        self.job = job
        self.run_id = run_id or uuid.uuid4().hex
        self.started = time.monotonic()
        self._progressed = self.started
        wanted = os.environ.get("TFSPARK_LOG", "")
        self.terminal = sys.stderr.isatty() if wanted not in ("json", "text") else wanted == "text"

    @contextmanager
    def step(self, name: str, **about: Any) -> Iterator[dict[str, Any]]:
        """One step; what is put into the yielded dict is shown when the step ends."""
        began = time.monotonic()
        info: dict[str, Any] = dict(about)
        if self.terminal:
            print(f"  … {name}", end="", file=sys.stderr, flush=True)
        else:
            self._json("start", name, info)
        try:
            yield info
        except BaseException as error:
            self._end("failed", name, began, {**info, "error": type(error).__name__})
            raise
        self._end("done", name, began, info)

    def note(self, message: str) -> None:
        """Something the user should know that is no step."""
        message = mask_text(message)
        if self.terminal:
            print(f"\r    {printable(message)}", file=sys.stderr, flush=True)
        else:
            self._json("note", message, {})

    def progress(self, epoch: int, epochs: int, about: Mapping[str, Any]) -> None:
        """How far a training is: a bar on a terminal, elsewhere a line every few seconds."""
        if self.terminal:
            filled = round(_BAR * epoch / max(epochs, 1))
            bar = "█" * filled + "░" * (_BAR - filled)
            details = ", ".join(f"{key} {_short(value)}" for key, value in about.items())
            print(f"\r\033[K  {bar} {epoch}/{epochs}   {details}"[:_WIDTH], end="", file=sys.stderr)
            sys.stderr.flush()
        elif time.monotonic() - self._progressed > _PROGRESS_SECONDS:
            self._progressed = time.monotonic()
            self._json("progress", "fit", {"epoch": epoch, "epochs": epochs, **about})

    def seconds(self) -> float:
        return round(time.monotonic() - self.started, 1)

    def _end(self, event: str, name: str, began: float, info: dict[str, Any]) -> None:
        seconds = round(time.monotonic() - began, 2)
        if self.terminal:
            sign = "✓" if event == "done" else "✗"
            details = ", ".join(f"{k} {_short(v)}" for k, v in mask_value(info).items())
            line = f"\r\033[K  {sign} {name:<24}{seconds:>7.1f} s   {details}"
            print(line, file=sys.stderr, flush=True)
        else:
            self._json(event, name, {**info, "seconds": seconds})

    def _json(self, event: str, name: str, fields: Mapping[str, Any]) -> None:
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        head = {"time": now, "job": self.job, "run_id": self.run_id, "event": event, "step": name}
        line = json.dumps({**head, **mask_value(fields)}, default=str)
        print(line, file=sys.stderr, flush=True)


def print_summary(title: str, fields: Mapping[str, Any]) -> None:
    """One screen: a title and aligned fields. `None` is left out."""
    shown = {
        key.replace("_", " "): value
        for key, value in mask_value(fields).items()
        if value is not None
    }
    width = max((len(key) for key in shown), default=0)
    print(f"\n{title}")
    for key, value in shown.items():
        print(f"  {key:<{width}}  {_short(value)}")
    sys.stdout.flush()


def _short(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_short(inner)}" for key, inner in value.items())
    return printable(mask_text(str(value)))
