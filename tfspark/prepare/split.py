"""Which split a row is in: by the hash of its key, or by a date. The same row, for ever.

The hash is MD5 (RFC 1321) of the seed and the key's values as text, joined by U+001F; its first
eight hexadecimal digits over 2**32 are the row's place in [0, 1). Any language can compute it,
and no version of Spark changes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.config import Split
from tfspark.contracts import Contract
from tfspark.contracts.contract import with_columns
from tfspark.contracts.types import family
from tfspark.dataset import SPLITS
from tfspark.errors import ConfigError
from tfspark.exchange.hashes import md5_hashes
from tfspark.rowchecks.words import text
from tfspark.tensors import Array

_SEPARATOR = "\x1f"


def place(key: Iterable[object], seed: int) -> float:
    """The place in [0, 1) of a key, in plain Python.

    >>> round(place([493], 0), 6) == round(place(["493"], 0), 6)
    True
    """
    said = _SEPARATOR.join([str(seed), *(str(value) for value in key)])
    digest = hashlib.md5(said.encode(), usedforsecurity=False).hexdigest()
    return int(digest[:8], 16) / 2**32


def split_of(key: Iterable[object], split: Split) -> str:
    """`train`, `validation` or `test` of a key, in plain Python (hash splits only)."""
    at = place(key, split.seed)
    if at < split.test:
        return "test"
    return "validation" if at < split.test + split.validation else "train"


def key_hashes(key: Sequence[pa.Array], seed: int) -> tuple[Array, Array]:
    """The MD5 of the key of each row, which has no null: its first and its last eight bytes.

    Returns:
        uint64 [rows] each; the first is also the order of rows inside a file.
    """
    texts = [text(column) for column in key]
    joined = pc.binary_join_element_wise(*texts, _SEPARATOR) if len(texts) > 1 else texts[0]
    return md5_hashes(joined, f"{seed}{_SEPARATOR}")


def split_numbers(rows: pa.RecordBatch, high: Array, split: Split) -> Array:
    """The split of each row, as its place in `SPLITS`: int64 [rows].

    Args:
        rows: of the contract's types; the column that the split is by has no null.
        high: the first eight bytes of the keys' hashes.
    """
    train, validation, test = range(len(SPLITS))
    if split.by == "time":
        days = rows.column(split.column).cast(pa.date32())
        later = [
            pc.greater_equal(days, pa.scalar(bound, pa.date32())).to_numpy(zero_copy_only=False)
            for bound in (split.validation_from, split.test_from)
        ]
        return np.where(~later[0], train, np.where(~later[1], validation, test))
    at = (high >> np.uint64(32)).astype(np.float64) / 2**32
    return np.where(
        at < split.test, test, np.where(at < split.test + split.validation, validation, train)
    )


def by_split(contract: Contract, split: Split) -> Contract:
    """The contract under which every row has a split: the time that it is by is there.

    Raises:
        ConfigError: the column that the split is by is none of the table, or no time.
    """
    if split.by != "time":
        return contract
    names = [column.name for column in contract.columns]
    if split.column not in names:
        raise ConfigError(
            f"prepare.split.column: {contract.name} has no column {split.column}; there are: "
            + ", ".join(names)
        )
    kind = contract.column(split.column).physical_type
    if family(kind) not in ("date", "timestamp"):
        raise ConfigError(
            f"prepare.split.column: {split.column} is {kind}, no date and no timestamp; declare it "
            "as one of them in the contract"
        )
    return with_columns(
        contract,
        (
            c.model_copy(update={"required": True}) if c.name == split.column else c
            for c in contract.columns
        ),
    )
