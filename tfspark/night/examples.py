"""A few bad rows of a day, for its page: what the contract marks public, and no more."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pyarrow.compute as pc

from tfspark import storage
from tfspark.config import Settings
from tfspark.contracts import load_contract
from tfspark.contracts.load import content, named
from tfspark.deltalog import dataset
from tfspark.tablenames import is_delta
from tfspark.yamlfile import load_yaml

_MOST, _LONGEST = 5, 80


def examples(settings: Settings, day: dt.date) -> list[dict[str, Any]]:
    """Rows that scoring refused: `row` (public columns, as text) and `reasons`."""
    if not settings.contract or not is_delta(settings.quarantine):
        return []
    from deltalake import DeltaTable

    table = load_contract(settings.contract).name
    shown = public_columns(settings.contract)
    of_day = (pc.field("day") == day) & (pc.field("table") == table) & (pc.field("job") == "score")
    place = settings.quarantine
    rows = dataset(DeltaTable(storage.for_delta(place)), place).scanner(filter=of_day)
    return [
        {"row": _row(raw, shown), "reasons": [_said(reason, shown) for reason in reasons]}
        for raw, reasons in zip(
            *(rows.head(_MOST)[name].to_pylist() for name in ("raw", "reasons")), strict=True
        )
    ]


def public_columns(contract: str) -> set[str]:
    """The columns whose `classification` in the contract's file is `public`."""
    value, _ = load_yaml(content(contract), contract)
    wanted = named(contract)[1]
    return {
        column["name"]
        for table in value["schema"]
        if wanted is None or table["name"] == wanted
        for column in table["properties"]
        if column.get("classification") == "public"
    }


def _row(raw: str, shown: set[str]) -> dict[str, str]:
    try:
        found = json.loads(raw)
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: _cut(str(value)) for name, value in found.items() if name in shown}


def _said(reason: str, shown: set[str]) -> str:
    """A reason; it may quote the value of the column that it begins with."""
    column, colon, _ = reason.partition(":")
    return _cut(reason) if column in shown or not colon else f"{column}: (not public)"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
