"""The machine's folder of unpacked models: which are in use, and which are removed when.

    <cache>/<digest>/                  a model
    <cache>/<digest>.lease             locked (shared) by every process that uses it, for its life
    <cache>/<digest>.lock              locked by the process that unpacks it
    <cache>/<digest>.loads             a line a load
    <cache>/.<digest>-<...>.partial    a model that is being unpacked
    <cache>/.view-<...>/               what one process sees of it, locked by that (`view.py`)

The kernel ends a lock with its process, however that ends, so whoever has a lease to itself alone
may remove all that belongs to the model. The lease goes last; whoever waited for it sees that the
file is no longer the one of that name, and begins anew. A lease is taken before the lock.

A process that leaves more than the budget in the folder starts this module as a small program of
its own. It sleeps in the kernel until the model's last user is gone, and then removes what is too
much; nothing but Python's own library is imported here for its sake.
"""

from __future__ import annotations

import fcntl
import inspect
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

_DIGEST = re.compile(r"\.?([0-9a-f]{64})(\.lease|\.lock|\.loads|-[0-9a-f]+\.partial)?")
VIEW = ".view-"
"""What the names of views begin with."""
_UNUSED = 7 * 24 * 3600
"""Seconds after which a model that no process opened goes, whatever the budget."""

_held: dict[str, int] = {}


class Model(NamedTuple):
    """What the cache holds of one model.

    Attributes:
        bytes: size of its files, those of interrupted attempts included.
        opened: when a process opened it last, in seconds since 1970.
        whole: whether it is there, and nothing of an attempt that did not end.
    """

    digest: str
    bytes: int
    opened: float
    whole: bool


def hold(root: str, digest: str) -> None:
    """Have this process use a model until it ends: nobody removes it meanwhile.

    Waits while it is being removed.

    Raises:
        OSError: the cache cannot be used.
    """
    lease = _lease(root, digest)
    if lease in _held and _named(_held[lease], lease):
        os.utime(_held[lease])
        return
    release(root, digest)
    while True:
        fd = os.open(lease, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(fd, fcntl.LOCK_SH)
        if _named(fd, lease):
            os.utime(fd)
            _held[lease] = fd
            return
        os.close(fd)


def release(root: str, digest: str) -> None:
    """Use a model no longer."""
    fd = _held.pop(_lease(root, digest), None)
    if fd is not None:
        os.close(fd)


def models(root: str) -> list[Model]:
    """What is in a cache, the one first that was opened longest ago."""
    names: dict[str, list[str]] = {}
    with suppress(FileNotFoundError):
        for name in os.listdir(root):  # noqa: PTH208 - pathlib is not worth its memory here
            if match := _DIGEST.fullmatch(name):
                names.setdefault(match[1], []).append(name)
    found = []
    for digest, mine in names.items():
        paths = [f"{root}/{name}" for name in mine]
        partial = any(name.endswith(".partial") for name in mine)
        size = sum(_bytes(path) for path in paths)
        opened = max((_changed(p) for p in paths if not p.endswith((".lock", ".loads"))), default=0)
        found.append(Model(digest, size, opened, digest in mine and not partial))
    return sorted(found, key=lambda model: model.opened)


def sweep(root: str, budget: int) -> tuple[int, set[str]]:
    """Remove models that no process uses: broken and old ones, and what is above the budget.

    Args:
        budget: bytes that may stay; those opened longest ago go first.

    Returns:
        The bytes that are left, and the digests that should have gone and are in use.
    """
    sweep_views(root)
    found = models(root)
    left = sum(model.bytes for model in found)
    busy: set[str] = set()
    for model in found:
        old = time.time() - model.opened > _UNUSED
        if model.whole and left <= budget and not old:
            continue
        with _alone(_lease(root, model.digest)) as alone:
            if not alone:
                busy.add(model.digest)
            elif _remove(root, model.digest):
                left -= model.bytes
    return left, busy


def sweep_views(root: str) -> None:
    """Remove what processes that are gone saw of the cache."""
    with suppress(FileNotFoundError):
        for name in os.listdir(root):  # noqa: PTH208
            if name.startswith(VIEW):
                with suppress(OSError), _locked(f"{root}/{name}", fcntl.LOCK_EX | fcntl.LOCK_NB):
                    shutil.rmtree(f"{root}/{name}", ignore_errors=True)


@contextmanager
def _locked(folder: str, how: int) -> Iterator[None]:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, how)
        yield
    finally:
        os.close(fd)


def sweep_later(root: str, digest: str, budget: int) -> None:
    """Sweep when the last process that uses a model has ended, however it ends.

    Raises:
        OSError: the program that waits cannot be started.
    """
    program = inspect.getsource(sys.modules[__name__])  # a module in a zip has no file
    root = os.path.abspath(root)  # noqa: PTH100
    command = [sys.executable, "-P", "-S", "-", root, digest, str(budget)]
    started = subprocess.run(
        command,
        input=program.encode(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd="/",
        check=False,
    )
    if started.returncode:
        raise OSError(f"what removes models later did not start: {started.stderr.decode()[-300:]}")


def _wait_and_sweep(root: str, digest: str, budget: int) -> None:
    while True:
        try:
            fd = os.open(_lease(root, digest), os.O_RDWR)
        except FileNotFoundError:
            return
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.close(fd)
        left, busy = sweep(root, budget)
        if left <= budget or digest not in busy:
            return


def _lease(root: str, digest: str) -> str:
    return f"{root}/{digest}.lease"


def _named(fd: int, path: str) -> bool:
    """Whether an open file is still the one of its name."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))  # noqa: PTH116
    except FileNotFoundError:
        return False


@contextmanager
def _alone(lease: str) -> Iterator[bool]:
    """Whether no process uses the model; while it is so, none begins to."""
    fd = os.open(lease, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = _named(fd, lease)
        except BlockingIOError:
            alone = False
        yield alone
    finally:
        os.close(fd)


def _remove(root: str, digest: str) -> bool:
    """Remove all of a model that is ours alone; whether nothing is left."""
    for name in os.listdir(root):  # noqa: PTH208
        if name == digest or (name.startswith(f".{digest}-") and name.endswith(".partial")):
            shutil.rmtree(f"{root}/{name}", ignore_errors=True)
    if os.path.lexists(f"{root}/{digest}"):
        return False
    for ending in ("loads", "lock", "lease"):
        with suppress(FileNotFoundError):
            os.unlink(f"{root}/{digest}.{ending}")  # noqa: PTH108
    return True


def _bytes(path: str) -> int:
    size = 0
    for folder, _, files in os.walk(path):
        for name in files:
            with suppress(FileNotFoundError):
                size += os.lstat(f"{folder}/{name}").st_size
    return size


def _changed(path: str) -> float:
    try:
        return os.lstat(path).st_mtime
    except FileNotFoundError:
        return 0.0


if __name__ == "__main__":
    if os.fork() == 0:  # the parent is waited for, this one belongs to nobody
        os.setsid()
        for stream in (0, 1, 2):
            os.dup2(os.open(os.devnull, os.O_RDWR), stream)
        _wait_and_sweep(sys.argv[1], sys.argv[2], int(sys.argv[3]))
