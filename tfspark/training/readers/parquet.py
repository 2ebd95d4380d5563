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
        self._right: tuple[pa.Schema | None, pa.Schema | None] = None, None
        # Path → the mapped file and its size, None where it is not mapped; the open file.
        self._open: OrderedDict[str, tuple[tuple[Path, int] | None, Any]] = OrderedDict()
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
        asked, right = self._right
        if asked is schema and table.schema.equals(right):
            return table.replace_schema_metadata(None)
        found = in_schema(table, schema, block.file)
        if table.schema.equals(
            found.schema
        ):  # to look at every column costs as much as to read one
            self._right = schema, found.schema
        return found

    def close(self) -> None:
        for _, file in self._open.values():
            file.close(force=True)
        self._open.clear()

    def _file(self, path: str) -> Any:
        if path not in self._open:
            fs, inner = storage.filesystem(path)
            local = isinstance(fs, pafs.LocalFileSystem)
            while len(self._open) >= _MOST_OPEN:
                self._open.popitem(last=False)[1][1].close(force=True)
            # Pages of a local file are decoded where the kernel has them; `pre_buffer` tells it
            # to fetch a whole row group.
            opened = pa.memory_map(inner) if local else fs.open_input_file(inner)
            file = pq.ParquetFile(opened, metadata=self._footers[path], pre_buffer=True)
            self._open[path] = (Path(inner), opened.size()) if local else None, file
        self._open.move_to_end(path)
        mapped, file = self._open[path]
        # To read what was cut off a mapped file would kill the process.
        if mapped is not None and mapped[0].stat().st_size < mapped[1]:
            raise OSError(f"it was {mapped[1]} bytes and is shorter now")
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
        if isinstance(error, OSError) and not storage.is_local(path):
            raise storage.failure("read", path, error) from error
        raise IntegrityError(
            f"{path} cannot be read: {error}; it was damaged or cut off: prepare it again"
        ) from error
