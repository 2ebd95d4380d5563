"""What is said of a row that cannot be scored, where it ends a query."""

from __future__ import annotations

from tfspark.errors import ConfigError

ON_BAD_ROW = ("fail", "null")
ADVICE = (
    "leave such rows out, take null for them (on_bad_row='null'), or use score_table, which puts "
    "them into a quarantine table"
)


def refusal(model: str, row: str, reason: str) -> str:
    """The message."""
    return f"model {model}: {row} cannot be scored: {reason}; {ADVICE}"


def check_on_bad_row(value: str) -> bool:
    """Whether a bad row ends the query.

    Raises:
        ConfigError: the value is none of `fail` and `null`.
    """
    if value not in ON_BAD_ROW:
        raise ConfigError(f"on_bad_row {value!r}: there is no such choice; {', '.join(ON_BAD_ROW)}")
    return value == "fail"
