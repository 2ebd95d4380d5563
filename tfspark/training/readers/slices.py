"""The columns by whose values a model is measured: `model.slices`."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tfspark.config import Settings
from tfspark.contracts import Contract
from tfspark.dataset import Dataset
from tfspark.errors import ConfigError, IntegrityError
from tfspark.tensors import Array
from tfspark.training.readers.label import Label
from tfspark.training.readers.open import open_source
from tfspark.training.readers.source import arrow_schema, read_whole

_KINDS = ("string", "boolean", "tinyint", "smallint", "int", "bigint", "date")


def check_slices(settings: Settings, contract: Contract) -> None:
    """Refuse columns that no slice can be made of, before any training.

    Raises:
        ConfigError: there is no such column, or its values are none that rows share.
    """
    there = {column.name: column.physical_type for column in contract.columns}
    for name in settings.model.slices:
        if name not in there:
            raise ConfigError(
                f"model.slices: contract {contract.name} has no column {name}; there are: "
                f"{', '.join(there)}"
            )
        if there[name] not in _KINDS:
            raise ConfigError(
                f"model.slices: {name} is {there[name]}, and a slice is all rows with one value; "
                f"name columns of {', '.join(_KINDS)}, for example one of ranges made in the table"
            )


def read_slices(
    dataset: Dataset, split: str, columns: list[str], label: Label, expected: Array
) -> dict[str, pa.ChunkedArray]:
    """These columns of a split, its rows in the order of its files.

    Args:
        label, expected: the labels of the rows that were predicted, in the same order.

    Raises:
        IntegrityError: the files changed since.
    """
    if not columns:
        return {}
    schema = arrow_schema(dataset.contract, list(dict.fromkeys([*columns, label.column])))
    source = open_source(dataset, split)
    tables = [read_whole(source, block, schema) for block in source.blocks]
    source.close()
    table = pa.concat_tables(tables) if tables else schema.empty_table()
    place = f"dataset {dataset.path}: {split}"
    if not np.array_equal(label.encode(table.column(label.column), place), expected):
        raise IntegrityError(f"{place}: the files changed while the model was measured")
    return {name: table.column(name) for name in columns}
