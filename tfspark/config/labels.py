"""Where labels come from that are known only later."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tfspark.config.recipe import Section


class Labels(Section):
    """The table of labels that come late; joined with the scored rows by key, and by day."""

    path: str = Field("", description="folder, file or table name; empty: there are none")
    format: Literal["csv", "json", "parquet", "delta", "table"] = "parquet"
    options: dict[str, str | bool | int | float | list[str]] = Field(
        {}, description="of the format, as those of `source`"
    )
    key: list[str] = Field([], description="columns; default: the keys of the contract")
    label: str = Field("", description="column; default: the label of the contract")
    day: str = Field("", description="column with the row's day; default: the key says enough")
    updated: str = Field("", description="column by which the latest of several labels wins")
    delay: int = Field(7, ge=0, description="days after which the labels of a day count")
    window: int = Field(28, ge=1, le=366, description="days that are looked at again each night")
