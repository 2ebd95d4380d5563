"""What can be removed: found first, counted and listed, then removed one after the other."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

from tfspark import storage
from tfspark.config import Settings
from tfspark.errors import TfsparkError
from tfspark.night.record import Records


class Busy(TfsparkError):
    """A run has it; it can go later."""

    exit_code = 75


@dataclass(frozen=True)
class Piece:
    """Something that goes as a whole.

    Attributes:
        remove: raises a `TfsparkError` where it cannot go; code 75: a run has it, later it can.
    """

    kind: str
    name: str
    bytes: int
    remove: Callable[[], None]


@dataclass
class Asked:
    """What a call is about.

    Attributes:
        today: the day that all ages are counted back from.
        notes: what is left, and why.
        failed: what could not be removed.
        listed: names of pieces that would be gone by now.
    """

    settings: Settings
    today: dt.date
    records: Records
    notes: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    listed: set[str] = field(default_factory=set)

    def first_kept(self, days: int | None) -> dt.date | None:
        """The first of the days that are kept; None: all are."""
        return None if days is None else self.today - dt.timedelta(days=days)


def size(folder: str) -> int:
    """Bytes of all files below a folder."""
    return sum(size for _, size in storage.files(folder))


def remove_folder(parent: str, folder: str) -> None:
    """Remove a folder so that nobody sees a part of it; a kill leaves it to the next call."""
    staging = storage.new_staging(parent, "clean")
    storage.move(folder, storage.join(staging, folder.rpartition("/")[2]))
    storage.delete(staging)
