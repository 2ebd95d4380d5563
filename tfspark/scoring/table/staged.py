"""What lies in a staging folder, counted from the files themselves, and errors of a run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pyarrow.parquet as pq

from tfspark import storage
from tfspark.errors import StorageError

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
