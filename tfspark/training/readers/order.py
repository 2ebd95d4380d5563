"""The order of rows: which rows a rank reads for which step. NumPy only, no file is touched.

It is a function of (seed, epoch, sizes of the blocks, global batch, shuffle_rows), never of the
number of ranks: two ranks of 32 rows see the same global batches as one rank of 64.

An epoch is S, the sequence of all rows: the blocks in an order drawn from (seed, epoch), the rows
of each in an order drawn from (seed, epoch, block). S is cut into windows of `window_steps` steps,
a window of n rows into as many lanes as a global batch has rows. A lane is a run of S, and a step
takes one row of every lane:

    lane 0   S[0]  S[1]  S[2]  ...      rank 0 owns the first lanes,
    lane 1   S[k]  S[k+1]      ...      rank 1 those after them: each reads one run of S
    ...       |     |
             step  step

The last window of an epoch holds n = (k - 1) * G + m rows, so m lanes of G, evenly spread, are one
row longer than the others: every step but an epoch's last is a full batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfspark.tensors import Array

_BLOCKS_A_WINDOW = 4
_ORDER, _ROWS, _DRAW = 0, 1, 2  # what random numbers are for


@dataclass(frozen=True)
class BlockRows:
    """Rows of one block, in the order in which S has them (positions in the block)."""

    block: int
    rows: Array


@dataclass(frozen=True)
class Window:
    """What a rank reads for some steps.

    Attributes:
        parts: the run of S, block by block; for a rank without a row, one row to fill batches with.
        index: positions in the run, one a row of the batches, step after step.
        step_rows: rows of each step but the last, which has what is left.
        fillers: how many of the last entries of `index` do not count: they fill steps for which
            the rank has no row, one each.
    """

    parts: list[BlockRows]
    index: Array
    step_rows: int
    fillers: int = 0


class Order:
    """The order of rows of one split.

    Attributes:
        rows: rows of the split.
        steps: steps of an epoch, ceil(rows / batch).
        window_steps: steps of a window, at least one.
        windows: windows of an epoch.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        batch: int,
        seed: int = 0,
        shuffle_rows: int = 0,
        shuffle: bool = True,
    ) -> None:
        """
        Args:
            sizes: rows of every block, in file order; all above 0.
            batch: rows of a global batch.
            shuffle_rows: rows of a window; at least four of the largest block are taken, so that
                not every rank reads the same blocks.
            shuffle: False keeps blocks and rows in file order; windows and lanes stay.
        """
        self.sizes = np.array(sizes, "int64")
        self.batch, self.seed, self.shuffle = batch, seed % 2**64, shuffle
        self.rows = int(self.sizes.sum())
        self.steps = -(-self.rows // batch)
        self._largest = int(self.sizes.max(initial=0))
        least = _BLOCKS_A_WINDOW * self._largest
        self.window_steps = max(1, max(shuffle_rows, least) // batch)
        self.windows = -(-self.steps // self.window_steps)
        self._drawn: dict[tuple[int, int | None], Array] = {}
        self._last: tuple[int, int | None] = -1, None
        self._index: tuple[tuple[int, ...], Array, int] = (), np.zeros(0, int), 0

    def lanes(self, rank: int, size: int) -> tuple[int, int]:
        """The first lane of a rank and the one after its last."""
        return rank * self.batch // size, (rank + 1) * self.batch // size

    def count(self, step: int, rank: int, size: int) -> int:
        """Rows of a step's global batch that are a rank's."""
        first, after = self.lanes(rank, size)
        last = self.batch_rows(step)
        return after * last // self.batch - first * last // self.batch

    def batch_rows(self, step: int) -> int:
        """Rows of a step's global batch: all but an epoch's last are full."""
        return min(self.batch, self.rows - step * self.batch)

    def has_fillers(self, rank: int, size: int) -> bool:
        """Whether a rank is without a row in some step of an epoch."""
        return self.steps > 0 and self.count(self.steps - 1, rank, size) == 0

    def window(self, epoch: int, window: int, rank: int, size: int, skip: int = 0) -> Window:
        """A rank's rows of a window, without those of its first `skip` steps."""
        begin = window * self.window_steps * self.batch
        n = min(self.window_steps * self.batch, self.rows - begin)
        steps = -(-n // self.batch)
        short = steps - 1  # rows of a lane that is not long
        long = n - short * self.batch  # how many lanes are
        first, after = self.lanes(rank, size)
        edges = np.arange(first, after + 1)
        starts = edges * short + edges * long // self.batch
        run = starts[-1] - starts[0]
        if run == 0:
            some = begin + min(int(starts[0]), n - 1)
            left = steps - skip
            return Window(self.parts(epoch, some, some + 1), np.zeros(left, int), 1, left)
        like = n, rank, size, skip
        known, index, fillers = self._index  # the windows of an epoch are alike but for the last
        if like != known:
            lane = starts[:-1] - starts[0]
            full = (lane[None, :] + np.arange(skip, short)[:, None]).ravel()
            last = lane[np.diff(starts) > short] + short
            fillers = int(len(last) == 0)
            index = np.concatenate([full, last, np.zeros(fillers, int)])
            self._index = like, index, fillers
        parts = self.parts(epoch, begin + int(starts[0]), begin + int(starts[-1]))
        return Window(parts, index, after - first, fillers)

    def parts(self, epoch: int, start: int, stop: int) -> list[BlockRows]:
        """S[start:stop] of an epoch, block by block."""
        blocks = self._blocks(epoch)
        ends = np.cumsum(self.sizes[blocks])
        found = []
        for at in range(int(np.searchsorted(ends, start, "right")), len(blocks)):
            block, begin = int(blocks[at]), int(ends[at]) - int(self.sizes[blocks[at]])
            if begin >= stop:
                break
            rows = self._rows_of(epoch, block)[max(start - begin, 0) : stop - begin]
            found.append(BlockRows(block, rows))
        return found

    def straight(self, start: int, stop: int) -> list[BlockRows]:
        """The rows [start, stop) in file order."""
        ends = np.cumsum(self.sizes)
        found = []
        for block in range(int(np.searchsorted(ends, start, "right")), len(self.sizes)):
            begin = int(ends[block] - self.sizes[block])
            if begin >= stop:
                break
            last = min(stop - begin, int(self.sizes[block]))
            found.append(BlockRows(block, np.arange(max(start - begin, 0), last)))
        return found

    def draw(self, weights: Array, count: int, epoch: int, window: int, rank: int) -> Array:
        """`count` positions of `weights` with replacement, each as often as its weight says."""
        sums = np.cumsum(weights, dtype="float64")
        at = self._random(_DRAW, epoch, window, rank).random(count) * sums[-1]
        drawn: Array = np.minimum(np.searchsorted(sums, at, "right"), len(sums) - 1)
        return drawn

    def _blocks(self, epoch: int) -> Array:
        if not self.shuffle:
            return np.arange(len(self.sizes))
        return self._random(_ORDER, epoch).permutation(len(self.sizes))

    def _rows_of(self, epoch: int, block: int) -> Array:
        if not self.shuffle:
            return np.arange(self.sizes[block])
        size, drawn = int(self.sizes[block]), self._drawn
        if (epoch, block) in drawn:
            return drawn[epoch, block]
        if 2 * size <= self._largest:
            return self._random(_ROWS, epoch, block).permutation(size)
        # To draw a permutation costs as much as to read two columns: blocks of like size share
        # one an epoch, and each begins at another place of it.
        if (epoch, None) not in drawn:
            drawn.clear()
            drawn[epoch, None] = self._random(_ROWS, epoch).permutation(self._largest)
        shared = drawn[epoch, None]
        at = int(self._random(_ROWS, epoch, block).integers(self._largest))
        rows = np.concatenate([shared[at:], shared[:at]])
        if size < self._largest:
            rows = rows[np.flatnonzero(rows < size)]
        # A window's last block is often the next one's first.
        drawn.pop(self._last, None)
        drawn[epoch, block] = rows
        self._last = epoch, block
        return rows

    def _random(self, *purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *purpose])
