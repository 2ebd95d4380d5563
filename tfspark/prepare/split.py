"""Which split a row is in: by the hash of its key, or by a date. The same row, for ever.

The hash is MD5 (RFC 1321) of the seed and the key's values as text, joined by U+001F; its first
eight hexadecimal digits over 2**32 are the row's place in [0, 1). Any language can compute it,
and no version of Spark changes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tfspark.config import Split
from tfspark.tables import quote

if TYPE_CHECKING:
    from pyspark.sql import Column

_SEPARATOR = "\x1f"


def place(key: Iterable[object], seed: int) -> float:
    """The place in [0, 1) of a key, in plain Python.

    >>> round(place([493], 0), 6) == round(place(["493"], 0), 6)
    True
    """
    text = _SEPARATOR.join([str(seed), *(str(value) for value in key)])
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return int(digest[:8], 16) / 2**32


def split_of(key: Iterable[object], split: Split) -> str:
    """`train`, `validation` or `test` of a key, in plain Python (hash splits only)."""
    at = place(key, split.seed)
    if at < split.test:
        return "test"
    return "validation" if at < split.test + split.validation else "train"


def hash_column(keys: list[str], seed: int) -> Column:
    """The key's MD5 in hexadecimal: also the order of rows inside a file."""
    from pyspark.sql import functions as F

    texts = [F.col(quote(key)).cast("string") for key in keys]
    return F.md5(F.concat_ws(_SEPARATOR, F.lit(str(seed)), *texts))


def split_column(hashed: Column, split: Split) -> Column:
    """`train`, `validation` or `test`, from the hash or the date column."""
    from pyspark.sql import functions as F

    if split.by == "time":
        day = F.col(quote(str(split.column))).cast("date")
        before = F.when(day < F.lit(split.validation_from), "train")
        return before.when(day < F.lit(split.test_from), "validation").otherwise("test")
    at = F.conv(F.substring(hashed, 1, 8), 16, 10).cast("double") / F.lit(float(2**32))
    test = F.when(at < split.test, "test")
    return test.when(at < split.test + split.validation, "validation").otherwise("train")
