"""One process at a time in a folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from pyarrow import fs as pafs

from tfspark.storage.files import filesystem


@contextmanager
def locked(folder: str, must: bool = True) -> Iterator[None]:
    """Wait for the folder. Only local folders can be locked; elsewhere it is the user's care.

    Args:
        must: fail where a mount knows no locks of folders, as NFS; otherwise go on without.
    """
    fs, inner = filesystem(folder)
    if not isinstance(fs, pafs.LocalFileSystem):
        yield
        return
    handle = None
    try:
        try:
            handle = os.open(inner, os.O_RDONLY)
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            if must:
                raise
        yield
    finally:
        if handle is not None:
            os.close(handle)
