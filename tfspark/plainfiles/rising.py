"""Whether a column's values rise from row group to row group, by what the footers say."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pyarrow as pa

from tfspark.plainfiles.files import Plain, PlainFile
from tfspark.rowgroups import opened

_MOST_FILES = 256  # whose footers are worth a look
_READERS = 8


def rising(files: Plain, name: str) -> Plain | None:
    """The same files in the order of a column of integers, if no two row groups overlap in it.

    Within a row group the order is not known. None also where a footer does not tell.

    Args:
        name: a column of `files`.
    """
    at = files.columns.get_field_index(name)
    origin = files.origin[at]
    if origin in files.partitions or not pa.types.is_integer(files.columns.field(at).type):
        return None
    if not 0 < len(files.files) <= _MOST_FILES:
        return None
    with ThreadPoolExecutor(_READERS) as pool:
        spans = list(pool.map(lambda file: _ranges(file, origin), files.files))
    if any(span is None for own in spans for span in own):
        return None
    order = sorted(range(len(spans)), key=lambda place: spans[place][0])
    whole = [span for place in order for span in spans[place]]
    if any(before[1] >= after[0] for before, after in pairwise(whole)):
        return None
    return replace(files, files=tuple(files.files[place] for place in order))


def _ranges(file: PlainFile, name: str) -> list[Any]:
    """The least and the largest value of each row group; None where the footer does not say."""
    found: list[Any] = []
    with opened(file.path) as parquet:
        footer = parquet.metadata
        paths = [footer.schema.column(leaf).path for leaf in range(footer.num_columns)]
        for group in file.groups:
            chunk = footer.row_group(group.number).column(paths.index(name))
            told = chunk.statistics
            known = told is not None and told.has_min_max
            found.append((told.min, told.max) if known else None)
    return found
