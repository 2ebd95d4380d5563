"""Images in a folder or a zip as a table: a row a file, read in tasks."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import fs as pafs

from tfspark import storage
from tfspark.errors import ConfigError, ContractViolation, SourceMissing, StorageError
from tfspark.images.members import Member, Unreadable, members, read_member
from tfspark.images.names import ENDINGS, is_hidden, is_image, label_of
from tfspark.textblocks import strings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

PATH, LABEL, IMAGE = "path", "label", "image"
UNREAD = "_tfspark_unread"
"""The column that says why a file has no bytes; null where it has."""
FIELDS: dict[str, pa.DataType] = {
    PATH: pa.string(),
    LABEL: pa.string(),
    IMAGE: pa.binary(),
    UNREAD: pa.string(),
}
MOST_BYTES = 256 << 20
"""Of one file: larger ones are bad rows."""

_BATCH_BYTES, _BATCH_ROWS = 16 << 20, 1024
_TASK_BYTES = 256 << 20


@dataclass(frozen=True)
class ImageFile:
    """A file as it was when the table was looked at.

    Attributes:
        name: below the folder, or in the zip; with `/`.
        member: where it is in the zip; None: it is a file of its own.
    """

    name: str
    bytes: int
    member: Member | None = None


_Row = tuple[ImageFile, bytes | None, str | None]
"""A file, its bytes, and why it has none."""


@dataclass(frozen=True)
class ImageTable:
    """The rows of a folder or a zip of images.

    Attributes:
        left_out: files whose names are no image's; hidden ones are not even told.
        stamp: of a zip, its size and when it was changed, by which another file is known.
    """

    path: str
    files: tuple[ImageFile, ...]
    left_out: tuple[str, ...]
    stamp: tuple[int, int | None] | None = None

    @property
    def schema(self) -> pa.Schema:
        return pa.schema(FIELDS)

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    def shares(self, count: int) -> list[tuple[ImageFile, ...]]:
        """So many shares of about equal bytes, or more where they would be large; neighbours."""
        count = max(count, -(-self.bytes // _TASK_BYTES))
        # A file costs something however small it is.
        sizes = [file.bytes + 512 for file in self.files]
        total, done = sum(sizes), 0
        found: list[list[ImageFile]] = [[] for _ in range(count)]
        for file, size in zip(self.files, sizes, strict=True):
            found[done * count // total].append(file)
            done += size
        return [tuple(share) for share in found if share]

    def batches(
        self, share: Iterable[ImageFile], wanted: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a share; files are opened only where their bytes are wanted.

        Raises:
            StorageError: a file cannot be read, or is not the one that it was.
        """
        names = [name for name in FIELDS if wanted is None or name in wanted]
        schema = pa.schema([(name, FIELDS[name]) for name in names])
        reads = IMAGE in names or UNREAD in names
        held: list[_Row] = []
        size = 0
        for row in self._read(share) if reads else ((file, None, None) for file in share):
            held.append(row)
            size += len(row[1] or b"")
            if size > _BATCH_BYTES or len(held) >= _BATCH_ROWS:
                yield _batch(held, schema)
                held, size = [], 0
        if held:
            yield _batch(held, schema)

    def frame(self, spark: SparkSession) -> DataFrame:
        """The rows as Spark has them, without `UNREAD`."""
        from pyspark.sql import types as T

        names = [name for name in FIELDS if name != UNREAD]
        shares = self.shares(spark.sparkContext.defaultParallelism)

        def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                for number in batch.column(0).to_pylist():
                    yield from self.batches(shares[number], names)

        kinds = {pa.string(): T.StringType(), pa.binary(): T.BinaryType()}
        schema = T.StructType([T.StructField(name, kinds[FIELDS[name]]) for name in names])
        numbers = spark.range(0, len(shares), 1, max(1, len(shares)))
        return numbers.mapInArrow(run, schema)

    def _read(self, share: Iterable[ImageFile]) -> Iterator[_Row]:
        fs, inner = storage.filesystem(self.path)
        if self.stamp is None:
            for file in share:
                yield file, *_bytes(partial(_whole, fs, f"{inner}/{file.name}", file))
            return
        with _opened(fs, inner, self.path) as stream:
            self._check(fs, inner)
            for file in share:
                yield file, *_bytes(partial(_member, stream, file))
            self._check(fs, inner)

    def _check(self, fs: Any, inner: str) -> None:
        if _stamp(fs, inner) != self.stamp:
            raise StorageError(
                f"{self.path}: was changed or removed while it was read; run again when nobody "
                "writes to it"
            )


