"""Blocks whose features are encoded when they are read, once, and kept."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import ipc

from tfspark.tensors import Array, TensorSpec
from tfspark.training.readers.encoder import Encoder
from tfspark.training.readers.source import Block, BlockSource

_ROWS = 1 << 16  # encoded at a time
_OF_DISK = 0.5  # of what is free


class EncodedSource:
    """The blocks of another source, with encoded features for raw columns; see `BlockSource`.

    Encoded blocks lie in files that have no name any more, mapped into memory: the kernel takes
    the memory back where it is short, and all of it when the process ends. Where the disk has no
    room, blocks are encoded each time that they are read.

    Args:
        encoder: of the raw columns that are encoded.
        encode: raw columns → tensors of `made`, in their order.
        made: name → tensor.
        kept: columns that stay as they are.
    """

    def __init__(
        self,
        source: BlockSource,
        encoder: Encoder,
        encode: Callable[[Mapping[str, Any]], Any],
        made: Mapping[str, TensorSpec],
        kept: tuple[str, ...],
    ) -> None:
        import tensorflow as tf

        self.blocks, self.close = source.blocks, source.close
        self._source, self._encoder, self._made, self._kept = source, encoder, made, kept
        self._blocks: dict[Block, pa.Table] = {}
        inputs = encoder.element_spec(False)[0]
        self._encode = tf.function(encode, input_signature=[inputs])

    def read(self, block: Block, schema: pa.Schema) -> pa.Table:
        """See `BlockSource`.

        Raises:
            TrainingError: rows that cannot become tensors.
        """
        if block not in self._blocks:
            table = self._encoded(self._source.read(block, schema), block)
            mapped = _mapped(table)
            if mapped is None:
                return table
            self._blocks[block] = mapped
        return self._blocks[block]

    def _encoded(self, table: pa.Table, block: Block) -> pa.Table:
        import tensorflow as tf

        names = sorted(self._encoder.specs)
        parts: list[list[Array]] = []
        for start in range(0, max(1, table.num_rows), _ROWS):
            rows = table.slice(start, _ROWS)
            columns = islice(self._encoder.encode(rows, block.file), len(names))
            with tf.device("CPU:0"):
                found = self._encode(dict(zip(names, map(tf.constant, columns), strict=True)))
            # Of one tensor Keras makes no list.
            parts.append([tensor.numpy() for tensor in tf.nest.flatten(found)])
        arrays = {
            name: pa.chunked_array([_as_arrow(part) for part in own])
            for name, own in zip(self._made, zip(*parts, strict=True), strict=True)
        }
        kept = {name: table.column(name) for name in self._kept}
        return pa.table({**arrays, **kept}).combine_chunks()


def encode_blocks(
    source: BlockSource,
    encoder: Encoder,
    encode: Callable[[Mapping[str, Any]], Any],
    made: Mapping[str, TensorSpec],
    raw: tuple[str, ...],
    taken: tuple[str, ...],
) -> tuple[BlockSource, Encoder]:
    """A source of encoded blocks, and the encoder of its tables.

    Args:
        raw: columns that are inputs as they are.
        taken: columns that `encode` takes.
    """
    label, weight = encoder.label.column, encoder.weight
    kept = dict.fromkeys([*raw, label, *([weight] if weight else [])])
    specs = {**made, **{name: encoder.specs[name] for name in raw}}
    first = replace(encoder, specs={name: encoder.specs[name] for name in taken})
    blocks = EncodedSource(source, first, encode, made, tuple(kept))
    return blocks, replace(encoder, specs=specs)


def _as_arrow(values: Array) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return flat if values.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _mapped(table: pa.Table) -> pa.Table | None:
    """The table in a file that has no name; None: there is no room."""
    folder = tempfile.gettempdir()
    if table.nbytes > _OF_DISK * shutil.disk_usage(folder).free:
        return None
    with suppress(OSError), tempfile.NamedTemporaryFile(dir=folder, prefix="tfspark-") as file:
        with ipc.new_file(file.name, table.schema) as writer:
            writer.write_table(table)
        return ipc.open_file(pa.memory_map(file.name)).read_all()
    return None
