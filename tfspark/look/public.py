"""Which columns may be shown: what a contract says of it."""

from __future__ import annotations

from typing import Any

from tfspark.contracts.load import content, named
from tfspark.yamlfile import load_yaml


def hidden(contract: str | None) -> set[str]:
    """The columns whose values are not shown.

    As soon as a contract's file classifies one column, those that it does not call `public` are
    not; a file that classifies none hides none.
    """
    if contract is None:
        return set()
    value, _ = load_yaml(content(contract), contract)
    wanted = named(contract)[1]
    columns: list[dict[str, Any]] = [
        column
        for table in value["schema"]
        if wanted is None or table["name"] == wanted
        for column in table["properties"]
    ]
    if not any(column.get("classification") for column in columns):
        return set()
    return {c["name"] for c in columns if c.get("classification") != "public"}
