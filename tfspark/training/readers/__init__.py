"""Readers: the rows of a split as batches of tensors, each row exactly once an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from tfspark.dataset import Dataset
from tfspark.errors import ConfigError
from tfspark.tensors import Array
from tfspark.training.readers.encoded import encode_blocks
from tfspark.training.readers.open import open_source
from tfspark.training.readers.order import Order
from tfspark.training.readers.pipeline import BlockReader
from tfspark.training.readers.reader import Reader
from tfspark.training.readers.source import Kind

if TYPE_CHECKING:
    from tfspark.tensors import TensorSpec
    from tfspark.training.readers.encoder import Encoder

__all__ = ["KEEP_BYTES", "SHUFFLE_ROWS", "Reader", "open_reader"]

SHUFFLE_ROWS = 1 << 17
KEEP_BYTES = 256 << 20


class Parted(Protocol):
    """A model in two parts: see `loop.encoding.Encoding`."""

    @property
    def made(self) -> Mapping[str, TensorSpec]: ...

    @property
    def raw(self) -> tuple[str, ...]: ...

    @property
    def taken(self) -> tuple[str, ...]: ...

    @property
    def first(self) -> Any: ...


def open_reader(
    dataset: Dataset,
    split: str,
    encoder: Encoder,
    *,
    batch: int,
    seed: int = 0,
    rank: int = 0,
    size: int = 1,
    kind: Kind = "auto",
    shuffle_rows: int = SHUFFLE_ROWS,
    shuffle: bool = True,
    resample: Literal["balanced"] | Mapping[str, float] | None = None,
    keep_bytes: int = KEEP_BYTES,
    encoding: Parted | None = None,
) -> Reader:
    """A rank's reader of one split.

    Args:
        dataset: a version of a dataset.
        split: `train`, `validation` or `test`.
        encoder: makes tensors of Arrow tables.
        batch: rows of a GLOBAL batch, over all ranks.
        seed: decides the order of the rows, with the epoch.
        rank: of `size` ranks, from 0.
        size: how many ranks read together.
        kind: `auto` reads the dataset's own format with our readers; `petastorm` is for Parquet.
        shuffle_rows: rows of a window, over all ranks; four of the largest block at least.
        shuffle: False keeps blocks and rows in file order before they are dealt to lanes.
        resample: rows are drawn with replacement within each rank's part of a window, `balanced`
            so that every class comes equally often, or as often as {class: weight} says for one of
            its rows. An epoch has as many steps and rows as without, but a row comes any number of
            times, and what comes depends on the number of ranks.
        keep_bytes: a split of at most so many Arrow bytes is read once and kept.
        encoding: the part of a model that blocks go through when they are read, once; the
            elements have what it gives.

    Raises:
        IntegrityError: the split's files hold other rows than the manifest says.
        ConfigError: the reader does not fit the dataset, or `resample` the classes.
    """
    draw = None if resample is None else _draw(encoder, resample)
    source = open_source(dataset, split, kind)
    if encoding is not None:
        source, encoder = encode_blocks(
            source, encoder, encoding.first, encoding.made, encoding.raw, encoding.taken
        )
    sizes = [block.rows for block in source.blocks]
    order = Order(sizes, batch, seed, shuffle_rows, shuffle)
    where = f"dataset {dataset.path}: {split}"
    train = split == "train"
    return BlockReader(source, encoder, order, (rank, size), where, train, draw, keep_bytes)


def _draw(encoder: Encoder, resample: Literal["balanced"] | Mapping[str, float]) -> Array:
    """How often a row of each class is drawn, relative to the others."""
    classes, counts = encoder.label.classes, encoder.counts
    if classes is None or counts is None:
        raise ConfigError(
            "training.resample: rows of this task have no class of their own; leave it out"
        )
    if isinstance(resample, str):
        balanced: Array = 1 / counts
        return balanced
    names = [str(value) for value in classes]
    if set(resample) != set(names) or min(resample.values()) <= 0:
        raise ConfigError(
            f"training.resample: {dict(resample)}: give each of the classes {names} a weight "
            "above 0"
        )
    return np.array([resample[name] for name in names])
