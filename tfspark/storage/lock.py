"""One process at a time in a folder."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tfspark.errors import StorageError, StoreBusy
from tfspark.storage.files import delete_file, find_json, join
from tfspark.storage.owner import lives, note
from tfspark.storage.place import parse
from tfspark.storage.versions import write_new

_LOCK = "_lock.json"
_LONGEST = 3600.0  # seconds that anything is done under a lock of HDFS
_WAIT = 600.0


@contextmanager
def locked(folder: str, must: bool = True) -> Iterator[None]:
    """Wait for the folder.

    Folders of this machine are locked by its kernel, those of HDFS by a file. Object stores need
    no lock: what is written there names the version that it replaces.

    Args:
        must: fail where a mount knows no locks of folders, as NFS; otherwise go on without, as on
            HDFS.
    """
    place = parse(folder)
    if place.is_local:
        with _by_kernel(place.key, must):
            yield
    elif place.scheme == "hdfs" and must:
        with _by_file(join(folder, _LOCK)):
            yield
    else:
        yield


@contextmanager
def _by_kernel(folder: str, must: bool) -> Iterator[None]:
    handle = None
    try:
        try:
            handle = os.open(folder, os.O_RDONLY)
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            if must:
                raise
        yield
    finally:
        if handle is not None:
            os.close(handle)


@contextmanager
def _by_file(path: str) -> Iterator[None]:
    until = time.monotonic() + _WAIT
    mine = note()
    content = json.dumps(mine).encode()
    while True:
        try:
            write_new(path, content)
            break
        except FileExistsError:
            said = find_json(path)
        if said is None:
            continue
        if not lives(said, path) or time.time() - said["since"] > _LONGEST:
            with suppress(FileNotFoundError):
                delete_file(path)
        elif time.monotonic() > until:
            raise StoreBusy(
                f"{path}: process {said['pid']} of {said['host']} has held this lock since "
                f"{_WAIT:.0f} s; try again when it is done, or remove the file if it is dead"
            )
        else:
            time.sleep(0.2)
    try:
        yield
    finally:
        with suppress(OSError, StorageError):
            if find_json(path) == mine:
                delete_file(path)
