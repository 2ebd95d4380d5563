"""Parquet by files, with Petastorm's `make_batch_reader`.

The order of rows is ours here too: Petastorm reads one whole file at a time, in its `dummy` pool
(its thread pool can lose rows), once, unshuffled. Its own last step turns Arrow into NumPy, where a
null string becomes "None" and a null integer a float: the Arrow tables before it are taken.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from tfspark import storage
from tfspark.errors import ConfigError
from tfspark.extras import need
from tfspark.training.readers.parquet import read_footer, reading
from tfspark.training.readers.pyarrow_compat import FileSystem, import_petastorm
from tfspark.training.readers.source import Block, in_schema


class PetastormSource:
    """A block is a file."""

    def __init__(self, files: Mapping[str, int | None]) -> None:
        need("petastorm", "reader petastorm")
        self._petastorm = import_petastorm()
        counted = ((path, read_footer(path, rows).num_rows) for path, rows in files.items())
        self.blocks = [Block(path, 0, rows) for path, rows in counted if rows]

    def read(self, block: Block, schema: pa.Schema) -> pa.Table:
        fs, inner = storage.filesystem(block.file)
        # Names are patterns to petastorm; one that ends in $ matches as it did and as it does now.
        names = [f"(?:{re.escape(name)})$" for name in schema.names]
        with reading(block.file), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="petastorm")
            with self._petastorm.make_batch_reader(
                f"file://{quote(inner)}",
                schema_fields=names,
                reader_pool_type="dummy",
                shuffle_row_groups=False,
                num_epochs=1,
                filesystem=FileSystem(fs),
            ) as reader:
                unread = set(schema.names) - set(reader.schema.fields)
                if unread:
                    raise ConfigError(
                        f"{block.file}: petastorm reads no column {', '.join(sorted(unread))}: it "
                        "is not there, or of a type unknown to it; use the parquet reader"
                    )
                reader._results_queue_reader = _Tables()
                # Asked again after its last table, its pool can wait for ever.
                tables, missing = [in_schema(schema.empty_table(), schema, block.file)], block.rows
                while missing > 0 and (table := next(reader, None)) is not None:
                    tables.append(in_schema(table, schema, block.file))
                    missing -= table.num_rows
        return pa.concat_tables(tables)

    def close(self) -> None:
        pass


class _Tables:
    """Gives what petastorm's workers read, as they read it."""

    batched_output = True

    def read_next(self, pool: Any, schema: Any, ngram: Any) -> pa.Table:
        from petastorm.workers_pool import EmptyResultError

        try:
            return pool.get_results()
        except EmptyResultError:
            raise StopIteration from None
