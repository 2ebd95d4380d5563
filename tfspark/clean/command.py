"""`tfspark clean`: what would go, and how much; with `--yes` it goes."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Iterator
from typing import Any

from tfspark.clean import folders, rows, vacuum, versions
from tfspark.clean.pieces import Asked, Piece
from tfspark.config import Settings
from tfspark.console import Steps, print_summary, printable
from tfspark.errors import ConfigError, StorageError, TfsparkError
from tfspark.night.record import Records

# In this order: what a day names goes only after the day.
FINDERS: dict[str, Callable[[Asked], Iterator[Piece]]] = {
    "left by killed runs": folders.staged,
    "days": rows.days,
    "quarantine": rows.quarantine,
    "models": versions.models,
    "datasets": versions.datasets,
    "checkpoints": folders.checkpoints,
    "pages": folders.pages,
    "replaced files": vacuum.replaced,
}
_SHOWN = 20
LATER = 75


def clean(settings: Settings, steps: Steps, flags: dict[str, Any]) -> int:
    """Remove what is older than is kept; without `ask_yes` only say what would go.

    Returns:
        0; 6 where something could not be looked at or removed. What a run has is left, and said.

    Raises:
        ConfigError: no configuration.
    """
    if not settings.name:
        raise ConfigError("clean needs a configuration; give it with --config FILE")
    today = settings.date or dt.datetime.now(dt.UTC).date()
    asked = Asked(settings, today, Records(settings))
    really, code, total = bool(flags.get("ask_yes")), 0, 0
    said: dict[str, Any] = {}
    for kind, finder in FINDERS.items():
        found: list[Piece] = []
        try:
            for piece in list(finder(asked)):
                found += _gone(asked, piece) if really else [piece]
        except TfsparkError as error:
            asked.notes.append(f"{kind}: {error}")
            code = StorageError.exit_code
        if not found:
            continue
        size = sum(piece.bytes for piece in found)
        total += size
        said[kind] = f"{len(found):,} ({size:,} bytes)"
        if not really:
            asked.listed |= {piece.name for piece in found}
            _list(found)
    if really and said.keys() & {"days", "pages"}:
        folders.index(asked)
    for note in asked.notes:
        steps.note(note)
    if asked.failed:
        code = StorageError.exit_code
    for failed in asked.failed:
        print(f"clean: {printable(failed)}", file=sys.stderr)
    title = "clean: done" if really else "clean: would remove; --yes removes it"
    print_summary(title if said else "clean: nothing to remove", {**said, "bytes": total or None})
    return code


def _gone(asked: Asked, piece: Piece) -> list[Piece]:
    """The piece if it was removed."""
    try:
        piece.remove()
    except TfsparkError as error:
        (asked.notes if error.exit_code == LATER else asked.failed).append(str(error))
    except FileNotFoundError:
        pass  # another call was faster
    except OSError as error:
        asked.failed.append(f"{piece.name}: {error}")
    else:
        return [piece]
    return []


def _list(found: list[Piece]) -> None:
    for piece in found[:_SHOWN]:
        print(f"{piece.kind}: {printable(piece.name)}  {piece.bytes:,} bytes")
    if len(found) > _SHOWN:
        print(f"{found[0].kind}: and {len(found) - _SHOWN:,} more")
