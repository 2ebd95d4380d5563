"""How long what the jobs write is kept, see `tfspark.clean`."""

from __future__ import annotations

from pydantic import Field

from tfspark.config.recipe import Section


class Clean(Section):
    """What `tfspark clean` keeps; without a number: all of it."""

    days: int | None = Field(None, ge=1, description="days of the scored table")
    quarantine: int | None = Field(None, ge=1, description="days of refused rows")
    models: int = Field(
        10, ge=1, description="newest versions; champions and what a kept day names stay too"
    )
    datasets: int = Field(
        10, ge=1, description="newest versions; what a kept model was trained on stays too"
    )
    checkpoints: int = Field(14, ge=1, description="days since a training that did not end")
    pages: int | None = Field(None, ge=1, description="days of the nights' pages")
    runs: int = Field(365, ge=1, description="days of the records of single runs")
    vacuum: int = Field(7, ge=7, description="days that replaced files of Delta tables stay")
