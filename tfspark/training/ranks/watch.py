"""Which rank hangs, told from heartbeats. Pure logic: no clock, no process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

# Of a rank that has not met the others yet: the process starts, it waits for the others.
BEGIN, MEET = "begin", "meet"


@dataclass
class _Rank:
    host: str
    pid: int
    steps: int
    phase: str
    heard: float  # its last heartbeat
    moved: float  # the last heartbeat with another step or phase of starting
    ended: bool = False


class Watch:
    """Heartbeats in, a verdict out. Times are seconds of any one clock.

    Args:
        start_seconds: for all ranks to meet, after `now`; one second a rank is added.
        stall_seconds: without a heartbeat, or without a step.
    """

    def __init__(self, size: int, start_seconds: float, stall_seconds: float, now: float) -> None:
        self._size = size
        self._start_seconds = start_seconds + size
        self._start_by = now + self._start_seconds
        self._stall = stall_seconds
        self._ranks: dict[int, _Rank] = {}

    def beat(self, rank: int, steps: int, phase: str, host: str, pid: int, now: float) -> None:
        known = self._ranks.get(rank)
        if known is None:
            self._ranks[rank] = _Rank(host, pid, steps, phase, now, now)
            return
        if steps != known.steps or (phase != known.phase and known.phase in (BEGIN, MEET)):
            known.moved = now
        known.steps, known.phase, known.heard = steps, phase, now

    def end(self, rank: int) -> None:
        """It has done its work."""
        if rank in self._ranks:
            self._ranks[rank].ended = True

    def pause(self, seconds: float) -> None:
        """The driver itself kept the ranks waiting for so long."""
        self._start_by += seconds
        for rank in self._ranks.values():
            rank.heard += seconds
            rank.moved += seconds

    def where(self, rank: int) -> str:
        """`rank 1 (host h, pid 7, step 12, in read)`, as far as known."""
        known = self._ranks.get(rank)
        if known is None:
            return f"rank {rank}"
        place = f"host {known.host}, pid {known.pid}"
        return f"rank {rank} ({place}, step {known.steps}, in {known.phase})"

    def verdict(self, now: float) -> str | None:
        """What hangs, for a human; None while all is well."""
        return self._late(now) or self._silent(now) or self._stalled(now)

    def _late(self, now: float) -> str | None:
        if now < self._start_by:
            return None
        limit = f"within {self._start_seconds:g} s (distributed.start_seconds and 1 s a rank)"
        if absent := [rank for rank in range(self._size) if rank not in self._ranks]:
            return f"{self._names(absent)} did not start {limit}"
        if late := self._working(lambda rank: rank.phase == BEGIN):
            return f"{self._names(late)} did not get as far as meeting the others {limit}"
        if late := self._working(lambda rank: rank.phase == MEET):
            return f"{self._names(late)} did not meet the others {limit}"
        return None

    def _silent(self, now: float) -> str | None:
        silent = self._working(lambda rank: now - rank.heard >= self._stall)
        if not silent:
            return None
        since = max(now - self._ranks[rank].heard for rank in silent)
        return f"{self._names(silent)} gave no sign of life for {since:.0f} s"

    def _stalled(self, now: float) -> str | None:
        still = self._working(
            lambda rank: rank.phase not in (BEGIN, MEET) and now - rank.moved >= self._stall
        )
        if not still:
            return None
        working = self._working(lambda rank: True)
        most = max(self._ranks[rank].steps for rank in self._ranks)
        behind = [rank for rank in still if self._ranks[rank].steps < most]
        if behind:
            least = min(self._ranks[rank].steps for rank in behind)
            slowest = [rank for rank in behind if self._ranks[rank].steps == least]
            others = "the others wait" if len(working) > len(slowest) else "the others have ended"
            since = min(now - self._ranks[rank].moved for rank in slowest)
            return f"{self._names(slowest)} made no step for {since:.0f} s, {others} at step {most}"
        if len(still) < len(working) or len(self._ranks) < self._size:
            return None  # ahead of the others, which still move or start
        if self._size == 1:
            return f"{self._names(still)} made no step for {self._stall:g} s"
        phases = sorted({self._ranks[rank].phase for rank in still})
        return (
            f"all ranks stand at step {most}, in {' and '.join(phases)}, for more than "
            f"{self._stall:g} s: {self._names(still)}"
        )

    def _working(self, condition: Callable[[_Rank], bool]) -> list[int]:
        return [
            rank
            for rank, known in sorted(self._ranks.items())
            if not known.ended and condition(known)
        ]

    def _names(self, ranks: Iterable[int]) -> str:
        return ", ".join(self.where(rank) for rank in ranks)
