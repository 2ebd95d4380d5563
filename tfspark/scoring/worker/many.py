"""The scorers of several models: the same call as `Scorer`, with more outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import md5
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.errors import ModelFailed, SignatureError
from tfspark.registry.signature import Signature
from tfspark.scoring.worker.guard import Scorer
from tfspark.tensors import Array, TensorSpec, arrow_type

Scored = tuple[list[pa.Array], pa.Array]
_BETWEEN = "\x1f"  # two texts of a key


class Scores(Protocol):
    """Whatever scores a batch: see `Scorer`."""

    @property
    def signature(self) -> Signature: ...

    def __call__(self, columns: Sequence[pa.Array]) -> Scored: ...


@dataclass(frozen=True)
class SideBySideScorer:
    """Every row to every model: their outputs, then why each of them failed.

    The columns come model by model. A row is bad if all models failed for it.
    """

    names: tuple[str, ...]
    scorers: tuple[Scorer, ...]
    signature: Signature

    def __call__(self, columns: Sequence[pa.Array]) -> Scored:
        rows, at = len(columns[0]), 0
        outputs: list[pa.Array] = []
        errors: list[pa.Array] = []
        for scorer in self.scorers:
            count = sum(feed.columns for feed in scorer.feeds)
            own, failed = _scored(scorer, columns[at : at + count])
            outputs += own
            errors.append(failed)
            at += count
        if any(failed.null_count == rows for failed in errors):
            return [*outputs, *errors], pa.nulls(rows, pa.string())
        told = [
            pc.binary_join_element_wise(f"{name}: ", failed, "")
            for name, failed in zip(self.names, errors, strict=True)
        ]
        # Null in one of them makes the whole null: a row that one model scored is no bad row.
        reasons = pc.binary_join_element_wise(*told, "; ", null_handling="emit_null")
        return [*outputs, *errors], reasons


@dataclass(frozen=True)
class SegmentScorer:
    """Every row to the model of its segment, which is the first column.

    Attributes:
        segments: values as text; `of` has the number of the scorer of each.
        about: (name, version, digest) of each scorer's model.
    """

    column: str
    segments: tuple[str, ...]
    of: tuple[int, ...]
    default: int | None
    about: tuple[tuple[str, str, str], ...]
    scorers: tuple[Scorer, ...]
    signature: Signature

    def __call__(self, columns: Sequence[pa.Array]) -> Scored:
        texts = columns[0].cast(pa.string())
        member = self._members(texts)
        parts: list[Scored] = []
        order: list[Array] = []
        at = 1
        for number, scorer in enumerate(self.scorers):
            count = sum(feed.columns for feed in scorer.feeds)
            rows = np.flatnonzero(member == number)
            if len(rows):
                parts.append(_scored(scorer, _taken(columns[at : at + count], rows)))
                order.append(rows)
            at += count
        specs = list(self.signature.outputs.values())[: -len(self.about[0])]
        outputs, reasons = _in_order(parts, order, len(texts), specs)
        lost = member < 0
        if lost.any():
            said = pc.binary_join_element_wise(
                f"{self.column}: no model for the segment ", pc.fill_null(texts, "null"), ""
            )
            reasons = pc.if_else(pa.array(lost), said, reasons)
        failed = pa.array(member, mask=lost | np.asarray(reasons.is_valid()))
        for values in zip(*self.about, strict=True):
            outputs.append(pa.array(values, pa.string()).take(failed))
        return outputs, reasons

    def _members(self, texts: pa.Array) -> Array:
        """The number of the scorer of every row; -1: none."""
        rest = -1 if self.default is None else self.default
        place = pc.fill_null(pc.index_in(texts, pa.array(self.segments, pa.string())), -1)
        numbers = np.array([*self.of, rest])
        found: Array = numbers[place.to_numpy(zero_copy_only=False)]
        return found


@dataclass(frozen=True)
class ShareScorer:
    """A share of the keys to the second model; the others, and what it fails for, to the first.

    Attributes:
        keys: how many columns come first, whose values are a row's key.
        share: of the keys.
        salt: another one chooses other keys.
        about: (name, version, digest) of each scorer's model.
    """

    keys: int
    share: float
    salt: str
    about: tuple[tuple[str, str, str], ...]
    scorers: tuple[Scorer, Scorer]
    signature: Signature

    def __call__(self, columns: Sequence[pa.Array]) -> Scored:
        second = in_share(columns[: self.keys], self.salt, self.share)
        at = self.keys + sum(feed.columns for feed in self.scorers[0].feeds)
        parts: list[Scored] = []
        order: list[Array] = []
        if len(rows := np.flatnonzero(second)):
            outputs, reasons = _scored(self.scorers[1], _taken(columns[at:], rows))
            good = np.asarray(reasons.is_null())
            second[rows[~good]] = False
            if good.any():
                mask = pa.array(good)
                parts.append(([one.filter(mask) for one in outputs], reasons.filter(mask)))
                order.append(rows[good])
        if len(rows := np.flatnonzero(~second)):
            parts.append(_scored(self.scorers[0], _taken(columns[self.keys : at], rows)))
            order.append(rows)
        specs = list(self.signature.outputs.values())[: -len(self.about[0])]
        outputs, reasons = _in_order(parts, order, len(second), specs)
        failed = pa.array(second.astype("int8"), mask=np.asarray(reasons.is_valid()))
        for values in zip(*self.about, strict=True):
            outputs.append(pa.array(values, pa.string()).take(failed))
        return outputs, reasons


def in_share(keys: Sequence[pa.Array], salt: str, share: float) -> Array:
    """Whether the key of each row is in a share of all keys: the same on every day and machine."""
    texts = [pc.fill_null(column.cast(pa.string()), "") for column in keys]
    joined = pc.binary_join_element_wise(*texts, _BETWEEN).to_pylist()
    bound, start = int(share * 2**64), f"{salt}{_BETWEEN}"
    found = (
        int.from_bytes(md5(f"{start}{text}".encode(), usedforsecurity=False).digest()[:8]) < bound
        for text in joined
    )
    chosen: Array = np.fromiter(found, bool, len(joined))
    return chosen


def _taken(columns: Sequence[pa.Array], rows: Array) -> Sequence[pa.Array]:
    if columns and len(rows) == len(columns[0]):
        return columns
    index = pa.array(rows)
    return [column.take(index) for column in columns]


def _in_order(
    parts: list[Scored], order: list[Array], rows: int, specs: Sequence[TensorSpec]
) -> Scored:
    """The parts in the order of the rows; null where there is none."""
    if len(parts) == 1 and len(order[0]) == rows:
        return list(parts[0][0]), parts[0][1]
    if not parts:
        return [pa.nulls(rows, arrow_type(s)) for s in specs], pa.nulls(rows, pa.string())
    place = np.full(rows, -1)
    place[np.concatenate(order)] = np.arange(sum(map(len, order)))
    index = pa.array(place, mask=place < 0)
    columns = zip(*[[*outputs, reasons] for outputs, reasons in parts], strict=True)
    *outputs, reasons = [pa.concat_arrays(arrays).take(index) for arrays in columns]
    return outputs, reasons


def _scored(scorer: Scorer, columns: Sequence[pa.Array]) -> Scored:
    """What a model says; if it is the model that is at fault, all its rows failed by that."""
    try:
        return scorer(columns)
    except (SignatureError, ModelFailed) as error:
        rows = len(columns[0])
        nulls = [pa.nulls(rows, arrow_type(s)) for s in scorer.signature.outputs.values()]
        return nulls, pa.array([str(error)] * rows, pa.string())
