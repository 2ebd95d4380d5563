"""What the processes of a benchmark cost: CPU seconds and peak memory, from /proc."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Usage:
    """Of all processes below this one while the block ran.

    Attributes:
        cpu_seconds: of Java and of Python together.
        peak_mb: kind of process → the most that one process of it held: `java`, `spark python`
            (below Java), `python` (the others).
    """

    cpu_seconds: float = 0.0
    peak_mb: dict[str, float] = field(default_factory=dict)


class Watch:
    """`with Watch() as usage:` samples the processes of this user's run ten times a second."""

    def __init__(self) -> None:
        self.usage = Usage()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Usage:
        self._before = _cpu(below(os.getpid()))
        self._thread.start()
        return self.usage

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        after = _cpu(below(os.getpid()))
        spent = sum(seconds - self._before.get(pid, 0.0) for pid, seconds in after.items())
        self.usage.cpu_seconds = round(spent, 1)

    def _run(self) -> None:
        peaks = self.usage.peak_mb
        while not self._stop.wait(0.1):
            for pid, kind in below(os.getpid()).items():
                peaks[kind] = round(max(peaks.get(kind, 0), memory_mb(pid)), 1)


def below(root: int) -> dict[int, str]:
    """Every process below this one, not counting it, and its kind."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: dict[int, str] = {}
    todo = [(root, False)]
    while todo:
        parent, under_java = todo.pop()
        for child in children.get(parent, []):
            name = _name(child)
            # Anything else is a helper that Java starts, and shares Java's memory for a moment.
            kind = "java" if name == "java" else "python" if "python" in name else "other"
            found[child] = "spark python" if under_java and kind == "python" else kind
            todo.append((child, under_java or kind == "java"))
    return found


def _stat(pid: int) -> list[str]:
    """The fields after the command's name: state, parent, ..."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _cpu(pids: Iterable[int]) -> dict[int, float]:
    stats = {pid: _stat(pid) for pid in pids}
    return {pid: (int(s[11]) + int(s[12])) / _TICK for pid, s in stats.items() if s}


def peak_mb(pid: int) -> float:
    """The most memory that a process has ever held (VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 2**10


def memory_mb(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * _PAGE / 2**20
