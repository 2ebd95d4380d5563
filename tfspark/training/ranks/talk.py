"""What a rank says to the driver while it trains: JSON over TCP, never pickles."""

from __future__ import annotations

import json
import os
import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Client, Connection
from typing import Any, Protocol

from tfspark.training.ranks.network import keep_alive
from tfspark.training.ranks.watch import BEGIN, MEET

Report = dict[str, Any]
Address = tuple[str, int]
LONGEST = 16 << 20  # bytes of one message
_REACH_SECONDS = 20


class Talk(Protocol):
    """What a rank's work gets to speak with the driver."""

    def say(self, kind: str, **values: Any) -> Report:
        """Tell the driver and wait for its answer: `{}`, or `{"stop": true}` to end early."""

    def watch(self, steps: Callable[[], int]) -> None:
        """What the heartbeat asks: a number that grows with every collective step entered."""

    def phase(self, name: str) -> None:
        """What this rank does now: start, read, step, evaluate, checkpoint."""


class Direct:
    """`Talk` within the driver's own process."""

    def __init__(self, on_report: Callable[[Report], Report | None], rank: int = 0) -> None:
        self._on_report = on_report
        self._rank = rank

    def say(self, kind: str, **values: Any) -> Report:
        return self._on_report({"kind": kind, "rank": self._rank, **values}) or {}

    def watch(self, steps: Callable[[], int]) -> None:
        """Nobody watches the driver."""

    def phase(self, name: str) -> None:
        """Nobody watches the driver."""


class Channel:
    """`Talk` from a rank's process: one connection to say things, one for heartbeats.

    Args:
        address: address of the driver's `Reports`.
        beat_seconds: between heartbeats.
        on_lost: called in the heartbeat's thread when the driver is gone, or has ended this
            attempt.
    """

    def __init__(
        self,
        address: Address,
        key: bytes,
        rank: int,
        beat_seconds: float = 2.0,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._rank = rank
        self._lock, self._beat_lock = threading.Lock(), threading.Lock()
        self._phase = BEGIN
        self._steps: Callable[[], int] = lambda: 0
        self._last = 0
        self._connection = reach_driver(address, key)
        self._beats = reach_driver(address, key)
        self._beat_seconds, self._on_lost = beat_seconds, on_lost
        self._closed = False
        self._beat()  # this rank is there
        self._thread = threading.Thread(target=self._keep_beating, daemon=True)
        self._thread.start()

    def say(self, kind: str, **values: Any) -> Report:
        with self._lock:
            return ask(self._connection, {"kind": kind, "rank": self._rank, **values})

    def watch(self, steps: Callable[[], int]) -> None:
        self._steps = steps

    def phase(self, name: str) -> None:
        before, self._phase = self._phase, name
        if before in (BEGIN, MEET):  # seldom, and what the driver waits for
            with suppress(OSError):
                self._beat()

    def close(self) -> None:
        self._closed = True
        for connection in (self._beats, self._connection):
            with suppress(OSError):
                connection.close()

    def state(self) -> Report:
        """Where this rank is, and how far."""
        with suppress(Exception):  # the work may be failing just now
            self._last = int(self._steps())
        place = {"host": socket.gethostname(), "pid": os.getpid()}
        return {**place, "steps": self._last, "phase": self._phase}

    def _beat(self) -> None:
        with self._beat_lock:
            send(self._beats, {"kind": "beat", "rank": self._rank, **self.state()})

    def _keep_beating(self) -> None:
        try:
            while True:
                # The driver never writes here: something to read is the end of the stream.
                if self._beats.poll(self._beat_seconds):
                    self._beats.recv_bytes(LONGEST)
                self._beat()
        except (EOFError, OSError):
            if not self._closed:
                self._on_lost()


def reach_driver(address: Address, key: bytes) -> Connection:
    """A proven connection to the driver's `Reports`.

    Strangers at the driver's port may push it out before it has proved itself: it tries again.

    Raises:
        ConnectionError: nobody is there.
        AuthenticationError: the key is another run's.
    """
    until = time.monotonic() + _REACH_SECONDS
    try:
        while True:
            try:
                connection: Connection = Client(address, family="AF_INET", authkey=key)
                break
            except (ConnectionResetError, BrokenPipeError, EOFError):
                if time.monotonic() > until:
                    raise
                time.sleep(random.uniform(0.05, 0.5))  # noqa: S311 - not at once with all others
    except (OSError, EOFError) as error:
        raise ConnectionError(
            f"cannot reach the driver at {address[0]}:{address[1]} ({error}). Is that an address "
            "that this machine reaches? distributed.interface names another one"
        ) from error
    with socket.socket(fileno=os.dup(connection.fileno())) as sock:
        keep_alive(sock)
    return connection


def ask(connection: Connection, values: Report) -> Report:
    """Send a message and wait for the answer."""
    send(connection, values)
    answer: Report = json.loads(connection.recv_bytes(LONGEST))
    return answer


def send(connection: Connection, values: Report) -> None:
    """A message as JSON."""
    connection.send_bytes(json.dumps(values).encode())
