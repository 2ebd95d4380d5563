"""Scoring in a child process, so that what ends or hangs a process costs a row and not the task.

A batch that the child does not survive, or does not answer in time, is cut in pieces that fresh
children score, until the row that does it stands alone: it becomes a bad row. A piece in 256 is
tried at a time, so a row among 65,536 is found by three children.
"""

from __future__ import annotations

import atexit
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from tfspark.errors import ModelFailed
from tfspark.scoring.worker import gpus, wall
from tfspark.scoring.worker.parent import Child, Ended
from tfspark.scoring.worker.predict import LocalScorer
from tfspark.tensors import arrow_type

_WAYS = 256
_HOPELESS = 10
"""Rows that end the process, before any is scored, until the model and not the rows is blamed."""


@dataclass(frozen=True)
class Scorer(LocalScorer):
    """What a UDF carries to the executors: scores here, or in a child process.

    Attributes:
        isolate: whether the model is in a process of its own, which it may end: `always`, `never`,
            or `auto`: in attempts of Spark tasks that are not the first, and where there can be no
            wall around it in this one.
    """

    isolate: str = "auto"

    def __call__(self, columns: Sequence[pa.Array]) -> tuple[list[pa.Array], pa.Array]:
        """Score one batch, see `LocalScorer.here`."""
        if self._isolated():
            return guarded(self, columns)
        close()
        return self.here(columns)

    def _isolated(self) -> bool:
        if self.isolate == "always" or gpus.others():
            return True
        context = gpus.task()
        if self.isolate != "auto" or context is None:
            return False
        return context.attemptNumber() > 0 or wall.too_late(self.wall)


_child = Child()
atexit.register(_child.close)


def close() -> None:
    """End this process's child, if it has one."""
    _child.close()


def guarded(scorer: LocalScorer, columns: Sequence[pa.Array]) -> tuple[list[pa.Array], pa.Array]:
    """Score one batch in the child of this process; as `LocalScorer.here` otherwise.

    Raises:
        ModelFailed: the model ends its process for every row.
        StorageError: it does so before any.
    """
    batch = _Batch(scorer, columns)
    if len(columns[0]):
        batch.score(0, len(columns[0]), scorer.deadline)
    return batch.result()


@dataclass
class _Batch:
    """One batch on its way: the results of its pieces, in the order of the rows."""

    scorer: LocalScorer
    columns: Sequence[pa.Array]
    pieces: list[tuple[list[pa.Array], pa.Array]] = field(default_factory=list)

    def score(self, start: int, rows: int, deadline: float, again: bool = False) -> None:
        try:
            piece = [column.slice(start, rows) for column in self.columns]
            self.pieces.append(_child.score(self.scorer, piece, deadline))
            return
        except Ended as ended:
            # Twice, as the kernel may have ended the child for what others did.
            if rows == 1 and again:
                self._refuse(str(ended))
                return
        step = -(-rows // _WAYS)
        for at in range(start, start + rows, step):
            size = min(step, start + rows - at)
            seen = _child.seen(self.scorer)
            self.score(at, size, seen.patience(size, self.scorer.deadline), again=True)

    def _refuse(self, reason: str) -> None:
        specs = self.scorer.signature.outputs.values()
        self.pieces.append(([pa.nulls(1, arrow_type(spec)) for spec in specs], pa.array([reason])))
        seen = _child.seen(self.scorer)
        seen.lost += 1
        if seen.lost >= _HOPELESS and not seen.successes:
            raise ModelFailed(
                f"model {self.scorer.packed.model}: failed for each of the first "
                f"{seen.lost} rows, so it is not the rows; the last time: {reason}"
            )

    def result(self) -> tuple[list[pa.Array], pa.Array]:
        if len(self.pieces) == 1:
            return self.pieces[0]
        specs = list(self.scorer.signature.outputs.values())
        if not self.pieces:
            return [pa.nulls(0, arrow_type(spec)) for spec in specs], pa.nulls(0, pa.string())
        outputs = [
            pa.concat_arrays([piece[0][number] for piece in self.pieces])
            for number in range(len(specs))
        ]
        return outputs, pa.concat_arrays([reasons for _, reasons in self.pieces])
