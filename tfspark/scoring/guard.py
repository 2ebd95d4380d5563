"""Scoring in a child process, so that what ends or hangs a process costs a row and not the task.

A batch that the child does not survive, or does not answer in time, is cut in pieces that fresh
children score, until the row that does it stands alone: it becomes a bad row. A piece in 256 is
tried at a time, so a row among 65,536 is found by three children.
"""

from __future__ import annotations

import atexit
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
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tfspark.errors import ModelFailed, StorageError
from tfspark.scoring.child import FAILED, OPENED, Memory
from tfspark.scoring.gpus import environment
from tfspark.scoring.pack import unpack
from tfspark.tensors import arrow_type

if TYPE_CHECKING:
    from tfspark.scoring.predict import Scorer

_START = "import sys; from tfspark.scoring.child import main; main(sys.argv[1:])"
_WAYS = 256
_OPENING = 600.0
"""Seconds that a child may take to open a model, at least."""
_LEAST = 5.0
"""Seconds that any piece gets: a busy machine makes a good row wait, too."""
_PATIENT = 20
"""Times what good rows took, until a piece counts as hanging."""
_HOPELESS = 10
"""Rows that end the process, before any is scored, until the model and not the rows is blamed."""
_TICK = 0.2


class Ended(Exception):
    """The child did not survive a request, or was ended for not answering it."""


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
        self._recent: deque[tuple[Scorer, int]] = deque(maxlen=16)
        self._environment: dict[str, str] = {}
        self._seen: dict[str, Seen] = {}

    def score(
        self, scorer: Scorer, columns: Sequence[pa.Array], deadline: float
    ) -> tuple[list[pa.Array], pa.Array]:
        """As `Scorer` does it.

        Args:
            deadline: seconds that a call into the model may take.

        Raises:
            Ended: the child is gone; the next call starts another.
            StorageError: it ended, or took too long, while it opened the model.
        """
        with self._lock:
            fresh = self._ready()
            number, sent = self._known(scorer)
            try:
                self._connection.send((number, sent, self._given.write(columns)))
                kind, told = self._answer(max(deadline, _OPENING))
            except (OSError, EOFError, Ended) as error:
                ended = self._end(error)
                if sent is None:
                    raise Ended(ended) from None
                raise StorageError(
                    f"model {scorer.packed.model}: could not be opened in a process of its own: "
                    f"{ended}"
                ) from None
            started = time.monotonic()
            try:
                if kind == OPENED:
                    kind, told = self._answer(deadline)
            except (OSError, EOFError, Ended) as error:
                raise Ended(self._end(error)) from None
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

    def seen(self, scorer: Scorer) -> Seen:
        return self._seen.setdefault(scorer.packed.digest, Seen())

    def close(self) -> None:
        """End the child, if there is one."""
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._end(EOFError())

    def _known(self, scorer: Scorer) -> tuple[int, Scorer | None]:
        """The number by which the child knows a scorer, and what it has to be told."""
        for other, number in self._recent:
            if other is scorer:
                return number, None
        unpack(scorer.packed)  # here, where the broadcasts are
        sent = replace(scorer, packed=replace(scorer.packed, pieces=()))
        content = pickle.dumps(sent)
        new = content not in self._numbers
        number = self._numbers.setdefault(content, len(self._numbers))
        self._recent.append((scorer, number))
        return number, sent if new else None

    def _ready(self) -> bool:
        """Have a child; whether it is a new one."""
        wanted = environment()
        if self._process is not None and self._environment != wanted:
            self.close()
        if self._process is not None:
            return False
        mine, its = socket.socketpair()
        life, kept = os.pipe()
        memories = [os.memfd_create("tfspark") for _ in range(2)]
        files = [its.fileno(), life, *memories]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, *map(str, files)],
                env=os.environ | wanted | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.DEVNULL,
                stdout=2,
                pass_fds=files,
            )
        except BaseException:
            for file in (kept, *memories):
                os.close(file)
            mine.close()
            raise
        finally:
            os.close(life)
            its.close()
        self._environment = wanted
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
                raise Ended(f"the model gave no answer within {deadline:g} s")
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


_child = Child()
atexit.register(_child.close)


def close() -> None:
    """End this process's child, if it has one."""
    _child.close()


def guarded(scorer: Scorer, columns: Sequence[pa.Array]) -> tuple[list[pa.Array], pa.Array]:
    """Score one batch in the child of this process; as `Scorer` otherwise.

    Raises:
        ModelFailed: the model ends its process for every row.
        StorageError: it does so before any.
    """
    batch = _Batch(scorer, columns)
    if len(columns[0]):
        batch.score(0, len(columns[0]), scorer.deadline)
    return batch.result()


@dataclass
class _Batch:
    """One batch on its way: the results of its pieces, in the order of the rows."""

    scorer: Scorer
    columns: Sequence[pa.Array]
    pieces: list[tuple[list[pa.Array], pa.Array]] = field(default_factory=list)

    def score(self, start: int, rows: int, deadline: float, again: bool = False) -> None:
        try:
            piece = [column.slice(start, rows) for column in self.columns]
            self.pieces.append(_child.score(self.scorer, piece, deadline))
            return
        except Ended as ended:
            # Twice, as the kernel may have ended the child for what others did.
            if rows == 1 and again:
                self._refuse(str(ended))
                return
        step = -(-rows // _WAYS)
        for at in range(start, start + rows, step):
            size = min(step, start + rows - at)
            seen = _child.seen(self.scorer)
            self.score(at, size, seen.patience(size, self.scorer.deadline), again=True)

    def _refuse(self, reason: str) -> None:
        specs = self.scorer.signature.outputs.values()
        self.pieces.append(([pa.nulls(1, arrow_type(spec)) for spec in specs], pa.array([reason])))
        seen = _child.seen(self.scorer)
        seen.lost += 1
        if seen.lost >= _HOPELESS and not seen.successes:
            raise ModelFailed(
                f"model {self.scorer.packed.model}: failed for each of the first "
                f"{seen.lost} rows, so it is not the rows; the last time: {reason}"
            )

    def result(self) -> tuple[list[pa.Array], pa.Array]:
        if len(self.pieces) == 1:
            return self.pieces[0]
        specs = list(self.scorer.signature.outputs.values())
        if not self.pieces:
            return [pa.nulls(0, arrow_type(spec)) for spec in specs], pa.nulls(0, pa.string())
        outputs = [
            pa.concat_arrays([piece[0][number] for piece in self.pieces])
            for number in range(len(specs))
        ]
        return outputs, pa.concat_arrays([reasons for _, reasons in self.pieces])
