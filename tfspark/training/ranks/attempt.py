"""One try of a training on ranks: a barrier stage, from its rendezvous to its last process."""

from __future__ import annotations

import queue
import re
import time
from contextlib import ExitStack, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

from tfspark import errors
from tfspark.errors import ConfigError, TfsparkError, TrainingError
from tfspark.training.ranks.network import address_of
from tfspark.training.ranks.places import Place, assign, local_sizes, share
from tfspark.training.ranks.reports import Message, Reports
from tfspark.training.ranks.stage import Stage, driver_host, how_ended, slots
from tfspark.training.ranks.talk import Report
from tfspark.training.ranks.watch import Watch

if TYPE_CHECKING:
    from pyspark import SparkContext

    from tfspark.config import Distributed

_END_SECONDS = 30.0  # for the processes of an attempt to be gone
_NEWS_SECONDS = 5.0  # for the news of a killed rank, where others miss it
_LOOK_EVERY = 0.5
_BEAT_SECONDS = 2.0


class OnReport(Protocol):
    def __call__(self, report: Report, /) -> Report | None: ...


class Lost(Exception):
    """An attempt that ended without an answer; another may do better."""


class Attempt:
    """One barrier stage, from rendezvous to the end of its last process."""

    def __init__(
        self,
        sc: SparkContext,
        size: int,
        settings: Distributed,
        on_report: OnReport,
        child: dict[str, Any],
    ) -> None:
        self._sc, self._size, self._settings = sc, size, settings
        self._on_report, self._child = on_report, child
        self._here: dict[int, tuple[Place, Message]] = {}
        self._ended: dict[int, tuple[int, str]] = {}
        self._peers_gone: list[tuple[str, Message]] = []
        start, stall = settings.start_seconds, settings.stall_seconds
        self._watch = Watch(size, start, stall, time.monotonic())
        # The watch ends a training that hangs, and says who; Horovod must not give up before.
        self._gloo_seconds = int(start + stall + size) + 60

    def run(self) -> None:
        """To the end.

        Raises:
            Lost: a rank or its executor is gone.
        """
        self._host = address_of(self._settings.interface or driver_host(self._sc))
        with ExitStack() as self._closing:
            self._reports = self._closing.enter_context(Reports(self._host))
            stage = Stage(self._sc, self._size, self._reports.address, self._reports.key)
            try:
                looked = time.monotonic()
                while stage.running:
                    self._take_all(_LOOK_EVERY)
                    # Where this process was held up, by an answer or because it was stopped,
                    # that is no rank's silence.
                    before, looked = looked, time.monotonic()
                    self._watch.pause(max(0.0, looked - before - _LOOK_EVERY))
                    self._look(looked)
                self._take_all(0)
            finally:
                # Ranks end with their channel; Spark kills the tasks of those that cannot.
                self._reports.end()
                stage.cancel(_END_SECONDS)
                if not self._reports.close(_END_SECONDS):
                    text = "some processes of this try did not end in time"
                    self._on_report({"kind": "note", "rank": None, "text": text})
        if stage.error is not None:
            raise self._lost(stage.error)

    def _take_all(self, patience: float) -> None:
        """Everything that came in; waits so long for the first."""
        inbox = self._reports.inbox
        with suppress(queue.Empty):
            self._take(inbox.get(timeout=patience) if patience else inbox.get_nowait())
            while True:
                self._take(inbox.get_nowait())

    def _take(self, message: Message) -> None:
        said = message.values
        match said["kind"]:
            case "beat":
                self._beat(message)
            case "here":
                place = Place(
                    said["task"],
                    said["host"],
                    tuple(said["cores"]),
                    tuple(said["gpus"]),
                    said["cpus"],
                )
                self._here[place.task] = (place, message)
                if len(self._here) == self._size:
                    self._start_ranks()
            case "ended":
                self._ended[said["rank"]] = (said["code"], said["tail"])
                if said["code"] == 0:
                    self._watch.end(said["rank"])
                message.reply()
            case "failed":
                self._beat(message)
                self._failed(message)
            case _:
                message.reply(self._on_report(said))

    def _beat(self, message: Message) -> None:
        about = {key: message.values[key] for key in ("rank", "steps", "phase", "host", "pid")}
        self._watch.beat(**about, now=message.at)

    def _start_ranks(self) -> None:
        """All tasks run: each gets its rank and starts its process."""
        assigned = assign(place for place, _ in self._here.values())
        settings = self._settings
        rendezvous: list[Any] = []
        if self._size > 1:
            from tfspark.training.ranks.rendezvous import Rendezvous

            sizes = local_sizes(place for place, _ in assigned)
            meeting = self._closing.enter_context(Rendezvous(self._host, list(sizes.items())))
            rendezvous = [meeting.address, meeting.port]
        for place, slot in assigned:
            _, message = self._here[place.task]
            message.reply(
                {
                    **self._child,
                    **asdict(slot),
                    **share(place, slot, settings.threads, settings.pin),
                    "host": place.host,
                    "gpus": place.gpus,
                    "rendezvous": rendezvous,
                    "gloo_seconds": self._gloo_seconds,
                    "reports": self._reports.address,
                    "key": self._reports.key.hex(),
                    "beat_seconds": min(_BEAT_SECONDS, settings.stall_seconds / 4),
                }
            )

    def _look(self, now: float) -> None:
        """Whether all is well.

        Raises:
            TrainingError: ranks hang.
            Lost: executors went away before the ranks started.
        """
        for _, message in self._peers_gone:
            if now - message.at >= _NEWS_SECONDS:
                message.reply()
        hang = self._watch.verdict(now)
        if hang is None:
            return
        here = len(self._here)
        if here < self._size:
            there = slots(self._sc)
            if there < self._size:
                raise Lost(f"{here} of {self._size} tasks started; Spark has {there} slots now")
            raise TrainingError(
                f"{here} of {self._size} tasks of the training's stage started in time "
                "(distributed.start_seconds): do other jobs of this Spark application hold slots?"
            )
        raise TrainingError(
            f"{hang}. The training was ended and its last checkpoint is kept; if this is no "
            "fault, raise distributed.stall_seconds or distributed.start_seconds"
        )

    def _failed(self, message: Message) -> None:
        """A rank's error, raised here."""
        said = message.values
        where = self._watch.where(said["rank"])
        if said["lost"]:
            # Unanswered it stays, and with it the stage: first who was killed shall be said.
            last = said["message"].splitlines()[-1:]
            self._peers_gone.append((f"{where} lost its peers: {''.join(last)}", message))
            return
        message.reply()
        known = getattr(errors, said["error"] or "TfsparkError", TfsparkError)
        raise known(said["message"] if said["error"] else f"{where} failed:\n{said['message']}")

    def _lost(self, error: Exception) -> Exception:
        """Why the stage failed, as far as anybody said."""
        text = str(error)
        if missing := re.search(r"No module named 'tfspark[\w.]*'", text):
            return ConfigError(
                f"the workers do not have this tfspark ({missing[0]}): ship it with --py-files, or "
                "install it there"
            )
        seen = [
            f"{self._watch.where(rank)} {how_ended(code)}" + (f"\n{tail}" if code > 0 else "")
            for rank, (code, tail) in sorted(self._ended.items(), key=lambda item: item[1][0])
            if code != 0
        ]
        if seen and self._ended and min(code for code, _ in self._ended.values()) < 0:
            return Lost(seen[0])
        missed = [said for said, _ in self._peers_gone]
        return Lost("; ".join(missed + seen[:1]) or _of_spark(text))


def _of_spark(text: str) -> str:
    """The reason within a Java stack trace."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for sign in ("ExecutorLostFailure", "Most recent failure reason", "SparkException"):
        for line in lines:
            if sign in line:
                return line[line.index(sign) :][:500]
    return (lines or ["Spark's stage failed"])[0][:500]
