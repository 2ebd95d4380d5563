"""What is said of a challenger."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Word = Literal["better", "not worse", "worse", "cannot tell", "refused"]


@dataclass(frozen=True)
class Check:
    """One thing that a challenger must be, whatever its metrics are."""

    name: str
    passed: bool
    said: str


@dataclass(frozen=True)
class Verdict:
    """What is said of a challenger beside the champion.

    Attributes:
        reason: a sentence for people.
        metrics: name → `champion`, `challenger`, and `difference` with its 95 % interval (`low`,
            `high`): above zero where the challenger is better, also of a loss. The first one
            decides; the others may say worse.
        rows: that were compared.
        slices: of the same, one a value of a column: `column`, `value`, `rows`, `metric`,
            `difference`, `low`, `high`, `worse`.
        checks: see `Check`; one that failed refuses.
        rows_needed: about how many rows would tell, where these cannot.
    """

    verdict: Word
    reason: str
    metrics: dict[str, dict[str, float | None]] = field(default_factory=dict)
    rows: int = 0
    slices: list[dict[str, Any]] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    rows_needed: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a file or a page."""
        return asdict(self)
