"""A table with a column of paths → the same with the files' bytes, read in tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import fs as pafs

from tfspark import storage
from tfspark.errors import ConfigError, SourceMissing
from tfspark.images.members import Member, Unreadable, read_member
from tfspark.images.table import MOST_BYTES, UNREAD, image_files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_ROWS = 256  # of a batch: images are large


class Files:
    """Where the paths of a column lead: below a folder, or into a zip, and nowhere else.

    Raises:
        SourceMissing: there is no such folder or zip.
        ConfigError: it is a file, and no zip.
    """

    def __init__(self, folder: str) -> None:
        self.folder = storage.absolute(folder)  # tasks do not stand in the driver's
        fs, inner = storage.filesystem(folder)
        kind = fs.get_file_info(inner).type
        if kind == pafs.FileType.NotFound:
            raise SourceMissing(f"source.images.folder: {folder}: is not there (yet)")
        self._members: dict[str, Member] | None = None
        if kind == pafs.FileType.File:
            listed = image_files(folder)
            self._members = {file.name: file.member for file in listed if file.member}

    def reader(self, stack: ExitStack) -> Any:
        """A function from a path to bytes; it raises `Unreadable`."""
        fs, inner = storage.filesystem(self.folder)
        root = inner.rstrip("/")
        if self._members is not None:
            members = self._members
            stream = stack.enter_context(fs.open_input_file(inner))

            def member(path: str) -> bytes:
                found = members.get(_inside(path, root))
                if found is None:
                    raise Unreadable(f"there is no {path} in {self.folder}")
                _check_size(found.bytes)
                return read_member(stream, found)

            return member

        def file(path: str) -> bytes:
            place = f"{root}/{_inside(path, root)}"
            info = fs.get_file_info(place)
            if info.type != pafs.FileType.File:
                raise Unreadable(f"there is no file {path} in {self.folder}")
            _check_size(info.size)
            try:
                with fs.open_input_stream(place) as stream:
                    found: bytes = stream.read()
            except OSError as error:
                raise Unreadable(f"{path} cannot be read: {error}") from None
            return found

        return file


def with_images(df: DataFrame, column: str, folder: str, name: str, unread: bool) -> DataFrame:
    """The rows and the bytes of the files that a column names.

    Args:
        folder: that the paths are relative to, or a zip.
        name: of the new column.
        unread: whether `UNREAD` comes too: why there are no bytes.

    Raises:
        SourceMissing, ConfigError: no such folder or column; the new column is there already.
    """
    from pyspark.sql import types as T

    names = [field.name for field in df.schema]
    if column not in names or name in names:
        what = "has no such column" if column not in names else f"has a column {name} already"
        raise ConfigError(f"source.images.column {column}: the table {what}; it has {names}")
    files = Files(folder)

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with ExitStack() as stack:
            read = files.reader(stack)
            for whole in batches:
                for start in range(0, whole.num_rows, _ROWS):
                    batch = whole.slice(start, _ROWS)
                    pairs = [_read(read, path) for path in batch.column(column).to_pylist()]
                    columns = [*batch.columns, pa.array([b for b, _ in pairs], pa.binary())]
                    fields = [*batch.schema.names, name]
                    if unread:
                        columns.append(pa.array([why for _, why in pairs], pa.string()))
                        fields.append(UNREAD)
                    yield pa.RecordBatch.from_arrays(columns, names=fields)

    fields = [*df.schema, T.StructField(name, T.BinaryType())]
    fields += [T.StructField(UNREAD, T.StringType())] if unread else []
    return df.mapInArrow(run, T.StructType(fields))


def _read(read: Any, path: object) -> tuple[bytes | None, str | None]:
    if path is None:
        return None, None
    try:
        return read(str(path)), None
    except Unreadable as why:
        return None, str(why)


def _inside(path: str, root: str) -> str:
    """A path below the root: a table must not name any file of the machine."""
    path = path.removeprefix("file://").removeprefix(f"{root}/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or "\0" in path:
        raise Unreadable(f"{path} lies outside of source.images.folder")
    return "/".join(parts)


def _check_size(size: int) -> None:
    if size > MOST_BYTES:
        raise Unreadable(f"has {size:,} bytes, more than the {MOST_BYTES:,} of an image")
