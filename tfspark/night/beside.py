"""The challenger beside the champion: on a share of the keys (canary), on all rows (shadow)."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from tfspark import storage
from tfspark.champions.state import verdict_file
from tfspark.config import Settings
from tfspark.contracts import load_contract
from tfspark.errors import TfsparkError
from tfspark.night.gate import pair_of
from tfspark.night.pin import model_of
from tfspark.night.record import Records
from tfspark.registry.tracking import Version

if TYPE_CHECKING:
    from tfspark.scoring.kinds.share import Share

_MAY_SCORE = ("better", "not worse", "cannot tell")
_LATEST = 400


def with_challenger(
    settings: Settings, model: dict[str, Any], records: Records, day: dt.date
) -> dict[str, Any]:
    """A pinned model, and what the challenger does beside it: `canary`, `shadow`.

    Where the challenger cannot be had, the champion scores alone.
    """
    asked = settings.nightly
    if not (asked.shadow or asked.canary.share):
        return model
    try:
        pair = pair_of(settings)
        champion, challenger = pair if pair is not None else (None, None)
        if champion is None or challenger is None or model["version"] != str(champion.number):
            return model
        found = model_of(settings, f"models:/{settings.name}/{challenger.number}")
        beside = {part: found[part] for part in ("uri", "version", "digest")}
        if asked.shadow:
            model = {**model, "shadow": beside}
        if asked.canary.share and _may(settings, champion, challenger, records, day):
            model = {**model, "canary": {**beside, **_split(settings, challenger)}}
    except TfsparkError as error:
        return {**model, "said": f"the challenger is left out: {error}"}
    return model


def share_of(model: dict[str, Any]) -> Share | None:
    """How a pinned model is split with its canary; None: it scores alone."""
    from tfspark.scoring.kinds.share import Share

    if (canary := model.get("canary")) is None:
        return None
    return Share(
        model["uri"], canary["uri"], canary["share"], canary["salt"], tuple(canary["keys"])
    )


def _may(
    settings: Settings, champion: Version, challenger: Version, records: Records, day: dt.date
) -> bool:
    """Whether the gate has let it, and its days are not over."""
    path = verdict_file(settings, settings.name, challenger.number, champion.number)
    if (storage.find_json(path) or {}).get("verdict") not in _MAY_SCORE:
        return False
    done = 0
    for other in records.days()[-_LATEST:]:
        published = (records.find(other) or {}).get("published") or {}
        canary = ((published.get("pin") or {}).get("model") or {}).get("canary") or {}
        done += other != day and canary.get("version") == str(challenger.number)
    return done < settings.nightly.canary.days


def _split(settings: Settings, challenger: Version) -> dict[str, Any]:
    """A key that a canary has once is the canary's on all its days; the next has other keys."""
    asked = settings.nightly.canary
    keys = asked.key or (load_contract(settings.contract).keys if settings.contract else [])
    salt = f"{settings.name}/{challenger.number}"
    return {"share": asked.share, "salt": salt, "keys": list(keys)}
