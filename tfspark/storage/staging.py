"""Staging folders: where a job writes until it publishes, and what killed jobs left there."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from tfspark.storage.files import checked, delete, find_json, join, make_dir, names, write_json
from tfspark.storage.lock import locked

_OWNER = "_owner.json"
_FOREIGN_STAGING_SECONDS = 7 * 24 * 3600


def new_staging(
    parent: str, label: str, pid: int | None = None, remove: Callable[[str], None] = delete
) -> str:
    """A fresh folder `<parent>/_staging/<label>-<id>`; what killed jobs left there is removed.

    A leftover is removed when its process is gone from this machine, or, if another machine
    made it, after a week: a job that still runs never loses its folder.

    Args:
        pid: the process that the job lives and dies with; default: this one.
        remove: takes a leftover away, with the files elsewhere that it tells of.
    """
    root = join(parent, "_staging")
    make_dir(root)
    with locked(root, must=False):  # a folder that has no owner yet looks abandoned
        for left in abandoned(parent, label):
            remove(left)
        folder = join(root, f"{label}-{uuid.uuid4().hex[:12]}")
        make_dir(folder)
        owner = {"host": socket.gethostname(), "pid": pid or os.getpid(), "since": time.time()}
        write_json(join(folder, _OWNER), owner)
    return folder


def abandoned(parent: str, label: str) -> list[str]:
    """The staging folders that killed jobs left under `<parent>/_staging`."""
    root = join(parent, "_staging")
    found = [join(root, name) for name in names(root) if name.startswith(f"{label}-")]
    return [folder for folder in found if _abandoned(folder)]


def running_since(parent: str) -> list[float]:
    """When the jobs began that have a folder under `<parent>/_staging` and live."""
    root = join(parent, "_staging")
    folders = [folder for name in names(root) if not _abandoned(folder := join(root, name))]
    notes = [find_json(join(folder, _OWNER)) for folder in folders]
    return [float(note["since"]) for note in notes if note]


def _abandoned(folder: str) -> bool:
    note = find_json(path := join(folder, _OWNER))
    if note is None:
        return True
    owner = checked(note, path, host=str, pid=int, since=(int, float))
    if owner["host"] == socket.gethostname():
        return not _runs(owner["pid"])
    return bool(time.time() - owner["since"] > _FOREIGN_STAGING_SECONDS)


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat[stat.rindex(")") + 2] not in "ZX"  # killed, and its parent has not looked yet