def image_table(path: str) -> ImageTable:
    """The images in a folder and those below it, or in a zip.

    Raises:
        SourceMissing: there is no such folder or file.
        ConfigError: it is a file, and no zip.
        ContractViolation: no image is in it.
        StorageError: it cannot be read.
    """
    fs, inner = storage.filesystem(path)
    kind = fs.get_file_info(inner).type
    if kind == pafs.FileType.NotFound:
        raise SourceMissing(
            f"{path}: is not there (yet); name a folder of images, or a zip of one, with "
            "--source.path: one folder for each label, images in it"
        )
    stamp = _stamp(fs, inner) if kind == pafs.FileType.File else None
    listed = image_files(path)
    seen = [file for file in listed if not is_hidden(file.name)]
    images = tuple(file for file in seen if is_image(file.name))
    others = tuple(file.name for file in seen if not is_image(file.name))
    if not images:
        rest = f"; there are {len(others)} others, such as {others[0]}" if others else ""
        raise ContractViolation(
            f"{path}: holds no image: no file's name ends with {', '.join(ENDINGS)}{rest}"
        )
    # Tasks do not stand in the driver's folder.
    return ImageTable(storage.absolute(path), images, others, stamp)


def image_files(path: str) -> list[ImageFile]:
    """All files below a folder or in a zip.

    Raises:
        ConfigError: it is a file, and no zip.
        StorageError: it cannot be read.
    """
    fs, inner = storage.filesystem(path)
    is_file = fs.get_file_info(inner).type == pafs.FileType.File
    return _zipped(fs, inner, path) if is_file else _below(inner, fs, path)


def _below(inner: str, fs: Any, path: str) -> list[ImageFile]:
    try:
        infos = fs.get_file_info(pafs.FileSelector(inner, recursive=True))
    except (OSError, UnicodeError) as error:
        raise StorageError(f"{path}: cannot be listed: {error}") from None
    root = inner.rstrip("/") + "/"
    files = [i for i in infos if i.type == pafs.FileType.File]
    return sorted(
        (ImageFile(i.path.removeprefix(root), i.size) for i in files), key=lambda file: file.name
    )


def _zipped(fs: Any, inner: str, path: str) -> list[ImageFile]:
    with _opened(fs, inner, path) as stream:
        try:
            return [ImageFile(name, member.bytes, member) for name, member in members(stream)]
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise ConfigError(
                f"{path}: is no zip that can be read ({error}); a source of images is a folder or "
                "a zip"
            ) from None


def _opened(fs: Any, inner: str, path: str) -> Any:
    try:
        return fs.open_input_file(inner)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error}") from None


def _stamp(fs: Any, inner: str) -> tuple[int, int | None]:
    info = fs.get_file_info(inner)
    return int(info.size or 0), info.mtime_ns


def _bytes(read: Any) -> tuple[bytes | None, str | None]:
    try:
        return read(), None
    except Unreadable as why:
        return None, str(why)


def _whole(fs: Any, inner: str, file: ImageFile) -> bytes:
    _check_size(file)
    try:
        with fs.open_input_stream(inner) as stream:
            found: bytes = stream.read()
    except PermissionError:
        raise Unreadable("cannot be read: no permission") from None
    except OSError as error:
        raise StorageError(f"{inner}: was changed or removed while it was read: {error}") from None
    if len(found) != file.bytes:
        raise StorageError(
            f"{inner}: was changed while it was read; run again when nobody writes to it"
        )
    return found


def _member(stream: Any, file: ImageFile) -> bytes:
    _check_size(file)
    assert file.member is not None  # noqa: S101 - of a zip
    return read_member(stream, file.member)


def _check_size(file: ImageFile) -> None:
    if file.bytes > MOST_BYTES:
        raise Unreadable(f"has {file.bytes:,} bytes, more than the {MOST_BYTES:,} of an image")


def _batch(rows: Sequence[_Row], schema: pa.Schema) -> pa.RecordBatch:
    columns = {
        PATH: strings([file.name for file, _, _ in rows]),
        LABEL: strings([label_of(file.name) for file, _, _ in rows]),
        IMAGE: pa.array([found for _, found, _ in rows], pa.binary()),
        UNREAD: pa.array([why for _, _, why in rows], pa.string()),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
