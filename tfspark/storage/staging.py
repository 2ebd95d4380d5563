"""Staging folders: where a job writes until it publishes, and what killed jobs left there."""

from __future__ import annotations

import os
import socket
import time
import uuid
from pathlib import Path

from tfspark.storage.files import delete, exists, join, make_dir, names, read_json, write_json

_OWNER = "_owner.json"
_FOREIGN_STAGING_SECONDS = 7 * 24 * 3600


def new_staging(parent: str, label: str, pid: int | None = None) -> str:
    """A fresh folder `<parent>/_staging/<label>-<id>`; what killed jobs left there is removed.

    A leftover is removed when its process is gone from this machine, or, if another machine
    made it, after a week: a job that still runs never loses its folder.

    Args:
        pid: the process that the job lives and dies with; default: this one.
    """
    for left in abandoned(parent, label):
        delete(left)
    folder = join(parent, "_staging", f"{label}-{uuid.uuid4().hex[:12]}")
    make_dir(folder)
    owner = {"host": socket.gethostname(), "pid": pid or os.getpid(), "since": time.time()}
    write_json(join(folder, _OWNER), owner)
    return folder


def abandoned(parent: str, label: str) -> list[str]:
    """The staging folders that killed jobs left under `<parent>/_staging`."""
    root = join(parent, "_staging")
    found = [join(root, name) for name in names(root) if name.startswith(f"{label}-")]
    return [folder for folder in found if _abandoned(folder)]


def _abandoned(folder: str) -> bool:
    if not exists(join(folder, _OWNER)):
        return True
    owner = read_json(join(folder, _OWNER))
    if owner["host"] == socket.gethostname():
        return not _runs(owner["pid"])
    return bool(time.time() - owner["since"] > _FOREIGN_STAGING_SECONDS)


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat[stat.rindex(")") + 2] not in "ZX"  # killed, and its parent has not looked yet
