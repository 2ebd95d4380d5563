"""Parquet by row groups, with pyarrow."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from tfspark import storage
from tfspark.errors import IntegrityError
from tfspark.training.readers.source import Block, in_schema

_MOST_OPEN = 64


class ParquetSource:
    """A block is a row group. Footers are read once; the files last used stay open."""

    def __init__(self, files: Mapping[str, int | None]) -> None:
        """
        Args:
            files: path → rows that it should have, None where nobody knows.

        Raises:
            IntegrityError: a file is no Parquet file, or has another number of rows.
        """
        self.blocks: list[Block] = []
        self._footers: dict[str, Any] = {}
        self._open: OrderedDict[str, tuple[int, Any]] = OrderedDict()  # mapped bytes, file
        for path, rows in files.items():
            footer = read_footer(path, rows)
            self._footers[path] = footer
            groups = (footer.row_group(i).num_rows for i in range(footer.num_row_groups))
            self.blocks += [Block(path, i, n) for i, n in enumerate(groups) if n]

    def read(self, block: Block, schema: pa.Schema) -> pa.Table:
        with reading(block.file):
            file = self._file(block.file)
            table = file.read_row_group(
                block.part, columns=schema.names, use_threads=pa.cpu_count() > 1
            )
        return in_schema(table, schema, block.file)

    def close(self) -> None:
        for _, file in self._open.values():
            file.close(force=True)
        self._open.clear()

    def _file(self, path: str) -> Any:
        fs, inner = storage.filesystem(path)
        local = isinstance(fs, pafs.LocalFileSystem)
        if path not in self._open:
            while len(self._open) >= _MOST_OPEN:
                self._open.popitem(last=False)[1][1].close(force=True)
            # Pages of a local file are decoded where the kernel has them; `pre_buffer` tells it
            # to fetch a whole row group.
            opened = pa.memory_map(inner) if local else fs.open_input_file(inner)
            file = pq.ParquetFile(opened, metadata=self._footers[path], pre_buffer=True)
            self._open[path] = opened.size(), file
        self._open.move_to_end(path)
        size, file = self._open[path]
        # To read what was cut off a mapped file would kill the process.
        if local and Path(inner).stat().st_size < size:
            raise OSError(f"it was {size} bytes and is shorter now")
        return file


def read_footer(path: str, rows: int | None = None) -> Any:
    """A file's metadata.

    Raises:
        IntegrityError: it is no Parquet file, or has not `rows` rows.
    """
    fs, inner = storage.filesystem(path)
    with reading(path):
        footer = pq.read_metadata(inner, filesystem=fs)
    if rows is not None and footer.num_rows != rows:
        raise IntegrityError(
            f"{path} holds {footer.num_rows} rows, the manifest says {rows}; prepare it again"
        )
    return footer


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Name the file that cannot be read."""
    try:
        yield
    except (OSError, pa.ArrowException, ValueError) as error:
        raise IntegrityError(
            f"{path} cannot be read: {error}; it was damaged or cut off: prepare it again"
        ) from error
