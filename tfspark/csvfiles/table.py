"""A table in CSV files: which files, which columns, and its rows in tasks or as a DataFrame."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

import pyarrow as pa

from tfspark import storage
from tfspark.csvfiles.read import CORRUPT, Form, read_csv, read_header
from tfspark.errors import ContractViolation, StorageError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_KNOWN = {
    *("header", "sep", "delimiter", "quote", "escape", "nullvalue", "encoding", "charset"),
    "multiline",
}
_PACKED = (".gz", ".bz2", ".zst", ".lz4")
_UNKNOWN = (".snappy", ".deflate", ".lzo", ".br", ".xz")


@dataclass(frozen=True)
class CsvFile:
    """A file as it was when the table was looked at.

    Attributes:
        changed: when it was changed (ns), by which, and its size, another file is known.
    """

    path: str
    bytes: int
    changed: int | None

    def check(self) -> None:
        """Whether it is still the file that it was: it is read more than once.

        Raises:
            StorageError: it is not.
        """
        if _file(self.path) != self:
            raise StorageError(
                f"{self.path}: was changed or removed while it was read; run again when it is whole"
            )


@dataclass(frozen=True)
class CsvTable:
    """The rows of CSV files.

    Attributes:
        columns: as Spark names them: `_c0` where a header has no name, the number behind a name
            that is there twice.
    """

    columns: tuple[str, ...]
    form: Form
    files: tuple[CsvFile, ...]

    @property
    def schema(self) -> pa.Schema:
        """Text, and `CORRUPT` for records that do not have the columns."""
        return pa.schema([(name, pa.string()) for name in (*self.columns, CORRUPT)])

    @property
    def bytes(self) -> int:
        """Of the text, about."""
        return sum(f.bytes * (4 if f.path.endswith(_PACKED) else 1) for f in self.files)

    def shares(self, count: int) -> list[tuple[CsvFile, ...]]:
        """At most so many shares of about equal bytes, whole files each."""
        shares: list[list[CsvFile]] = [[] for _ in range(max(1, min(count, len(self.files))))]
        sizes = [0] * len(shares)
        for file in sorted(self.files, key=lambda f: (-f.bytes, f.path)):
            least = sizes.index(min(sizes))
            shares[least].append(file)
            sizes[least] += file.bytes
        return [tuple(share) for share in shares if share]

    def batches(
        self, share: Iterable[CsvFile], wanted: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a share; see `read_csv`.

        Raises:
            StorageError: a file cannot be read, or is not the one that it was.
        """
        for file in share:
            file.check()
            yield from read_csv(file.path, self.columns, self.form, wanted)
            file.check()

    def frame(self, spark: SparkSession) -> DataFrame:
        """The rows as Spark has them, a task a file."""
        from pyspark.sql import types as T

        def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                for number in batch.column(0).to_pylist():
                    yield from self.batches([self.files[number]])

        fields = [T.StructField(name, T.StringType()) for name in self.schema.names]
        numbers = spark.range(0, len(self.files), 1, max(1, len(self.files)))
        return numbers.mapInArrow(run, T.StructType(fields))


def csv_table(spark: SparkSession, path: str, options: Mapping[str, str]) -> CsvTable | None:
    """The table in the files of a path, as Spark lists them; None: only Spark can read it.

    That is where files are in partition folders, or an option is none of those of `Form`.

    Raises:
        ContractViolation: there is no header, or files have different ones.
        StorageError: a file cannot be read.
    """
    form = _form(options)
    listed = spark.read.text(path).inputFiles() if form is not None else []
    files = [_file(uri) for uri in sorted(listed)]
    if form is None or any("=" in folder for f in files for folder in _below(f.path, path)):
        return None
    if any(f.path.endswith(_UNKNOWN) for f in files):
        return None
    first: tuple[str, list[str]] | None = None
    for file in files:
        header = read_header(file.path, form)
        if header is None:
            continue
        if first is None:
            first = file.path, header
        elif form.header and header != first[1]:
            raise ContractViolation(
                f"{path}: files with different headers: {first[0]} has {first[1]}, {file.path} has "
                f"{header}"
            )
    if first is None:
        raise ContractViolation(f"{path}: the file is empty: not even a header line")
    names = _names(first[1], form)
    return CsvTable(names, form, tuple(files))


def _form(options: Mapping[str, str]) -> Form | None:
    given = {name.lower(): value for name, value in options.items()}
    comma = given.get("sep", given.get("delimiter", ","))
    quote = given.get("quote", '"')
    header = given.get("header", "true").lower()
    encoding = given.get("encoding", given.get("charset", "utf-8"))
    try:
        codecs.lookup(encoding)
    except LookupError:
        return None
    plain = len(comma) == 1 and ord(comma) < 128 and comma not in "\r\n"
    plain &= not quote or (len(quote) == 1 and ord(quote) < 128)
    plain &= given.get("escape", quote) == quote and header in ("true", "false")
    if not plain or given.keys() - _KNOWN:
        return None
    return Form(comma, quote, given.get("nullvalue", ""), header == "true", encoding)


def _file(uri: str) -> CsvFile:
    path = unquote(urlparse(uri).path) if uri.startswith("file:") else uri
    fs, inner = storage.filesystem(path)
    info = fs.get_file_info(inner)
    return CsvFile(path, int(info.size or 0), info.mtime_ns)


def _below(file: str, path: str) -> list[str]:
    """The folders between the table's path and a file."""
    root = storage.absolute(path).rstrip("/") + "/"
    inside = file.removeprefix(root) if file.startswith(root) else file
    return inside.split("/")[:-1] if inside != file else file.split("/")[-2:-1]


def _names(header: Sequence[str], form: Form) -> tuple[str, ...]:
    if not form.header:
        return tuple(f"_c{number}" for number in range(len(header)))
    lower = [name.lower() for name in header]
    return tuple(
        f"_c{number}"
        if not name or name == form.null
        else f"{name}{number}"
        if lower.count(name.lower()) > 1
        else name
        for number, name in enumerate(header)
    )
