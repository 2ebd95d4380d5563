"""The scorers of several models: the same call as `Scorer`, with more outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.errors import ModelFailed, SignatureError
from tfspark.registry.signature import Signature
from tfspark.scoring.worker.guard import Scorer
from tfspark.tensors import Array, arrow_type

Scored = tuple[list[pa.Array], pa.Array]


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
                own = columns[at : at + count]
                if len(rows) < len(texts):
                    index = pa.array(rows)
                    own = [column.take(index) for column in own]
                parts.append(_scored(scorer, own))
                order.append(rows)
            at += count
        outputs, reasons = self._joined(parts, order, len(texts))
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

    def _joined(self, parts: list[Scored], order: list[Array], rows: int) -> Scored:
        """The parts in the order of the rows; null where there is none."""
        if len(parts) == 1 and len(order[0]) == rows:
            return list(parts[0][0]), parts[0][1]
        specs = list(self.signature.outputs.values())[: -len(self.about[0])]
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
