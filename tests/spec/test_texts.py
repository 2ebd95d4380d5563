"""Every text that both sides have stands in one table, and a case in `spec/` says it."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tfspark.wording import TEXTS

# What the Scala module has too.
SHARED = [
    "yamlfile.py",
    "cli.py",
    "config/load.py",
    "config/settings.py",
    "contracts/column.py",
    "contracts/contract.py",
    "contracts/load.py",
    "contracts/types.py",
    "registry/safety.py",
    "registry/savedmodel.py",
]
# The Scala job does not check the settings of other jobs against each other.
OF_OTHER_JOBS = {"Split", "Distributed", "Space"}


def said(value: Any) -> list[str]:
    """Every text under `says`."""
    if isinstance(value, dict):
        inner = [text for key, v in value.items() for text in said(v) if key != "says"]
        own = value.get("says", [])
        return [*([own] if isinstance(own, str) else own), *inner]
    return [text for v in value for text in said(v)] if isinstance(value, list) else []


@pytest.fixture(scope="module")
def cases() -> str:
    files = sorted((ROOT / "spec").glob("*.yaml"))
    return "\n".join(text for f in files for text in said(yaml.safe_load(f.read_text("utf-8"))))


@pytest.mark.parametrize("name", TEXTS)
def test_a_case_says_it(name: str, cases: str) -> None:
    text = TEXTS[name].replace("{{", "{").replace("}}", "}")
    parts = [re.escape(part) for part in re.split(r"\{\w+\}", text)]
    assert re.search(".+".join(parts), cases), (
        "add a case to spec/, which the Scala suite reads too"
    )


def literals(source: str) -> list[str]:
    """Texts that are raised as they are, not taken from the table."""
    tree = ast.parse(source)
    others = [n for n in ast.walk(tree) if getattr(n, "name", "") in OF_OTHER_JOBS]
    skipped = {node for other in others for node in ast.walk(other)}
    raised = [
        node.exc
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and node not in skipped and isinstance(node.exc, ast.Call)
    ]
    texts = [arg for call in raised for arg in call.args[:1]]
    return [
        ast.unparse(t) for t in texts if isinstance(t, ast.Constant | ast.JoinedStr | ast.BinOp)
    ]


@pytest.mark.parametrize("name", SHARED)
def test_no_text_is_raised_beside_the_table(name: str) -> None:
    assert literals((ROOT / "tfspark" / name).read_text("utf-8")) == []


def test_a_text_beside_the_table_is_found() -> None:
    assert literals("raise ValueError(f'{x} is wrong')\nraise E(say('x'))") == ["f'{x} is wrong'"]
