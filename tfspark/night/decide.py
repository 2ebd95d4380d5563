"""Whether a day has something to do, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfspark import storage
from tfspark.dataset import MANIFEST
from tfspark.errors import ConfigError
from tfspark.night.pin import Pin
from tfspark.night.record import Record, step_of
from tfspark.night.table import Day

_PARTS = {
    "source": "the source changed",
    "model": "the model is another",
    "contract": "the contract changed",
    "settings": "the settings changed",
    "code": "tfspark is of another version",
}


@dataclass(frozen=True)
class Decision:
    """What a night would do.

    Attributes:
        score: whether the day is prepared, scored and published (again).
        why: for people.
        left: a published day differs from what would be scored now, but is left as it is.
    """

    score: bool
    why: str
    left: bool = False


def current(record: Record | None, there: Day | None) -> dict[str, Any] | None:
    """What the record says is published, where the table has just that."""
    said = (record or {}).get("published")
    if said is None:
        return None
    if there is None:
        return said if said["rows"] == 0 else None
    return said if there.tokens <= {said["token"]} and there.rows == said["rows"] else None


def decide(record: Record | None, there: Day | None, pin: Pin, force: bool) -> Decision:
    """Whether to score a day.

    Args:
        record: what the last night of the day came to.
        there: what the table has of the day.

    Raises:
        ConfigError: the source changed, and so did settings or code: then it is no longer the
            same night, and has to be asked for.
    """
    said = current(record, there)
    if said is None:
        none = there is None
        return Decision(True, "the day is not published" if none else "no night published the day")
    if force:
        return Decision(True, "--force")
    if said.get("key") == pin.scored:
        return Decision(False, f"run {said['token']} published it, and nothing changed")
    if (before := said.get("pin")) is None:
        return Decision(True, f"run {said['token']}, which is no night's, published the day")
    differ = [name for name in _PARTS if _of(before, name) != _of(pin.to_json(), name)]
    why = " and ".join(_PARTS[name] for name in differ) or "nothing is known of the run"
    own = {"contract", "settings", "code"} & set(differ)
    if pin.source["missing"]:
        return Decision(False, "its source is gone", left=True)
    if own and "source" in differ:
        raise ConfigError(
            f"{said['day']}: {why} since run {said['token']} published the day, so it would not be "
            "the same night; --force does it again as things are now"
        )
    if own:
        return Decision(False, f"{why}; --force does it again", left=True)
    return Decision(True, why)


def skips_prepare(record: Record | None, pin: Pin, force: bool) -> dict[str, Any] | None:
    """What was said of `prepare` when it was done for the same rows; None: it is not skipped."""
    step = step_of(record, "prepare")
    if force or record is None or step is None or step["state"] not in ("done", "skipped"):
        return None
    dataset = record.get("dataset")
    if dataset is None or not storage.exists(storage.join(dataset, MANIFEST)):
        return None
    return step if step["key"] == pin.prepared else None


def _of(pin: dict[str, Any], name: str) -> Any:
    """What of a pinned thing two nights must have in common."""
    value = pin.get(name)
    if name == "model" and isinstance(value, dict):
        return value["digest"], value.get("canary")
    return value.get("digest", value.get("value")) if isinstance(value, dict) else value
