"""`spec/manifest.yaml`: the manifest of a TFRecord folder, on both sides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tfspark.errors import IntegrityError
from tfspark.tfrecord.folder.manifest import MANIFEST, read_manifest, write_manifest

SPEC = yaml.safe_load((ROOT / "spec" / "manifest.yaml").read_text("utf-8"))


@pytest.mark.parametrize("case", SPEC["cases"], ids=lambda case: str(case)[:60])
def test_a_manifest(case: dict[str, Any], tmp_path: Path) -> None:
    there = {k: v for k, v in SPEC["base"].items() if k != case.get("without")}
    there |= case.get("with", {})
    file = tmp_path / MANIFEST
    deep = "[" * case.get("deep", 0)
    file.write_text(deep or case.get("text") or json.dumps(there))
    if "says" in case:
        with pytest.raises(IntegrityError) as caught:
            read_manifest(str(tmp_path))
        assert str(caught.value) == f"{file} {case['says']}"
        return
    manifest = read_manifest(str(tmp_path))
    assert manifest
    file.unlink()
    write_manifest(str(tmp_path), manifest)
    assert json.loads(file.read_text()) == there
