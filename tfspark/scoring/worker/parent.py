"""The child process as its parent sees it: started, given columns, watched, ended."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

import pyarrow as pa

from tfspark.errors import StorageError
from tfspark.mask import without_secrets
from tfspark.scoring.model.pack import cache_folder, loaded, repair, unpack
from tfspark.scoring.model.view import View
from tfspark.scoring.worker.deadline import OPENING
from tfspark.scoring.worker.gpus import environment
from tfspark.scoring.worker.memory import FAILED, OPENED, Memory
from tfspark.scoring.worker.predict import LocalScorer

_START = "import sys; from tfspark.scoring.worker.child import main; main(sys.argv[1:])"
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""What an import would start is outside of the wall, which stands after the imports."""
_LEAST = 5.0
"""Seconds that any piece gets: a busy machine makes a good row wait, too."""
_PATIENT = 20
"""Times what good rows took, until a piece counts as hanging."""
_TICK = 0.2


class Ended(Exception):
    """The child did not survive a request, or was ended for not answering it."""


class Late(Ended):
    """It did not answer in time."""


@dataclass
class Seen:
    """What is known of one model.

    Attributes:
        successes: batches that were scored.
        lost: rows that ended or hung a child, one by one.
        row: seconds of the slowest row so far, by batches.
        start: seconds of the slowest first batch of a child, which may plan and allocate.
    """

    successes: int = 0
    lost: int = 0
    row: float = 0.0
    start: float = 0.0

    def patience(self, rows: int, deadline: float) -> float:
        """Seconds for a piece of a batch that did not come back within the deadline."""
        likely = 3 * self.start + _PATIENT * rows * self.row
        return min(deadline, max(_LEAST, deadline / 20, likely))


class Child:
    """A process that scores; `score` starts it when it is needed."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        # What the child of now has been given: by content, and the objects seen last.
        self._numbers: dict[bytes, int] = {}
        self._recent: deque[tuple[LocalScorer, int]] = deque(maxlen=16)
        self._made_for: tuple[Any, ...] = ()
        self._seen: dict[str, Seen] = {}

    def score(
        self,
        scorer: LocalScorer,
        columns: Sequence[pa.Array],
        deadline: float,
        again: bool = False,
    ) -> tuple[list[pa.Array], pa.Array]:
        """As `LocalScorer` does it.

        Args:
            deadline: seconds that a call into the model may take.
            again: after the model's files were mended.

        Raises:
            Ended: the child is gone; the next call starts another.
            StorageError: it ended, or took too long, while it opened the model.
        """
        with self._lock:
            fresh = self._ready(scorer)
            number, sent = self._known(scorer)
            try:
                self._connection.send((number, sent, self._given.write(columns)))
                kind, told = self._answer(max(deadline, OPENING))
            except (OSError, EOFError, Ended) as error:
                ended = self._end(error)
                if sent is None:
                    raise Ended(ended) from None
                raise StorageError(
                    f"model {scorer.packed.model}: could not be opened in a process of its own: "
                    f"{ended}"
                ) from None
            pid = self._process.pid if self._process else 0
            for digest in told if kind == OPENED else ():
                loaded(digest, pid)
            if kind == FAILED and not again and sent is not None and repair(scorer.packed):
                self._recent.pop()
                self._numbers.popitem()
                return self.score(scorer, columns, deadline, again=True)
            started = time.monotonic()
            try:
                if kind == OPENED:
                    kind, told = self._answer(deadline)
            except (OSError, EOFError, Ended) as error:
                kind_of_end = Late if isinstance(error, Late) else Ended
                raise kind_of_end(self._end(error)) from None
            if kind == FAILED:
                raise told
            seconds = time.monotonic() - started
            seen = self.seen(scorer)
            if fresh:
                seen.start = max(seen.start, seconds)
            else:
                seen.row = max(seen.row, seconds / len(columns[0]))
            seen.successes += 1
            *outputs, reasons = self._made.read(told, copy=True)
            return outputs, reasons

    def seen(self, scorer: LocalScorer) -> Seen:
        return self._seen.setdefault(scorer.packed.digest, Seen())

    def close(self) -> None:
        """End the child, if there is one."""
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._end(EOFError())

    def _known(self, scorer: LocalScorer) -> tuple[int, LocalScorer | None]:
        """The number by which the child knows a scorer, and what it has to be told."""
        for other, number in self._recent:
            if other is scorer:
                return number, None
        self._view.show(unpack(scorer.packed))  # here, where the broadcasts are
        sent = replace(scorer, packed=replace(scorer.packed, pieces=()))
        content = pickle.dumps(sent)
        new = content not in self._numbers
        number = self._numbers.setdefault(content, len(self._numbers))
        self._recent.append((scorer, number))
        return number, sent if new else None

    def _ready(self, scorer: LocalScorer) -> bool:
        """Have a child; whether it is a new one."""
        # What it has for its life: its GPUs, its wall, its limit.
        wanted = environment()
        made_for = (wanted, scorer.wall, scorer.memory, scorer.heap)
        if self._process is not None and self._made_for != made_for:
            self.close()
        if self._process is not None:
            return False
        mine, its = socket.socketpair()
        life, kept = os.pipe()
        memories = [os.memfd_create("tfspark") for _ in range(2)]
        files = [its.fileno(), life, *memories]
        path = os.pathsep.join(filter(None, sys.path))
        self._view = View(cache_folder())
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, *map(str, files), str(self._view.path)],
                # Keys of stores and registries are nothing for a model.
                env=_ONE_THREAD | without_secrets(os.environ) | wanted | {"PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=2,
                pass_fds=files,
            )
        except BaseException:
            for file in (kept, *memories):
                os.close(file)
            mine.close()
            self._view.close()
            raise
        finally:
            os.close(life)
            its.close()
        self._made_for = made_for
        self._connection = Connection(mine.detach())
        self._given, self._made = Memory(memories[0]), Memory(memories[1])
        self._files = [kept, *memories]
        return True

    def _answer(self, deadline: float) -> tuple[str, Any]:
        """What the child says, if calls into the model come back in time.

        Raises:
            Ended: they do not.
            EOFError, OSError: the child is gone.
        """
        beats, waited = self._made.beats, 0.0
        while not self._connection.poll(min(_TICK, deadline)):
            # In ticks of one's own, so that a machine that stands still is not the child's fault.
            waited += _TICK
            if self._made.beats != beats:
                beats, waited = self._made.beats, 0.0
            if waited >= deadline:
                raise Late(f"the model gave no answer within {deadline:g} s")
        kind, told = self._connection.recv()
        return kind, told

    def _end(self, error: BaseException) -> str:
        """Leave nothing of the child; how it ended."""
        child, self._process = self._process, None
        self._numbers.clear()
        self._recent.clear()
        if child is None:
            return str(error)
        if isinstance(error, Ended):
            child.kill()
        try:
            code = child.wait(timeout=60)
        except subprocess.TimeoutExpired:
            child.kill()
            code = child.wait()
        self._connection.close()
        self._view.close()
        for file in self._files:
            os.close(file)
        del self._given, self._made
        if isinstance(error, Ended):
            return str(error)
        if code < 0:
            with suppress(ValueError):
                name = signal.Signals(-code).name
                why = " (as the kernel does when memory runs out)" if name == "SIGKILL" else ""
                return f"the model ended the process: {name}{why}"
        return f"the model ended the process: exit code {code}"
