"""Blocks as tables: counted, and kept where they are few."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from tfspark.training.readers.source import BlockSource, read_whole


class Blocks:
    """Reads the blocks of a source.

    Blocks stay in memory as long as all that were read are at most `limit` bytes together; beyond
    that only the last of those asked for stays, which the next window may begin with.
    """

    def __init__(self, source: BlockSource, schema: pa.Schema, limit: int) -> None:
        self._source, self._schema, self._limit = source, schema, limit
        self._kept: dict[int, pa.Table] = {}
        self._small = True

    def read(self, numbers: Sequence[int]) -> list[pa.Table]:
        """Some blocks, by their place in `source.blocks`.

        Raises:
            IntegrityError: a block cannot be read, or has another number of rows than it should.
        """
        tables = [self._kept[n] if n in self._kept else self._read(n) for n in numbers]
        if self._small:
            self._kept |= zip(numbers, tables, strict=True)
            self._small = sum(table.nbytes for table in self._kept.values()) <= self._limit
        if not self._small:
            self._kept = dict(zip(numbers[-1:], tables[-1:], strict=True))
        return tables

    def _read(self, number: int) -> pa.Table:
        return read_whole(self._source, self._source.blocks[number], self._schema)
