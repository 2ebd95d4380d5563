"""A folder whose every use is seen: inotify tells what was opened, read, written, made."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

_NAMES = {
    1: "read",
    2: "written",
    0x20: "opened",
    0x100: "made",
    0x200: "removed",
    0x40: "moved",
    0x80: "moved",
}
_EVENT = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


class Watched:
    """What happened to the files of a folder since it was asked last."""

    def __init__(self, folder: Path) -> None:
        self._file = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if _libc.inotify_add_watch(self._file, os.fsencode(folder), sum(_NAMES)) < 0:
            raise OSError(ctypes.get_errno(), "inotify")

    def happened(self) -> set[str]:
        found: set[str] = set()
        while True:
            try:
                events = os.read(self._file, 1 << 16)
            except BlockingIOError:
                return found
            while events:
                _, mask, _, size = _EVENT.unpack_from(events)
                name = events[_EVENT.size : _EVENT.size + size].rstrip(b"\0").decode()
                if name:  # and not the folder itself
                    found |= {f"{name} {what}" for bit, what in _NAMES.items() if mask & bit}
                events = events[_EVENT.size + size :]

    def close(self) -> None:
        os.close(self._file)
