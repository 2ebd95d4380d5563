"""The card of a model version: what it is made of and how good it was, from its manifest.

<warehouse>/nights/<NAME>/model-<VERSION>.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tfspark import storage
from tfspark.page.render import render
from tfspark.page.words import cut, moment, number, part, parts, said

_MOST = 300  # inputs


def write_card(manifest: Mapping[str, Any], folder: str) -> str:
    """Write the card of a model version; its path.

    Args:
        manifest: of the version (`tfspark.json`).
        folder: of all nights; the page goes into the folder of the model's name.

    Raises:
        StorageError: it cannot be written.
    """
    name, version = cut(manifest["name"]), cut(manifest["version"])
    path = storage.join(folder, name, f"model-{version}.html")
    storage.write_bytes(path, card(manifest).encode())
    return path


def card(manifest: Mapping[str, Any]) -> str:
    """The page as a text."""
    found = {split: part(one) for split, one in part(manifest.get("metrics")).items()}
    names = list(dict.fromkeys(name for one in found.values() for name in one))
    recipe = part(manifest.get("recipe"))
    model, data = part(recipe.get("model")), part(manifest.get("dataset"))
    features = [
        {"name": cut(one.get("name"), 40), "value": _feature(one)}
        for one in parts(recipe.get("features"))[:_MOST]
    ]
    made = {
        "dataset": f"{cut(data.get('name'))} version {cut(data.get('version'))}",
        "dataset's digest": cut(data.get("digest")),
        "contract": cut(manifest.get("contract")),
        "builder": cut(model.get("builder")),
        "parameters": _short(model.get("params")),
        "training": _short(recipe.get("training")),
        "epochs": _short(manifest.get("epochs")),
        "made with": _short(manifest.get("versions")),
        "code": cut(manifest.get("git")),
        "run": cut(manifest.get("run_id")),
        "digest": cut(manifest.get("digest")),
    }
    outputs = ", ".join(cut(name, 40) for name in part(manifest.get("outputs")))
    classes = manifest.get("classes")
    listed = ", ".join(cut(one, 40) for one in classes[:50]) if isinstance(classes, list) else ""
    task = cut(model.get("task")) or "model"
    return render(
        "card.html",
        {
            "title": f"{cut(manifest.get('name'))} version {cut(manifest.get('version'))}",
            "name": cut(manifest.get("name")),
            "version": cut(manifest.get("version")),
            "created": moment(manifest.get("created_at")),
            "said": f"A {task} model that gives {outputs}" + (f" of: {listed}" if listed else ""),
            "metric_names": [cut(name, 40) for name in names],
            "metrics": [
                {"split": cut(split, 20), "values": [number(one.get(name)) for name in names]}
                for split, one in found.items()
            ],
            "facts": [
                {"name": title, "lines": lines}
                for title, lines in (
                    ("What it sees of a row", features),
                    ("What it was made of", _lines(made)),
                )
                if lines
            ],
            "inputs": [
                {
                    "name": cut(name, 60),
                    "type": cut(part(one).get("dtype"), 20),
                    "shape": cut(part(one).get("shape"), 20),
                    "null": cut(part(one).get("null"), 20),
                }
                for name, one in list(part(manifest.get("inputs")).items())[:_MOST]
            ],
        },
    )


def _lines(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items() if value]


def _feature(one: Mapping[str, Any]) -> str:
    column = one.get("column")
    columns = ", ".join(map(str, column)) if isinstance(column, list) else column
    return f"{cut(one.get('kind'), 20)} of {cut(columns, 120)}"


def _short(value: Any) -> str:
    """A few settings in one line."""
    if not value:
        return ""
    return said(json.dumps(value, default=str, ensure_ascii=False).strip("{}").replace('"', ""))
