"""A table in CSV or JSON files: its columns, and its rows in tasks or as a DataFrame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from tfspark.config.textoptions import TextOptions
from tfspark.csvfiles import read as csv
from tfspark.errors import ContractViolation, StorageError
from tfspark.jsonfiles import read as json
from tfspark.textblocks import CORRUPT as CORRUPT
from tfspark.textblocks import Coding, strings
from tfspark.textfiles.files import TextFile, in_pieces, list_files, shares

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

JSON = json.TEXT
"""The column of JSON records as they are."""

_SHOWN = 100  # characters of a record in a message


@dataclass(frozen=True)
class TextTable:
    """The rows of text files.

    Attributes:
        columns: of the files. Of CSV as Spark names them: `_c0` where a header has no name, the
            number behind a name that is there twice.
        by_folder: columns whose values are the names of folders.
    """

    columns: tuple[str, ...]
    by_folder: tuple[str, ...]
    form: csv.Form | json.Form
    files: tuple[TextFile, ...]

    @property
    def schema(self) -> pa.Schema:
        """Text, and `CORRUPT` for records that do not have the columns."""
        return pa.schema([(name, pa.string()) for name in self._names(None)])

    @property
    def bytes(self) -> int:
        """Of the text, about."""
        return sum(file.text_bytes for file in self.files)

    def shares(self, count: int) -> list[tuple[TextFile, ...]]:
        """At most so many shares of about equal bytes, whole files or pieces each."""
        return shares(self.files, count)

    def batches(
        self, share: Iterable[TextFile], wanted: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a share; `CORRUPT` is always among the columns.

        Raises:
            StorageError: a file cannot be read, or is not the one that it was.
            ContractViolation: records cannot be told apart.
        """
        names = self._names(wanted)
        schema = pa.schema([(name, pa.string()) for name in names])
        for file in share:
            file.check()
            for batch in self._read(file, wanted):
                there = dict(zip(batch.schema.names, batch.columns, strict=True))
                for name in self.by_folder:
                    value = strings([file.values[name]])
                    there[name] = pa.repeat(value[0], batch.num_rows)
                yield pa.RecordBatch.from_arrays([there[n] for n in names], schema=schema)
            file.check()

    def frame(self, spark: SparkSession, checked: bool = True) -> DataFrame:
        """The rows as Spark has them, a task a file or piece.

        Args:
            checked: whether a contract's checks follow, which refuse text that is not UTF-8 and
                records without the fields; otherwise these end the query.
        """
        from pyspark.sql import types as T

        def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                for number in batch.column(0).to_pylist():
                    file = self.files[number]
                    for rows in self.batches([file]):
                        if not checked:
                            _refuse_bad(rows, file)
                        yield rows

        fields = [T.StructField(name, T.StringType()) for name in self.schema.names]
        numbers = spark.range(0, len(self.files), 1, max(1, len(self.files)))
        return numbers.mapInArrow(run, T.StructType(fields))

    def _names(self, wanted: Sequence[str] | None) -> list[str]:
        first = [JSON] if isinstance(self.form, json.Form) else []
        every = [*first, *self.columns, *self.by_folder]
        return [*(n for n in every if wanted is None or n in wanted), CORRUPT]

    def _read(self, file: TextFile, wanted: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        if isinstance(self.form, csv.Form):
            return csv.read_csv(file.path, self.columns, self.form, wanted, file.span)
        return json.read_json(file.path, self.columns, self.form, wanted)


def _refuse_bad(rows: pa.RecordBatch, file: TextFile) -> None:
    for name, column in zip(rows.schema.names, rows.columns, strict=True):
        if name == CORRUPT and column.null_count < len(column):
            (text, *_) = column.drop_null().cast(pa.binary()).to_pylist()
            raise StorageError(
                f"{file.path}: a record does not have the fields of the table: "
                f"{text.decode('utf-8', 'replace')[:_SHOWN]!r}; give a contract, for it to be bad"
            )
        try:
            column.validate(full=True)
        except pa.ArrowInvalid:
            raise StorageError(
                f"{file.path}: column {name} holds text that is not UTF-8; name its encoding "
                "(source.options.encoding: windows-1252), or give a contract, for its row to be bad"
            ) from None


def text_table(
    spark: SparkSession, format: str, path: str, options: TextOptions, columns: Sequence[str] = ()
) -> TextTable:
    """The table in the files of a path, as Spark lists them.

    Args:
        columns: fields that JSON records may have. CSV files say themselves what they have.

    Raises:
        ContractViolation: CSV files have no header, or different ones.
        StorageError: a file cannot be read.
    """
    files = list_files(spark, path, options.files)
    coding = Coding(options.encoding, options.compression)
    by_folder = tuple(files[0].values) if files else ()
    if format == "json":
        names = tuple(name for name in dict.fromkeys(columns) if name not in by_folder)
        return TextTable(
            names, by_folder, json.Form(options.multi_line, options.nulls, coding), files
        )
    form = csv.Form(
        options.comma, options.quote, options.escape, options.nulls, options.header, coding
    )
    names = options.columns or _header(path, files, form)
    if twice := [name for name in names if name in by_folder]:
        raise ContractViolation(
            f"{path}: column {twice[0]} is in the files and in their folders' names; rename one"
        )
    if not options.quote or options.multi_line is False:  # a line break ends a record
        files = in_pieces(files, coding)
    return TextTable(names, by_folder, form, files)


def _header(path: str, files: Iterable[TextFile], form: csv.Form) -> tuple[str, ...]:
    first: tuple[str, list[str]] | None = None
    for file in files:
        header = csv.read_header(file.path, form)
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
    return names_of(first[1], form)


def names_of(header: Sequence[str], form: csv.Form) -> tuple[str, ...]:
    """The columns of a header, named as Spark names them."""
    if not form.header:
        return tuple(f"_c{number}" for number in range(len(header)))
    lower = [name.lower() for name in header]
    return tuple(
        f"_c{number}"
        if not name or name in form.nulls
        else f"{name}{number}"
        if lower.count(name.lower()) > 1
        else name
        for number, name in enumerate(header)
    )
