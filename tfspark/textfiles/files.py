"""The files of a table as Spark lists them, and what the names of their folders say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

from tfspark import storage
from tfspark.errors import ContractViolation, StorageError
from tfspark.textblocks import PACKED, UNKNOWN, Coding, Span, pieces

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_PIECE = 128 << 20  # bytes
_NULL = "__HIVE_DEFAULT_PARTITION__"
_PACKED = tuple(end for ends in PACKED.values() for end in ends)


@dataclass(frozen=True)
class TextFile:
    """A file as it was when the table was looked at.

    Attributes:
        bytes, changed: its size, and when it was changed (ns), by which another file is known.
        values: what its folders' names say, by column; text, as it is written there.
        span: the piece of it that is read; None: all of it.
    """

    path: str
    bytes: int
    changed: int | None
    values: Mapping[str, str | None]
    span: Span | None = None

    def check(self) -> None:
        """Whether it is still the file that it was.

        Raises:
            StorageError: it is not.
        """
        if _stamp(self.path) != (self.bytes, self.changed):
            raise StorageError(
                f"{self.path}: was changed or removed while it was read; run again when nobody "
                "writes to it"
            )

    @property
    def text_bytes(self) -> int:
        """Of its text, about."""
        if self.span is not None:
            return self.span[1] - self.span[0]
        return self.bytes * (4 if self.path.lower().endswith(_PACKED) else 1)


def list_files(spark: SparkSession, path: str, options: Mapping[str, str]) -> tuple[TextFile, ...]:
    """The files of a path, by name.

    Args:
        options: Spark's, by which it lists files.

    Raises:
        ContractViolation: files lie in folders of different columns.
        StorageError: a file is packed in a way that is not known.
    """
    reader = spark.read.options(**options)
    listed = sorted(map(local_path, reader.text(path).inputFiles()))
    for name in listed:
        if name.lower().endswith(UNKNOWN):
            known = ", ".join(ends[0] for ends in PACKED.values())
            raise StorageError(f"{name}: is packed in a way that is not read; known: {known}")
    flat = options.get("recursiveFileLookup") == "true"
    files = tuple(
        TextFile(name, *_stamp(name), {} if flat else partitions(name, path)) for name in listed
    )
    for file in files[1:]:
        if list(file.values) != list(files[0].values):
            raise ContractViolation(
                f"{path}: files lie in folders of different columns: {files[0].path}, {file.path}"
            )
    return files


def in_pieces(files: Iterable[TextFile], coding: Coding) -> tuple[TextFile, ...]:
    """The same text, large files in pieces that end at line breaks.

    Raises:
        StorageError: a file cannot be read.
    """
    found: list[TextFile] = []
    for file in files:
        spans = pieces(file.path, coding, file.bytes, _PIECE)
        found += [replace(file, span=span) for span in spans] or [file]
    return tuple(found)


def partitions(file: str, path: str) -> dict[str, str | None]:
    """Column → value of the folders `column=value` between a table's path and a file of it."""
    root = local_path(path) if path.startswith("file:") else storage.absolute(path)
    folders = file.split("/")[len(root.rstrip("/").split("/")) : -1]
    pairs = [folder.split("=", 1) for folder in folders if "=" in folder]
    return {name: None if value == _NULL else unquote(value) for name, value in pairs}


def shares(files: Iterable[TextFile], count: int) -> list[tuple[TextFile, ...]]:
    """At most so many shares of about equal bytes, whole files or pieces each."""
    every = sorted(files, key=lambda f: (-f.text_bytes, f.path, f.span or (0, 0)))
    found: list[list[TextFile]] = [[] for _ in range(max(1, min(count, len(every))))]
    sizes = [0] * len(found)
    for file in every:
        least = sizes.index(min(sizes))
        found[least].append(file)
        sizes[least] += file.text_bytes
    return [tuple(share) for share in found if share]


def local_path(uri: str) -> str:
    """A path as `storage` has it."""
    if "://" not in uri and not uri.startswith("file:"):
        return uri
    parts = urlparse(uri)
    path = unquote(parts.path)
    return path if uri.startswith("file:") else f"{parts.scheme}://{parts.netloc}{path}"


def _stamp(path: str) -> tuple[int, int | None]:
    fs, inner = storage.filesystem(path)
    info = fs.get_file_info(inner)
    return int(info.size or 0), info.mtime_ns
