"""What a job says while it runs, and at its end.

On a terminal: a line a step, with a bar while it runs. In a notebook, or with `--log plain`: the
lines alone. Elsewhere: one JSON object a line on stderr, for log collectors. The summary goes to
stdout, last.
"""

from __future__ import annotations

import datetime as dt
import html
import json
import os
import re
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tfspark.mask import mask_text, mask_value

FORMS = ("plain", "json", "auto")
_BAR, _WIDTH = 24, 110
_TICK = 1.0
_EVERY = {"live": 0.5, "plain": 30.0, "json": 5.0}
"""Seconds between two words on how far a step is."""

CONTROL = "[\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069]"
"""Characters that move a terminal's cursor, end its lines, or turn the order of what is read."""


def printable(text: str) -> str:
    """A text in which nothing controls the terminal: such characters are written `\\x1b`."""
    return re.sub(CONTROL, lambda found: ascii(found[0])[1:-1], text)


def watched() -> bool:
    """Whether a person reads along: on a terminal, or in a notebook (also by its `!command`)."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules or "JPY_PARENT_PID" in os.environ


class Steps:
    """The steps of one run of one job.

    Attributes:
        tasks: how many of Spark's tasks are done, and of how many; None where nothing runs.
    """

    def __init__(self, job: str, run_id: str | None = None, form: str | None = None) -> None:
        self.job = job
        self.run_id = run_id or uuid.uuid4().hex
        self.started = time.monotonic()
        self.tasks: Callable[[], tuple[int, int] | None] | None = None
        self._began = self._progressed = self.started
        self._open: list[str] = []
        self._told = False  # whether the step says itself how far it is
        form = form or os.environ.get("TFSPARK_LOG", "auto")
        words = form == "plain" or (form != "json" and watched())
        self.form = "json" if not words else "live" if sys.stderr.isatty() else "plain"

    @contextmanager
    def step(
        self, name: str, of: int | None = None, rate: bool = False, **about: Any
    ) -> Iterator[dict[str, Any]]:
        """One step; what is put into the yielded dict is shown when the step ends.

        Args:
            of: the rows that it has before it, where they are known.
            rate: whether to say at its end how many of its `rows` were done in a second.
        """
        began = self._began = self._progressed = time.monotonic()
        info: dict[str, Any] = dict(about)
        self._open.append(name)
        if self.form == "live":
            print(f"\r\033[K  … {name}", end="", file=sys.stderr, flush=True)
        elif self.form == "json":
            self._json("start", name, info)
        try:
            with self._counting(name, of):
                yield info
        except BaseException as error:
            self._open.pop()
            self._end("failed", name, began, {**info, "error": type(error).__name__})
            raise
        self._open.pop()
        seconds = time.monotonic() - began
        if rate and info.get("rows") and seconds >= 0.1:
            info["rows_per_second"] = round(info["rows"] / seconds)
        self._end("done", name, began, info)

    def note(self, message: str) -> None:
        """Something the user should know that is no step."""
        message = mask_text(message)
        if self.form == "json":
            self._json("note", message, {})
        else:
            start = "\r" if self.form == "live" else ""
            print(f"{start}    {printable(message)}", file=sys.stderr, flush=True)

    def progress(self, epoch: int, epochs: int, about: Mapping[str, Any]) -> None:
        """How far a training is: a bar on a terminal, elsewhere a line every few seconds."""
        self._told = True
        self._far("fit", epoch, epochs, {"epoch": epoch, "epochs": epochs}, about)

    def seconds(self) -> float:
        return round(time.monotonic() - self.started, 1)

    @contextmanager
    def _counting(self, name: str, of: int | None) -> Iterator[None]:
        """While a step runs: how many of Spark's tasks, and so about how many rows, are done."""
        if self.tasks is None:
            yield
            return
        ended, self._told = threading.Event(), False
        thread = threading.Thread(target=self._count, args=(name, of, ended), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _count(self, name: str, of: int | None, ended: threading.Event) -> None:
        while not ended.wait(_TICK) and not self._told and self.tasks:
            try:
                found = self.tasks()
            except Exception:  # Spark is gone: the step itself says so
                return
            if found is None or self._told:
                continue
            done, all_tasks = found
            tasks = {"tasks": done, "of_tasks": all_tasks}
            if of is None or not done:
                self._far(name, done, all_tasks, tasks, {})
                continue
            rows = of * done // all_tasks
            rate = round(rows / (time.monotonic() - self._began))
            self._far(name, rows, of, {"rows": rows, "of": of, **tasks}, {"rows_per_second": rate})

    def _far(
        self, name: str, done: int, of: int, told: Mapping[str, Any], about: Mapping[str, Any]
    ) -> None:
        now = time.monotonic()
        if now - self._progressed < _EVERY[self.form] and not (self._told and self.form == "live"):
            return
        self._progressed = now
        if 0 < done < of:
            left = round((now - self._began) / done * (of - done))
            about = {**about, "seconds_left": left}
        if self.form == "json":
            self._json("progress", name, {**told, **about})
            return
        details = _listed(about)
        if self.form == "plain":
            print(f"    {name}: {done:,} of {of:,}   {details}".rstrip(), file=sys.stderr)
        else:
            filled = round(_BAR * done / max(of, 1))
            bar = "█" * filled + "░" * (_BAR - filled)
            shown = f"  {bar} {done:,}/{of:,}   {details}"
            print(f"\r\033[K{shown}"[: _WIDTH + 4], end="", file=sys.stderr)
        sys.stderr.flush()

    def _end(self, event: str, name: str, began: float, info: dict[str, Any]) -> None:
        seconds = round(time.monotonic() - began, 2)
        if self.form == "json":
            self._json(event, name, {**info, "seconds": seconds})
            return
        sign = "✓" if event == "done" else "✗"
        start = "\r\033[K" if self.form == "live" else ""
        line = f"{start}  {sign} {name:<24}{seconds:>7.1f} s   {_listed(mask_value(info))}"
        print(line.rstrip(), file=sys.stderr, flush=True)
        if self.form == "live" and self._open:  # it goes on
            print(f"  … {self._open[-1]}", end="", file=sys.stderr, flush=True)

    def _json(self, event: str, name: str, fields: Mapping[str, Any]) -> None:
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        head = {"time": now, "job": self.job, "run_id": self.run_id, "event": event, "step": name}
        line = json.dumps({**head, **mask_value(fields)}, default=str)
        print(line, file=sys.stderr, flush=True)


class Shown:
    """A result that is shown as a table: as text, and in a notebook."""

    def to_dict(self) -> dict[str, Any]:
        """Its fields, as jobs print them."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return "\n".join([type(self).__name__, *_lines(_cells(self.to_dict()))])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
            for name, value in _cells(self.to_dict()).items()
        )
        return f"<table><caption>{type(self).__name__}</caption>{rows}</table>"


def print_summary(title: str, fields: Mapping[str, Any]) -> None:
    """One screen: a title and aligned fields. `None` is left out."""
    print("\n".join([f"\n{title}", *_lines(_cells(fields))]), flush=True)


def _cells(fields: Mapping[str, Any]) -> dict[str, str]:
    told = mask_value(fields).items()
    return {key.replace("_", " "): _short(value) for key, value in told if value is not None}


def _lines(cells: Mapping[str, str]) -> list[str]:
    width = max(map(len, cells), default=0)
    return [f"  {name:<{width}}  {value}" for name, value in cells.items()]


def _listed(fields: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in fields.items())


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
