"""What lies in a staging folder, counted from the files themselves, and errors of a run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pyarrow.parquet as pq

from tfspark import storage
from tfspark.errors import StorageError
from tfspark.tables import first_line

BAD = "_tfspark_bad"
"""1 in a bad row, null in a good one: the footers of Parquet files count nulls."""


def count_staged(folder: str) -> tuple[int, int]:
    """Rows of the Parquet files of a folder, and how many of them are bad.

    Raises:
        StorageError: a file cannot be read.
    """
    names = [name for name, _ in storage.files(folder) if name.endswith(".parquet")]
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda name: _count(storage.join(folder, name)), names))
    return sum(rows for rows, _ in counts), sum(bad for _, bad in counts)


def _count(path: str) -> tuple[int, int]:
    fs, inner = storage.filesystem(path)
    try:
        with fs.open_input_file(inner) as file:
            footer = pq.ParquetFile(file).metadata
            rows = bad = 0
            for number in range(footer.num_row_groups):
                group = footer.row_group(number)
                columns = (group.column(i) for i in range(group.num_columns))
                flag = next(column for column in columns if column.path_in_schema == BAD)
                rows += group.num_rows
                bad += group.num_rows - flag.statistics.null_count
            return rows, bad
    except Exception as error:
        raise StorageError(
            f"{path}: the rows of a staged file cannot be counted: {error}"
        ) from error


@contextmanager
def running(what: str, target: str) -> Iterator[None]:
    """Spark's errors of a run as one of ours, with the line that tells.

    Raises:
        StorageError: whatever Spark raised.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise StorageError(f"{what} failed: {_telling(error)}; {target} is unchanged") from error


def _telling(error: Exception) -> str:
    """The last exception of a Python worker's traceback, else Spark's own first line."""
    raised = re.findall(r"^[A-Za-z_][\w.]*: (.+)$", str(error), re.M)
    from_python = "Traceback (most recent call last)" in str(error)
    return raised[-1][:500] if raised and from_python else first_line(error)
