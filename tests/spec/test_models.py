"""`spec/models.yaml`: the manifest of a model, on both sides."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tfspark.errors import IntegrityError
from tfspark.registry.manifest import MANIFEST, read_manifest

SPEC = yaml.safe_load((ROOT / "spec" / "models.yaml").read_text("utf-8"))


@pytest.mark.parametrize("case", SPEC["cases"], ids=lambda case: str(case["name"]))
def test_a_manifest(case: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / MANIFEST
    text = case.get("text") or json.dumps({**SPEC["base"], **case.get("with", {})})
    text = "[" * case["deep"] + "]" * case["deep"] if "deep" in case else text
    if not case.get("absent"):
        file.write_text(text)
    own = hashlib.sha256(text.encode()).hexdigest()
    sha256 = {"right": own, "wrong": "0" * 64}.get(case.get("pinned", ""))
    if "says" in case:
        with pytest.raises(IntegrityError) as caught:
            read_manifest(str(tmp_path), sha256, must=case.get("ours", False))
        assert str(caught.value).replace(str(file), "FILE") == case["says"]
    else:
        found = read_manifest(str(tmp_path), sha256, must=case.get("ours", False))
        assert found == (None if case.get("absent") else json.loads(text))
