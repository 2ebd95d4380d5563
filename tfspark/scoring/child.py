"""A process of its own for models that may end or hang it, see `guard.py`.

Its arguments are numbers of open files: REQUESTS LIFE IN OUT. REQUESTS is a connection: (number of
the scorer, the scorer if it is new, bytes) comes, (OPENED, None) and (SCORED, bytes) or (FAILED,
error) go back. Columns and results lie in the shared memories IN and OUT as Arrow streams. LIFE
ends when the parent does.
"""

from __future__ import annotations

import mmap
import os
import resource
import signal
import struct
import threading
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow as pa

from tfspark.errors import TfsparkError

BEAT = struct.Struct("Q")
"""Calls into the model that came back, at the start of OUT: who counts them sees a hang."""
_OOM_SCORE = Path("/proc/self/oom_score_adj")
OPENED, SCORED, FAILED = "opened", "scored", "failed"


class Memory:
    """A file in memory, mapped as far as it is long: a count of beats, and an Arrow stream."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._map = self._mapped(BEAT.size)

    def write(self, columns: Sequence[pa.Array]) -> int:
        """Lay columns of one length into it; their bytes."""
        batch = pa.RecordBatch.from_arrays(columns, [str(i) for i in range(len(columns))])
        counted = pa.MockOutputStream()
        _stream(counted, batch)
        size: int = counted.size()
        needed = BEAT.size + size
        if needed > len(self._map):
            self._map = self._mapped(needed + needed // 4)
        _stream(pa.FixedSizeBufferWriter(self._content(size)), batch)
        return size

    def read(self, size: int, copy: bool) -> list[pa.Array]:
        """The columns that the other process wrote.

        Args:
            copy: what is not copied is overwritten by the next call.
        """
        if BEAT.size + size > len(self._map):
            self._map = self._mapped(0)
        whole = self._content(size)
        with pa.ipc.open_stream(whole.to_pybytes() if copy else whole) as reader:
            return list(reader.read_next_batch().columns)

    def _content(self, size: int) -> pa.Buffer:
        return pa.py_buffer(memoryview(self._map)[BEAT.size : BEAT.size + size])

    @property
    def beats(self) -> int:
        count: int = BEAT.unpack_from(self._map)[0]
        return count

    def beat(self) -> None:
        BEAT.pack_into(self._map, 0, self.beats + 1)

    def _mapped(self, least: int) -> mmap.mmap:
        # A mapping that views still use is left to them.
        if os.fstat(self._file).st_size < least:
            os.ftruncate(self._file, least)
        return mmap.mmap(self._file, 0)


def _stream(sink: Any, batch: pa.RecordBatch) -> None:
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)


def main(arguments: Sequence[str]) -> None:
    """Serve until the parent is gone."""
    from tfspark.scoring import process
    from tfspark.scoring.predict import Scorer

    files = [int(argument) for argument in arguments]
    requests, life = Connection(files[0]), files[1]
    given, made = Memory(files[2]), Memory(files[3])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to answer
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _first_to_go()
    threading.Thread(target=_end_with_parent, args=(life,), daemon=True).start()
    process.after_call.append(made.beat)
    scorers: dict[int, Scorer] = {}
    while True:
        try:
            number, scorer, size = requests.recv()
        except EOFError:
            return
        try:
            if scorer is not None:
                scorers[number] = scorer
                # No warm-up: a row of zeros may be what ends the process.
                process.open_model(scorer.packed, scorer.signature, scorer.threads, warm_up=False)
            requests.send((OPENED, None))
            outputs, reasons = scorers[number].here(given.read(size, copy=False))
            answer: tuple[str, Any] = (SCORED, made.write([*outputs, reasons]))
        except TfsparkError as error:
            answer = (FAILED, error)
        except Exception:  # which may not be one that can be sent
            answer = (FAILED, RuntimeError(traceback.format_exc()))
        requests.send(answer)


def _end_with_parent(life: int) -> None:
    os.read(life, 1)
    os.kill(os.getpid(), signal.SIGKILL)


def _first_to_go() -> None:
    """Where memory runs out the kernel shall end this process, and not the one that minds it."""
    try:
        score = int(_OOM_SCORE.read_text())
        _OOM_SCORE.write_text(str(min(1000, score + 300)))
    except OSError:
        pass
