"""The driver's side of what ranks say: messages in the order in which they come.

Both ends prove that they know the run's key (the HMAC challenges of `multiprocessing.connection`)
before a message is read. The driver listens on one private address.
"""

from __future__ import annotations

import json
import os
import queue
import secrets
import socket
import threading
import time
from collections import Counter
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass, field
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge

from tfspark.errors import ConfigError
from tfspark.training.ranks.network import keep_alive, limit_waiting
from tfspark.training.ranks.talk import LONGEST, Address, Report, send

_SHAKE_SECONDS = 5
_STRANGERS = 256  # connections that have not proved themselves
_BROKEN = (
    EOFError,
    OSError,
    AuthenticationError,
    ValueError,
    KeyError,
    TypeError,
    RecursionError,
)


@dataclass(frozen=True)
class Message:
    """One message that came in.

    Attributes:
        at: `time.monotonic()` of its arrival.
        answer: takes the answer; None if the sender does not wait for one.
    """

    values: Report
    at: float
    answer: Future[Report | None] | None = field(default=None)

    def reply(self, values: Report | None = None) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(values or {})


class Reports:
    """The driver's end: every rank's messages in one queue, `inbox`.

    A thread a connection; one that is silent or cannot prove that it knows `key` is dropped and
    holds up nobody. Where there are too many of them, a new one takes the place of the oldest of
    the address that has most, so that nobody keeps the others out.

    Raises:
        ConfigError: nothing can listen on that address.
    """

    def __init__(self, host: str) -> None:
        self.key = secrets.token_bytes(32)
        self.inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        try:
            self._socket = socket.create_server((host, 0), backlog=1024)
        except OSError as error:
            raise ConfigError(
                f"cannot listen for ranks on {host}: {error}. Name a network interface or address "
                "of the driver's machine that the workers reach: distributed.interface"
            ) from error
        self.address: Address = self._socket.getsockname()[:2]
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._known: set[socket.socket] = set()
        self._strangers: dict[socket.socket, str] = {}  # their addresses, the oldest first
        self._waiting: set[Future[Report | None]] = set()
        self._ended = False
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def __enter__(self) -> Reports:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def end(self) -> None:
        """Ask every rank to end, by the end of the stream; nobody else is let in."""
        with self._lock:
            self._ended = True
            connections, waiting = dict(self._open), list(self._waiting)
        with suppress(OSError):  # wakes the accepting thread; close alone does not
            self._socket.shutdown(socket.SHUT_RDWR)
        for future in waiting:
            if not future.done():
                future.set_result(None)
        for sock in connections:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_WR if sock in self._known else socket.SHUT_RDWR)

    def close(self, patience: float = 0.0) -> bool:
        """End, and wait so long for the other ends to close: until their processes are gone.

        Returns:
            Whether they are.
        """
        self.end()
        with self._lock:
            connections = dict(self._open)
        until = time.monotonic() + patience
        for thread in connections.values():
            thread.join(max(0.0, until - time.monotonic()))
        gone = not any(thread.is_alive() for thread in connections.values())
        for sock in connections:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in [self._accepting, *connections.values()]:
            thread.join()
        self._socket.close()
        return gone

    def _accept(self) -> None:
        while True:
            try:
                sock, (peer, _) = self._socket.accept()
            except OSError:
                if self._ended:
                    return
                time.sleep(0.1)  # out of descriptors, or a peer that gave up: go on
                continue
            with self._lock:
                if self._ended:
                    sock.close()
                    continue
                if len(self._strangers) >= _STRANGERS:
                    self._drop_oldest()
                self._strangers[sock] = peer
                thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
                self._open[sock] = thread
                thread.start()

    def _drop_oldest(self) -> None:
        """Of the address that has most strangers: ranks may share it, and try again."""
        counts = Counter(self._strangers.values())
        most = max(counts.values())
        oldest = next(sock for sock, peer in self._strangers.items() if counts[peer] == most)
        del self._strangers[oldest]
        with suppress(OSError):
            oldest.shutdown(socket.SHUT_RDWR)

    def _serve(self, sock: socket.socket) -> None:
        try:
            with closing(sock), Connection(os.dup(sock.fileno())) as connection:
                limit_waiting(sock, _SHAKE_SECONDS)
                deliver_challenge(connection, self.key)
                answer_challenge(connection, self.key)
                limit_waiting(sock, 0)
                keep_alive(sock)
                with self._lock:
                    self._strangers.pop(sock, None)
                    self._known.add(sock)
                while True:
                    self._take(connection, json.loads(connection.recv_bytes(LONGEST)))
        except _BROKEN:
            pass  # gone, a stranger, or it speaks something else: no more of it
        finally:
            with self._lock:
                self._open.pop(sock, None)
                self._strangers.pop(sock, None)
                self._known.discard(sock)

    def _take(self, connection: Connection, values: Report) -> None:
        if values["kind"] == "beat":
            self.inbox.put(Message(values, time.monotonic()))
            return
        answer: Future[Report | None] = Future()
        with self._lock:
            if self._ended:
                return
            self._waiting.add(answer)
        self.inbox.put(Message(values, time.monotonic(), answer))
        reply = answer.result()
        with self._lock:
            self._waiting.discard(answer)
        if reply is not None:
            send(connection, reply)
