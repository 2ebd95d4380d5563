"""What a scoring process and its child share: columns in memory, and the words of their talk."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

OPENED, SCORED, FAILED = "opened", "scored", "failed"
BEAT = struct.Struct("Q")
"""Calls into the model that came back, at the start of OUT: who counts them sees a hang."""


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
