"""Staging folders: where a job writes until it publishes, and what killed jobs left there."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from tfspark.storage.files import (
    delete,
    filesystem,
    find_json,
    join,
    make_dir,
    move,
    names,
    write_json,
)
from tfspark.storage.lock import locked
from tfspark.storage.owner import lives, note, renewals
from tfspark.storage.place import parse

_OWNER = "_owner.json"
_NEW = "_new-"  # of HDFS: its owner comes in a moment
_NEW_SECONDS = 600


def new_staging(
    parent: str, label: str, pid: int | None = None, remove: Callable[[str], None] = delete
) -> str:
    """A fresh folder `<parent>/_staging/<label>-<id>`; what killed jobs left there is removed.

    A leftover is removed when its process is gone from this machine, or, if another machine
    made it, when it has not renewed its note for hours: a job that still runs never loses its
    folder.

    Args:
        pid: the process that the job lives and dies with; default: this one.
        remove: takes a leftover away, with the files elsewhere that it tells of.
    """
    root = join(parent, "_staging")
    make_dir(root)
    with locked(root, must=False):  # a folder that has no owner yet looks abandoned
        for left in abandoned(parent, label):
            remove(left)
        name = f"{label}-{uuid.uuid4().hex[:12]}"
        folder, owner = join(root, name), note(pid)
        if parse(root).scheme == "hdfs":
            # No lock there: the folder comes with its owner, by a rename.
            unnamed = join(root, _NEW + name)
            write_json(join(unnamed, _OWNER), owner)
            move(unnamed, folder)
        else:
            make_dir(folder)
            write_json(join(folder, _OWNER), owner)
    if pid is None:
        renewals.add(join(folder, _OWNER), owner)
    return folder


def abandoned(parent: str, label: str) -> list[str]:
    """The staging folders that killed jobs left under `<parent>/_staging`."""
    root = join(parent, "_staging")
    begins = (f"{label}-", f"{_NEW}{label}-")
    found = [join(root, name) for name in names(root) if name.startswith(begins)]
    return [folder for folder in found if _abandoned(folder)]


def running_since(parent: str) -> list[float]:
    """When the jobs began that have a folder under `<parent>/_staging` and live."""
    root = join(parent, "_staging")
    folders = [folder for name in names(root) if not _abandoned(folder := join(root, name))]
    notes = [find_json(join(folder, _OWNER)) for folder in folders]
    return [float(note["since"]) for note in notes if note]


def _abandoned(folder: str) -> bool:
    said = find_json(path := join(folder, _OWNER))
    if said is not None:
        return not lives(said, path)
    if not folder.rpartition("/")[2].startswith(_NEW):
        return True
    fs, inner = filesystem(folder)
    made = fs.get_file_info(inner).mtime_ns
    return made is not None and time.time() - made / 1e9 > _NEW_SECONDS
