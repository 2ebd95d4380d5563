"""How many rows a call into the model takes: doubled as long as that makes the rows faster."""

from __future__ import annotations

import logging

_FIRST_BYTES = 256 << 10
_FIRST_ROWS = (8, 1024)
_MEASURED = 4
"""Calls that a size is judged by; one before them, which allocates and plans, is not counted."""
_BETTER = 0.97
"""Of the best seconds a row: what is not below is not better."""
_MISSES = 2
"""Sizes in a row that are not better until the best is kept; caches make curves with two tops."""
_LONG = 5.0
"""Seconds of a call from which larger ones would gain nothing."""
_log = logging.getLogger(__name__)


class Tuner:
    """The batch size of one model in one process.

    It starts small, so that neither memory nor time is spent on a size that may be too large, and
    settles after some tens of calls. It is told what calls took, and asks no clock itself.

    Attributes:
        rows: rows of a call, now.
        settled: whether that stays so.
        pace: seconds per row of the best size so far; infinite before the first.
    """

    def __init__(self, row_bytes: int) -> None:
        least, most = _FIRST_ROWS
        self.rows = min(most, max(least, _FIRST_BYTES // max(1, row_bytes)))
        self.settled = False
        self.pace = float("inf")
        self._best = self.rows
        self._took: list[float] = []
        self._misses = self._short = 0

    def step(self, rows: int, limit: int) -> int:
        """How many of these rows to take next: all calls for them are about equally large.

        Args:
            limit: the most rows of a call that memory allows.
        """
        calls = -(-rows // max(1, min(self.rows, limit)))
        return -(-rows // calls)

    def record(self, rows: int, seconds: float, limit: int) -> None:
        """Learn what a call took."""
        if self.settled:
            return
        if 2 * rows <= self.rows:  # too few came in to tell
            self._short += 1
            if self._short > 2 * _MEASURED:
                self._settle()
            return
        self._short = 0
        self._took.append(seconds / rows)
        if len(self._took) <= _MEASURED and seconds < _LONG:
            return
        pace = min(self._took[1:] or self._took)
        self._took.clear()
        if pace < self.pace * _BETTER:
            self.pace, self._best, self._misses = pace, self.rows, 0
        else:
            self._misses += 1
        if self._misses == _MISSES or 2 * self.rows > limit or seconds >= _LONG:
            self._settle()
        else:
            self.rows *= 2

    def _settle(self) -> None:
        self.rows, self.settled = self._best, True
        _log.info("%d rows a call, %.0f rows/s", self.rows, 1 / self.pace)
