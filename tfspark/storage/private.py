"""Folders of this machine whose files nobody else can have put there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from tfspark.errors import StorageError
from tfspark.wording import say

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def private_folder(folder: Path, variable: str) -> Path:
    """A folder that is this user's alone; made if it is not there.

    Whoever may write to a folder above it could put another one in its place. So each belongs to
    root or to this user, and others may write to it only where they cannot rename what is not
    theirs (the sticky bit, as `/tmp` has it).

    Args:
        variable: of the environment, which names another folder.

    Raises:
        StorageError: it cannot be made, or others could write to it.
    """
    folder = folder.absolute()
    try:
        _make(folder)
        own = folder.lstat()
        above = next((path for path in _passed(folder.parent) if not _safe(path)), None)
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot be used ({error}); name another folder in {variable}"
        ) from error
    mine_alone = own.st_uid == os.getuid() and not own.st_mode & _OTHERS_WRITE
    if not stat.S_ISDIR(own.st_mode) or not mine_alone:
        raise StorageError(say("open_folder", folder=folder, variable=variable))
    if above is not None:
        raise StorageError(say("open_above", above=above, folder=folder, variable=variable))
    return folder


def _make(folder: Path) -> None:
    """With all above it that is missing, whatever the umask."""
    if not folder.parent.exists():
        _make(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


def _passed(path: Path) -> Iterator[Path]:
    """Every folder and link on the way to a path, and the path itself."""
    at = Path("/")
    yield at
    for part in path.parts[1:]:
        if part == "..":
            at = at.parent
            continue
        step = at / part
        yield step
        if step.is_symlink():
            yield from _passed(at / step.readlink())
            step = step.resolve()
        at = step


def _safe(path: Path) -> bool:
    found = path.lstat()
    open_to_others = found.st_mode & _OTHERS_WRITE and not found.st_mode & stat.S_ISVTX
    return found.st_uid in (0, os.getuid()) and (path.is_symlink() or not open_to_others)
