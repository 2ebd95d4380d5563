"""Who has a day: one process at a time, and the one that lost it knows before it commits.

    <DAY>.json      number, owner, until when; read and written under the lock <DAY>.lock
    <DAY>.<N>.held  locked by the owner of number N as long as its process lives

The kernel frees the second lock when a process ends, however it ends, so the day of a dead night
is free at once. One that is frozen, or hangs, keeps it; its lease ends when it gives no sign of
life. Whoever takes the day over gets a higher number, and who comes back finds that number.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tfspark.errors import StorageError, TfsparkError


class LeaseLost(TfsparkError):
    """The day is another run's: this one must not commit."""

    exit_code = 75


def running_since(folder: str) -> list[float]:
    """When the runs began whose process lives and has a day; the lease of a dead one is nobody's.

    Raises:
        StorageError: a lease cannot be read.
    """
    found = []
    for held in Path(folder).glob("*.held"):
        try:
            if _is_locked(held):
                found.append(held.stat().st_mtime)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StorageError(f"{held}: whether a night runs cannot be told: {error}") from error
    return sorted(found)


class Lease:
    """A day that is this run's, until `close`; a context manager.

    Attributes:
        number: higher than that of every owner before.

    Raises:
        LeaseLost: another run has the day.
        StorageError: the folder knows no locks.
    """

    def __init__(self, folder: str, day: str, run: str, seconds: float) -> None:
        self._folder, self._day, self._run, self._seconds = Path(folder), day, run, seconds
        self._ended = threading.Event()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._locked():
                self.number = self._take()
        except OSError as error:
            raise StorageError(
                f"{folder}: the day {day} cannot be locked ({error}); two nights at once could not "
                "be told apart: put the warehouse on a disk of this machine"
            ) from error
        self._beats = threading.Thread(target=self._beat, daemon=True)
        self._beats.start()

    def check(self) -> None:
        """Whether the day is still this run's.

        Raises:
            LeaseLost: it is not.
        """
        with self._locked():
            found = self._read()
            if found.get("number") == self.number and found.get("run") == self._run:
                self._write(found)
                return
        raise LeaseLost(
            f"the day {self._day}: run {self._run} gave no sign of life for longer than its lease, "
            f"and run {found.get('run')} took the day over; this run changed nothing"
        )

    def close(self) -> None:
        """Give the day back."""
        self._ended.set()
        self._beats.join()
        with suppress(OSError), self._locked():
            found = self._read()
            if found.get("number") == self.number:
                self._write({**found, "run": None}, 0)
            self._held(self.number).unlink(missing_ok=True)
        os.close(self._handle)

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self) -> int:
        found = self._read()
        last = int(found.get("number", 0))
        if found.get("run") and self._lives(last) and time.time() < float(found["until"]):
            raise LeaseLost(
                f"the day {self._day} is done by run {found['run']} (process {found['pid']} of "
                f"{found['host']}); try again when it has ended"
            )
        # What the dead and the frozen have locked; a lock that is held goes with its process.
        for left in self._folder.glob(f"{self._day}.*.held"):
            left.unlink(missing_ok=True)
        number = last + 1
        self._handle = os.open(self._held(number), os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        about = {"number": number, "run": self._run, "pid": os.getpid()}
        self._write({**about, "host": socket.gethostname()})
        return number

    def _lives(self, number: int) -> bool:
        """Whether the process of an owner has its lock; of another machine's it is assumed."""
        try:
            return _is_locked(self._held(number))
        except FileNotFoundError:
            return False

    def _beat(self) -> None:
        while not self._ended.wait(self._seconds / 4):
            try:
                self.check()
            except LeaseLost:
                return  # the commit says so
            except OSError:
                continue

    def _held(self, number: int) -> Path:
        return self._folder / f"{self._day}.{number}.held"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        handle = os.open(self._folder / f"{self._day}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads((self._folder / f"{self._day}.json").read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError:
            raise StorageError(
                f"{self._folder}/{self._day}.json: is no lease; remove it when no night runs"
            ) from None
        return dict(found)

    def _write(self, about: dict[str, Any], seconds: float | None = None) -> None:
        until = time.time() + (self._seconds if seconds is None else seconds)
        path = self._folder / f"{self._day}.json"
        part = path.with_suffix(".partial")
        part.write_text(json.dumps({**about, "until": until}))
        part.replace(path)


def _is_locked(held: Path) -> bool:
    handle = os.open(held, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
