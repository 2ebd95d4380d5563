"""Blocks: the pieces that a split is read by, whatever its files are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import pyarrow as pa

from tfspark.compat.spark import to_arrow_type
from tfspark.contracts import Contract
from tfspark.contracts.types import spark_type
from tfspark.errors import IntegrityError

Kind = Literal["auto", "parquet", "tfrecord", "petastorm"]


@dataclass(frozen=True)
class Block:
    """Rows that are read in one go: a row group, or a whole file.

    Attributes:
        file: its path or URI.
        part: which row group of the file.
        rows: number of rows, from the file's footer or the dataset's manifest.
    """

    file: str
    part: int
    rows: int


class BlockSource(Protocol):
    """Lists the blocks of a split, and reads one."""

    blocks: list[Block]
    """In file order, those without rows left out."""

    def read(self, block: Block, schema: pa.Schema) -> pa.Table:
        """These columns of a block, in these types.

        Raises:
            IntegrityError: the file cannot be read or lacks a column; the message names it.
        """

    def close(self) -> None:
        """Close what is open."""


def read_whole(source: BlockSource, block: Block, schema: pa.Schema) -> pa.Table:
    """These columns of a block, counted.

    Raises:
        IntegrityError: it cannot be read, or has another number of rows than it should.
    """
    table = source.read(block, schema)
    if table.num_rows != block.rows:
        raise IntegrityError(
            f"{block.file} holds {table.num_rows} rows, it should be {block.rows}; prepare it again"
        )
    return table


def arrow_schema(contract: Contract, columns: Sequence[str]) -> pa.Schema:
    """Columns in the Arrow types of a contract; timestamps are in UTC."""
    fields = []
    for name in columns:
        column = contract.column(name)
        kind = to_arrow_type(spark_type(column.physical_type), timezone="UTC")
        fields.append(pa.field(name, kind, not column.required))
    return pa.schema(fields)


def in_schema(table: pa.Table, schema: pa.Schema, file: str) -> pa.Table:
    """A table's columns in the types of a schema.

    Raises:
        IntegrityError: a column is missing, or has values that its type does not hold.
    """
    names = schema.names
    there = dict(zip(table.column_names, table.columns, strict=True))
    if missing := [name for name in names if name not in there]:
        raise IntegrityError(
            f"{file}: no column {', '.join(missing)}, which the contract has; prepare it again"
        )
    columns = []
    for name, kind in zip(names, schema.types, strict=True):
        column = there[name]
        try:
            columns.append(column if column.type == kind else column.cast(kind))
        except pa.ArrowException as error:
            raise IntegrityError(
                f"{file}: column {name} is not {kind}, as the contract says: {error}; prepare it "
                "again"
            ) from None
    # Without the files' own metadata and nullability: tables of several files go together.
    return pa.Table.from_arrays(columns, names)
