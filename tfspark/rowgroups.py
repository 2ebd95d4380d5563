"""The row groups of Parquet files, from their footers, and their division among tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tfspark import storage

_READERS = 8  # footers at a time: reading them is waiting


class Group(NamedTuple):
    """A row group: its file, its number there, its rows, its bytes before compression."""

    path: str
    number: int
    rows: int
    bytes: int


@dataclass(frozen=True)
class Footer:
    """What a file says of itself.

    Attributes:
        schema: with the types in which Arrow reads it.
        written_by: the metadata of the file's key-value pairs, such as Spark's.
    """

    path: str
    schema: pa.Schema
    groups: tuple[Group, ...]
    written_by: dict[bytes, bytes]


@contextmanager
def opened(
    path: str, coded: Sequence[str] = (), footer: pq.FileMetaData | None = None
) -> Iterator[pq.ParquetFile]:
    """A Parquet file, read a row group at a time.

    Args:
        coded: columns of text that come as dictionaries.
        footer: of the same file, if it is read already.

    Raises:
        StorageError: it cannot be read, now or later.
    """
    fs, inner = storage.filesystem(path)
    try:
        with pq.ParquetFile(
            inner,
            filesystem=fs,
            metadata=footer,
            pre_buffer=True,
            read_dictionary=list(coded) or None,
            coerce_int96_timestamp_unit="us",
        ) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        kind = storage.kind_of(path, error)
        raise kind(f"cannot read {path} as Parquet: {error}") from error


def footers(files: Sequence[str], columns: Sequence[str] | None = None) -> list[Footer]:
    """The footers of files, in their order.

    Args:
        columns: count the bytes of these alone; None: of all.

    Raises:
        StorageError: a file cannot be read.
    """

    def look(path: str) -> Footer:
        with opened(path) as file:
            footer = file.metadata
            leaves = _leaves(footer, file.schema_arrow.names, columns)
            groups = []
            for number in range(footer.num_row_groups):
                group = footer.row_group(number)
                size = (
                    group.total_byte_size
                    if leaves is None
                    else sum(group.column(leaf).total_uncompressed_size for leaf in leaves)
                )
                groups.append(Group(path, number, group.num_rows, size))
            return Footer(path, file.schema_arrow, tuple(groups), dict(footer.metadata or {}))

    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(look, files))


def divide(groups: Sequence[Group], count: int) -> list[list[Group]]:
    """At most `count` shares of about equal bytes, none of them empty; neighbours stay together."""
    total = sum(group.bytes for group in groups)
    shares: list[list[Group]] = [[] for _ in range(max(1, min(count, len(groups))))]
    done = 0
    for group in groups:
        # By its middle, so that a share is never more than half a group off.
        at = (done + group.bytes / 2) / max(total, 1)
        shares[min(int(at * len(shares)), len(shares) - 1)].append(group)
        done += group.bytes
    return [share for share in shares if share]


def _leaves(
    footer: pq.FileMetaData, names: Sequence[str], columns: Sequence[str] | None
) -> list[int] | None:
    """The numbers of the Parquet columns that columns of the table consist of."""
    if columns is None:
        return None
    known, wanted = set(names), set(columns)
    found = []
    for leaf in range(footer.num_columns):
        parts = footer.schema.column(leaf).path.split(".")
        # A column's name may have dots: the longest one that there is.
        starts = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
        if next((start for start in starts if start in known), None) in wanted:
            found.append(leaf)
    return found
