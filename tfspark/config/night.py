"""The settings of a night: which days are due, how long their sources may be late."""

from __future__ import annotations

import datetime as dt

from pydantic import Field, field_validator

from tfspark.config.day import day_setting
from tfspark.config.recipe import Section


class Canary(Section):
    """The challenger on a share of the keys, until it is promoted or its days are over."""

    share: float = Field(0, ge=0, le=0.5, description="of the keys that the challenger scores")
    key: list[str] = Field([], description="columns; default: the keys of the contract")
    days: int = Field(14, ge=1, description="after which the champion scores all rows again")


class Nightly(Section):
    """Which days a night does, and until when it waits for them."""

    start: dt.date | None = Field(None, description="the first day that --due looks for")
    at_most: int | None = Field(None, ge=1, description="days of one --due; default: all")
    lookback: int = Field(0, ge=0, description="days before the last whose source may have changed")
    deadline: str = Field(
        "",
        pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?$",
        description="HH:MM, UTC, of the day after: a source missing then is no more late (3)",
    )
    prepare: bool = Field(True, description="make a dataset of the day; false: labels come later")
    reason: str = Field(
        "", description="why a challenger that is not worse is promoted; default: it is not"
    )
    shadow: bool = Field(
        False, description="the challenger scores the same rows into the table OUTPUT_shadow"
    )
    canary: Canary = Canary()
    hook: str = Field("", description="a command that gets the verdict of a red night, as JSON")
    lineage: str = Field("", description="an address that takes OpenLineage events; default: none")
    lease_seconds: float = Field(
        120, gt=0, description="a night that gives no sign of life so long has lost its day"
    )

    _days = field_validator("start", mode="before")(day_setting)
