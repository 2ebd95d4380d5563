"""Another champion: forwards by `promote`, back by `rollback`."""

from __future__ import annotations

import datetime as dt
import getpass
from dataclasses import replace

from tfspark import storage
from tfspark.champions.state import (
    by_alias,
    current,
    history,
    repair,
    store_of,
    verdict_file,
    version_of,
)
from tfspark.champions.table import Champion, add
from tfspark.config import Settings
from tfspark.errors import ConfigError, Conflict, GateError
from tfspark.registry.resolve import resolve_model
from tfspark.registry.tracking import Store, Version

NEEDS_REASON = ("not worse", "cannot tell")
REFUSED = ("worse", "refused")


def promote(
    settings: Settings,
    name: str,
    version: int,
    *,
    expected: int | None = None,
    by: str = "",
    reason: str = "",
    verdict: str = "",
    force: bool = False,
) -> Champion:
    """Make a version the champion, if the champion is still the one that was expected.

    Args:
        settings: name the warehouse and the registry.
        expected: the champion that the verdict was made against; default: the one of now.
        by: who; default: the user.
        verdict: of the gate; default: the one that is kept from `tfspark judge`.
        force: also what the gate refuses; needs a reason.

    Raises:
        ModelNotFound: no such model or version.
        ConfigError: it is the champion already, or a reason is missing.
        GateError: the gate refuses it.
        Conflict: another was promoted in the meantime.
        IntegrityError, UnsafeModelError: nothing could score with it.
    """
    store = store_of(settings, name)
    found = version_of(store, version)
    before = current(settings, name)
    expected = expected if expected is not None else (before.version if before else None)
    if before and before.version == version:
        repair(settings, name)
        raise ConfigError(f"{name}: version {version} is the champion already; nothing is changed")
    if force and not reason:
        raise ConfigError("--force needs a --reason, which the history keeps")
    verdict = verdict or _kept(settings, name, version, expected)
    if not force:
        _refuse(name, found, verdict, reason)
    row = Champion(name, version, 0, None, "promote", by or _user(), reason, verdict)
    return _put(settings, store, replace(row, digest=_digest(settings, row)), expected)


def rollback(
    settings: Settings, name: str, *, to: int | None = None, by: str = "", reason: str = ""
) -> Champion:
    """Give the office back to a version that held it, verified first.

    Args:
        settings: name the warehouse and the registry.
        to: default: the champion before the one of now.
        by: who; default: the user.

    Raises:
        ModelNotFound: no such model or version.
        ConfigError: there was no champion before, or `to` is the champion.
        Conflict: another was promoted in the meantime.
        IntegrityError, UnsafeModelError: nothing could score with it; the champion stays.
    """
    store = store_of(settings, name)
    past = history(settings, name)
    stack = in_office(past)
    target = to if to is not None else (stack[-2] if len(stack) > 1 else None)
    if target is None:
        raise ConfigError(
            f"{name}: no champion before version {stack[-1] if stack else '-'} in the history; "
            "name one with --to"
        )
    version_of(store, target)
    if stack and target == stack[-1]:
        raise ConfigError(f"{name}: version {target} is the champion already; nothing is changed")
    row = Champion(name, target, 0, None, "rollback", by or _user(), reason, "")
    row = replace(row, digest=_digest(settings, row))
    return _put(settings, store, row, stack[-1] if stack else None)


def in_office(past: list[Champion]) -> list[int]:
    """The versions that stand behind the champion, the latest last; a rollback takes some away."""
    stack: list[int] = []
    for row in past:
        if row.action == "rollback" and row.version in stack:
            stack = stack[: stack.index(row.version)]
        stack.append(row.version)
    return stack


def _refuse(name: str, found: Version, verdict: str, reason: str) -> None:
    about = f"{name} version {found.number}"
    anyway = "to promote it all the same: --force --reason TEXT"
    if found.gate == "failed":
        raise GateError(f"{about}: did not pass registry.gate when it was trained; {anyway}")
    if verdict in REFUSED:
        raise GateError(f"{about}: the gate's verdict is: {verdict}; {anyway}")
    if verdict in NEEDS_REASON and not reason:
        raise GateError(
            f"{about}: the gate's verdict is: {verdict}; say why it is promoted: --reason TEXT"
        )


def _put(settings: Settings, store: Store, row: Champion, expected: int | None) -> Champion:
    def decide(there: list[Champion]) -> list[Champion]:
        first = [] if there else [c for c in [by_alias(store)] if c]
        now = (there or first)[-1].version if there or first else None
        if now != expected:
            raise Conflict(
                f"{store.name}: the champion is version {now}, not {expected}: another promotion "
                "was faster. Nothing is changed; look at it (tfspark champions) and judge again"
            )
        number = there[-1].number if there else 0
        new = [*first, replace(row, since=dt.datetime.now(dt.UTC))]
        return [replace(c, number=number + place) for place, c in enumerate(new, 1)]

    added = add(settings, store.name, decide)
    repair(settings, store.name)
    return added


def _digest(settings: Settings, row: Champion) -> str:
    """Of the version's files, which are those that scoring would open, and which it would open."""
    return resolve_model(f"models:/{row.name}/{row.version}", settings.tracking_uri).digest


def _kept(settings: Settings, name: str, version: int, champion: int | None) -> str:
    path = verdict_file(settings, name, version, champion or 0)
    if not storage.exists(path):
        return ""
    return str(storage.checked(storage.read_json(path), path, verdict=str)["verdict"])


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return "unknown"
