"""Contracts and recipes."""

from __future__ import annotations

from typing import Any

from tfspark.config import load_settings
from tfspark.contracts.docs import cells_of
from tfspark.contracts.load import content, named, read
from tfspark.look.view import Section, View
from tfspark.page.words import cut
from tfspark.yamlfile import load_yaml


def contract_or_recipe(path: str) -> View:
    """Whichever a YAML file is."""
    file, table = named(path)
    value, _ = load_yaml(content(path), file)
    if isinstance(value, dict) and value.get("kind") == "DataContract":
        return _contract(path, file, table)
    return _recipe(path)


def _contract(path: str, file: str, table: str | None) -> View:
    contract, kept = read(content(path), file, table)
    about = [
        ("id", contract.id),
        ("version", contract.version),
        ("key", ", ".join(contract.keys)),
        ("label", contract.label or ""),
        ("not used", ", ".join(kept)),
    ]
    head = ("column", "type", "role", "null", "checks", "tensor", "description")
    made = [
        Section("Contract", facts=[one for one in about if one[1]]),
        Section("Columns", head=head, rows=[cells_of(column) for column in contract.columns]),
    ]
    return View(f"Table {contract.name}", path, made)


def _recipe(path: str) -> View:
    from tfspark.config import masked

    settings = masked(load_settings(path))
    shown = ("name", "contract", "date", "source", "model", "training", "registry", "score")
    facts = [(name, _short(settings.get(name))) for name in shown]
    features = [_feature(one) for one in settings.get("features") or ()]
    made = [
        Section("Recipe", facts=[one for one in facts if one[1]]),
        Section("Features", head=("feature", "kind", "column", "settings"), rows=features),
    ]
    return View(str(settings.get("name") or path), path, made)


def _feature(one: dict[str, Any]) -> list[str]:
    plain = ("name", "kind", "column")
    others = {key: value for key, value in one.items() if key not in plain and value}
    return [*(cut(one.get(key)) for key in plain), _short(others)]


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{k}: {_short(v)}" for k, v in value.items() if v not in (None, "", {}, [])
        )
    return "" if value is None else str(value)
