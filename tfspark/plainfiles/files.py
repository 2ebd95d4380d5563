"""Whether a DataFrame is plain files, by Spark's own plan of it, and its rows without Spark.

Plain are Parquet files (Delta's without deletion vectors and column mapping) with nothing on top
but columns that are chosen or renamed and simple filters. Spark lists the files, prunes partitions
and skips files as for any query; only the reading is done elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import fs as pafs

from tfspark import storage
from tfspark.compat.catalyst import FileScan, physical_plan
from tfspark.compat.spark import arrow_of
from tfspark.errors import StorageError
from tfspark.plainfiles.asread import NotPlain, arrow_field, check_file
from tfspark.plainfiles.batches import batches
from tfspark.plainfiles.filters import Filter, Unknown, both, from_catalyst, partition_value
from tfspark.plainfiles.sparkplan import check_logical, check_scan, named, scan_of
from tfspark.rowgroups import Group, divide, footers, opened
from tfspark.tensors.arrowtypes import loose_type, typed_as

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_TASK_BYTES = 1 << 30  # of Parquet, in memory: a task is tried again as a whole
_MOST_FILES = 10_000  # whose footers the driver reads in seconds
_READERS = 8


@dataclass(frozen=True)
class PlainFile:
    """A file as it was when the DataFrame was looked at.

    Attributes:
        size, changed: bytes, and when it was changed (ns), by which another file is known.
        groups: row groups that are read.
        values: values of the partition columns.
    """

    path: str
    size: int
    changed: int | None
    groups: tuple[Group, ...]
    values: tuple[pa.Scalar, ...]

    def check(self) -> None:
        """Whether it is still the file that it was.

        Raises:
            StorageError: it is not.
        """
        if _stamp(self.path) != (self.size, self.changed):
            raise StorageError(
                f"{self.path}: was changed or removed since the DataFrame was made; read the "
                "table again (spark.read...), and score that"
            )


@dataclass(frozen=True)
class Plain:
    """The rows of a DataFrame, as files.

    Attributes:
        columns: the DataFrame's columns, with the types in which Spark hands them over.
        origin: for each column, the file's column or the partition column that it comes from.
        read: the columns that are read from the files.
        partitions: the partition columns, whose values come from the folders' names.
        where: filter on the rows.
        skipped: number of row groups that hold no row that passes the filter.
    """

    columns: pa.Schema
    origin: tuple[str, ...]
    read: pa.Schema
    partitions: tuple[str, ...]
    where: Filter | None
    files: tuple[PlainFile, ...]
    skipped: int = 0

    @property
    def groups(self) -> list[Group]:
        return [group for file in self.files for group in file.groups]

    @property
    def rows(self) -> int:
        """Of the row groups: before the filter."""
        return sum(group.rows for group in self.groups)

    def shares(self, spark: SparkSession) -> list[tuple[PlainFile, ...]]:
        """A share a core, or a multiple of that where the shares would be large."""
        cores = spark.sparkContext.defaultParallelism
        waves = -(-sum(group.bytes for group in self.groups) // (_TASK_BYTES * cores))
        files = {file.path: file for file in self.files}
        shares = []
        for groups in divide(self.groups, cores * max(1, waves)):
            paths = dict.fromkeys(group.path for group in groups)
            shares.append(
                tuple(
                    replace(files[path], groups=tuple(g for g in groups if g.path == path))
                    for path in paths
                )
            )
        return shares

    def bare(self) -> Plain:
        """Without the files, for tasks that get a share."""
        return replace(self, files=())

    def only(self, names: Sequence[str]) -> Plain:
        """The same rows with some of the columns; all of them where files have none of those."""
        chosen = [self.columns.get_field_index(name) for name in names]
        origin = tuple(self.origin[place] for place in chosen)
        needed = {*origin, *(self.where.columns if self.where else ())}
        read = pa.schema([field for field in self.read if field.name in needed])
        if not read.names:
            return self
        part = len(read) / len(self.read)  # of the bytes, about
        files = tuple(
            replace(
                file,
                groups=tuple(g._replace(bytes=int(g.bytes * part)) for g in file.groups),
            )
            for file in self.files
        )
        columns = pa.schema([self.columns.field(place) for place in chosen])
        return replace(self, columns=columns, origin=origin, read=read, files=files)

    def batches(self, share: Sequence[PlainFile], coded: bool = False) -> Iterator[pa.RecordBatch]:
        """The rows of a share that pass, as columns of the DataFrame.

        Args:
            coded: text may come as dictionaries, where files have it so.

        Raises:
            StorageError: a file cannot be read, or is not the one that it was.
        """
        filtered = self.where.columns if self.where else ()
        texts = {name for name in self.read.names if coded and name not in filtered}
        for file in share:
            file.check()
            for batch in batches(file.groups, self.read, texts):
                rows = self._rows(batch, file)
                if rows.num_rows:
                    yield rows
            file.check()

    def _rows(self, batch: pa.RecordBatch, file: PlainFile) -> pa.RecordBatch:
        there = dict(zip(batch.schema.names, batch.columns, strict=True))
        for name, value in zip(self.partitions, file.values, strict=True):
            there[name] = pa.repeat(value, batch.num_rows)
        arrays = [there[name] for name in self.origin]
        rows = pa.RecordBatch.from_arrays(arrays, schema=typed_as(arrays, self.columns))
        return rows if self.where is None else rows.filter(self.where.mask(there))


def plain(df: DataFrame, used: Sequence[str]) -> Plain:
    """Columns of a DataFrame as plain files.

    Raises:
        NotPlain: it is something else; the message says what.
    """
    from tfspark.tables import quote

    frame = df.select(*[quote(name) for name in used])
    check_logical(frame)
    plan = physical_plan(frame)
    scan = scan_of(plan)
    check_scan(df.sparkSession, scan)
    names, conditions = named(plan, scan)
    there, by_folder = set(scan.data_columns), list(scan.partition_columns)
    if any(column not in there and column not in by_folder for column in names.values()):
        raise NotPlain("it has deletion vectors, or columns that Spark makes while it reads")
    try:
        where = both([from_catalyst(condition, names) for condition in conditions])
    except Unknown as part:
        raise NotPlain(f"its filter is no simple one: {part}") from None
    origin = tuple(names[number] for number in plan.output)
    # By the names that are asked for: Spark does not mind their case.
    fields = [
        arrow_field(field).with_name(name) for name, field in zip(used, frame.schema, strict=True)
    ]
    kinds = dict(zip(origin, (field.type for field in fields), strict=True))
    for name in where.columns if where else ():
        if name not in kinds:
            kinds[name] = loose_type(arrow_of(scan.type_of(name)))
    partitions = tuple(name for name in by_folder if name in kinds)
    read = pa.schema([(name, kind) for name, kind in kinds.items() if name not in by_folder])
    if not read.names:
        raise NotPlain("no column of the files is read, only those of folders")
    files, skipped = _files(scan, read, by_folder, partitions, where)
    return Plain(pa.schema(fields), origin, read, partitions, where, files, skipped)


def _files(
    scan: FileScan,
    read: pa.Schema,
    by_folder: Sequence[str],
    partitions: Sequence[str],
    where: Filter | None,
) -> tuple[tuple[PlainFile, ...], int]:
    kinds = scan.partition_columns
    listed: dict[str, tuple[int, tuple[pa.Scalar, ...]]] = {}
    if scan.file_count > _MOST_FILES:
        raise NotPlain(f"it has {scan.file_count} files; OPTIMIZE the table")
    for file in scan.files():
        if file.path in listed:
            raise NotPlain(f"it reads {file.path} twice")
        given = dict(zip(kinds, file.values, strict=True))
        try:
            values = tuple(
                partition_value(given[name], kinds[name])
                for name in by_folder
                if name in partitions
            )
        except Unknown as kind:
            raise NotPlain(f"it is partitioned by a column of type {kind}") from None
        listed[file.path] = file.size, values
    try:
        with ThreadPoolExecutor(_READERS) as pool:
            stamps = list(pool.map(_stamp, listed))
        looked = footers(list(listed), read.names)
    except (OSError, StorageError) as error:
        raise NotPlain(str(error)) from None
    files, skipped = [], 0
    for footer, stamp in zip(looked, stamps, strict=True):
        size, values = listed[footer.path]
        if stamp[0] != size:
            raise NotPlain(f"{footer.path} was changed since Spark listed it")
        check_file(footer, read)
        groups = _passing(footer.path, footer.groups, where, read)
        skipped += len(footer.groups) - len(groups)
        if groups:
            files.append(PlainFile(footer.path, *stamp, groups, values))
    return tuple(files), skipped


def _passing(
    path: str, groups: tuple[Group, ...], where: Filter | None, read: pa.Schema
) -> tuple[Group, ...]:
    if where is None or not where.columns & set(read.names):
        return groups
    with opened(path) as file:
        return tuple(g for g in groups if where.may_pass(file.metadata.row_group(g.number)))


def _stamp(path: str) -> tuple[int, int | None]:
    """Bytes and time of change; -1 where there is no file."""
    fs, inner = storage.filesystem(path)
    info = fs.get_file_info(inner)
    return (info.size, info.mtime_ns) if info.type == pafs.FileType.File else (-1, None)
