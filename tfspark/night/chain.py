"""The chain of one day: before the bar a step may stop it, behind the bar only degrade it."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

from tfspark import run
from tfspark.config import Settings
from tfspark.console import Steps
from tfspark.contracts import load_contract
from tfspark.errors import ContractViolation, SourceMissing, StorageError
from tfspark.night.after import Context, after
from tfspark.night.beside import share_of
from tfspark.night.days import is_late
from tfspark.night.decide import Decision, skips_prepare
from tfspark.night.examples import examples
from tfspark.night.gate import gate
from tfspark.night.lease import Lease, LeaseLost
from tfspark.night.pin import Pin, with_pin
from tfspark.night.record import Record, Records, step_of
from tfspark.night.source import source_of, where
from tfspark.night.table import published, target_of
from tfspark.quarantine import NoRows, may_be_empty
from tfspark.session import open_session
from tfspark.watch import Counter, counter_of


class SourceChanged(SourceMissing):
    """The source changed while it was read: it was not complete."""


class Chain:
    """A day's night, under its lease.

    Args:
        record: what it adds to.
        before: the record of the day's last run, or of the one that was killed.
    """

    def __init__(
        self,
        settings: Settings,
        steps: Steps,
        records: Records,
        lease: Lease,
        record: Record,
        before: Record | None,
        pin: Pin,
    ) -> None:
        self._asked, self._steps, self._records, self._lease = settings, steps, records, lease
        self.record, self._before, self._pin = record, before, pin
        self._day = dt.date.fromisoformat(record["date"])
        self._settings = with_pin(settings, self._day, pin)
        self._began = time.monotonic()
        self._staged = False
        self._counter: Counter | None = None

    def publish(self, decision: Decision, force: bool, now: dt.datetime) -> None:
        """Everything before the bar; it ends with the commit.

        Raises:
            TfsparkError: the table is unchanged, unless the message says that it is not.
        """
        said = self._pin.model.get("said")  # what could not be had
        state = "degraded" if said else "done"
        self._note("pin", state, said or decision.why, self._pin.scored)
        try:
            if self._pin.source["missing"]:
                place = where(self._settings, self._day)
                raise SourceMissing(f"{place}: is not there")
            self._prepare(force)
            self._gate()
            self._score()
        except SourceChanged:
            raise
        except SourceMissing as error:
            if not is_late(self._day, self._settings.nightly.deadline, now):
                raise
            raise ContractViolation(
                f"{error}; the deadline, {self._settings.nightly.deadline} UTC of the day after, "
                "has passed"
            ) from error

    def follow(self, force: bool) -> bool:
        """The steps behind the bar; whether one of them was done."""
        did = False
        counted = self._counter.counts if self._counter else None
        context = Context(
            self._settings, self._steps, self._records, self.record, counted, self._lease.check
        )
        for name, step in after(self.record["published"]["pin"]).items():
            done = step_of(self._before, name)
            again = did or force or done is None or done["state"] not in ("done", "skipped")
            if done is not None and not again and self._same_rows():
                self._note(name, "skipped", done["said"], done["key"])
                continue
            did = True
            self._began = time.monotonic()
            try:
                said = step(context)
                self._note(name, "done", said, self.record["published"]["token"])
            except LeaseLost:
                raise
            except Exception as error:  # nothing behind the bar makes a published day wrong
                said = str(error).partition("\n")[0] or type(error).__name__
                self._note(name, "degraded", f"{type(error).__name__}: {said}", None)
        return did

    def _prepare(self, force: bool) -> None:
        asked = self._settings
        if not (asked.contract and asked.nightly.prepare):
            return self._note("prepare", "skipped", "no dataset is made of the day", None)
        if done := skips_prepare(self._before, self._pin, force):
            return self._note("prepare", "skipped", done["said"], done["key"])
        try:
            made = run.prepare(asked, self._steps, self._lease.check)
        except NoRows:
            if not may_be_empty(load_contract(asked.contract)):
                raise
            return self._note("prepare", "skipped", "the day has no rows", None)
        self.record["dataset"] = made["path"]
        return self._note("prepare", "done", str(made["dataset"]), self._pin.prepared)

    def _gate(self) -> None:
        """Whatever comes of it, the pinned champion scores tonight."""
        if self.record["backfilled"] or self.record["published"] is not None:
            return self._note("gate", "skipped", "the day is done again or filled in", None)
        try:
            found = gate(self._asked, self._steps, self._records)
        except Exception as error:
            said = str(error).partition("\n")[0]
            return self._note("gate", "degraded", f"{type(error).__name__}: {said}", None)
        if found.verdict is not None:
            self.record["gate"] = found.verdict
        return self._note("gate", found.state, found.said, found.key)

    def _score(self) -> None:
        self._counter = self._counts()
        share = share_of(self._pin.model)
        made = run.score(self._settings, self._steps, self._allowed, self._counter, share)
        target = target_of(self._settings)
        self.record["rows"] = {
            "in": made["rows_in"],
            "scored": made["scored"],
            "quarantined": made["quarantined"],
        }
        self.record["published"] = {
            "table": target,
            "day": self.record["date"],
            "version": made["table_version"],
            "rows": made["scored"],
            "token": self.record["run"],
            "key": self._pin.scored,
            "pin": self._pin.to_json(),
        }
        self._note("publish", "done", f"version {made['table_version']}", self._pin.scored)
        self.record["quarantine_examples"] = self._examples(made["quarantined"])
        try:
            there = published(target).get(self._day)
            others = (there.tokens if there else frozenset()) - {self.record["run"]}
            said = f"the day also has rows of the runs {', '.join(sorted(others))}"
        except StorageError as error:
            others, said = frozenset({""}), str(error)
        if others:
            self._note("publish", "degraded", said, None)

    def _counts(self) -> Counter | None:
        """What the watch wants to know of the rows, counted while they are scored."""
        uri = self._pin.model["uri"]
        if not isinstance(uri, str):
            return None
        spark = open_session(f"tfspark nightly {self._settings.name}", self._settings.spark)
        return counter_of(spark, self._settings, uri)

    def _allowed(self) -> None:
        """Asked by the commit, once everything is staged and counted."""
        if not self._staged:
            self._staged = True
            now = source_of(self._asked, self._day)
            if now["value"] != self._pin.source["value"] and now["kind"] != "delta":
                place = where(self._settings, self._day)
                raise SourceChanged(
                    f"{place}: changed while it was read; nothing was published: run again when it "
                    "is complete"
                )
            self._note("score", "done", "staged and counted", self._pin.scored)
        self._lease.check()

    def _examples(self, bad: int) -> list[dict[str, Any]]:
        try:
            return examples(self._settings, self._day) if bad else []
        except Exception:  # they are for the page alone
            return []

    def _same_rows(self) -> bool:
        """Whether the last run saw the rows that are published now."""
        before = (self._before or {}).get("published") or {}
        return bool(before.get("token") == self.record["published"]["token"])

    def _note(self, name: str, state: str, said: str, key: str | None) -> None:
        """Put a step into the record; a night that is killed has come so far."""
        self._lease.check()
        now = time.monotonic()
        about = {"name": name, "state": state, "seconds": round(now - self._began, 2)}
        self._began = now
        kept = [step for step in self.record["steps"] if step["name"] != name]
        self.record["steps"] = [*kept, {**about, "said": said, "key": key}]
        self._records.begin(self.record)
