"""Who makes something: a note by which others can tell whether its process still lives.

A process is known by its machine (host name, boot, namespace of process numbers), its number and
when it started. Of another machine only time tells: an owner renews its note while it lives.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from functools import cache
from pathlib import Path
from typing import Any

from tfspark.errors import StorageError
from tfspark.storage.files import checked, exists, write_json

RENEWED_SECONDS = 300
_SILENT_SECONDS = 6 * 3600
_WITHOUT_NOTE_OF_RENEWAL = 7 * 24 * 3600


def note(pid: int | None = None) -> dict[str, Any]:
    """Of this process, or of another one of this machine, which renews nothing."""
    number, now = pid or os.getpid(), time.time()
    said = {"host": socket.gethostname(), "pid": number, "since": now, **_machine()}
    if (started := _started(number)) is not None:
        said["started"] = started
    return said | ({} if pid else {"renewed": now})


def lives(value: Any, path: str) -> bool:
    """Whether the process of a note does; `path` is for the message."""
    owner = checked(value, path, host=str, pid=int, since=(int, float))
    here = {"host": socket.gethostname(), **_machine()}
    if all(owner.get(name, value) == value for name, value in here.items()):
        started = owner.get("started")
        return _runs(owner["pid"]) and started in (None, _started(owner["pid"]))
    renewed = owner.get("renewed")
    if isinstance(renewed, int | float):
        return bool(time.time() - renewed <= _SILENT_SECONDS)
    return bool(time.time() - owner["since"] <= _WITHOUT_NOTE_OF_RENEWAL)


def _runs(pid: int) -> bool:
    stat = _stat(pid)
    return stat is not None and stat[0] not in "ZX"  # killed, and its parent has not looked yet


def _started(pid: int) -> int | None:
    """In ticks since the machine's start."""
    stat = _stat(pid)
    return None if stat is None else int(stat[19])


def _stat(pid: int) -> list[str] | None:
    """What the kernel says of a process, from its state on."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return stat[stat.rindex(")") + 2 :].split()


@cache
def _machine() -> dict[str, str]:
    found = {}
    try:
        found["boot"] = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        found["namespace"] = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        pass
    return found


class _Renewals:
    """The notes of this process, renewed by one thread as long as they are there."""

    def __init__(self) -> None:
        self._notes: dict[str, dict[str, Any]] = {}
        self._thread: threading.Thread | None = None

    def forget(self) -> None:
        """In a fork, which has no thread of its parent and owns nothing."""
        self._notes, self._thread = {}, None

    def add(self, path: str, said: dict[str, Any]) -> None:
        self._notes[path] = said
        if self._thread is None:
            self._thread = threading.Thread(target=self._renew, daemon=True)
            self._thread.start()

    def drop(self, path: str) -> None:
        self._notes.pop(path, None)

    def _renew(self) -> None:
        wait = threading.Event()
        while not wait.wait(RENEWED_SECONDS):
            for path, said in list(self._notes.items()):
                try:
                    if exists(path):
                        write_json(path, said | {"renewed": time.time()})
                    else:
                        self.drop(path)
                except (OSError, StorageError):
                    continue  # the next time


renewals = _Renewals()
os.register_at_fork(after_in_child=renewals.forget)
