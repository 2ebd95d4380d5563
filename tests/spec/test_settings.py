"""`spec/settings.yaml`: settings of files, variables and command lines, on both sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tfspark.cli import main
from tfspark.config import load_settings
from tfspark.config.load import require_date
from tfspark.errors import ConfigError

CASES = yaml.safe_load((ROOT / "spec" / "settings.yaml").read_text("utf-8"))["cases"]


def told(case: dict[str, Any], folder: Path) -> list[str]:
    """The command line of a case, whose file is made."""
    file = folder / "t.yaml"
    file.write_text(case.get("file", ""))
    named = ["--config", str(file)] if "file" in case else []
    return ["--dry-run", *named, *case.get("arguments", [])]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case)[:80])
def test_settings(
    case: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in case.get("environment", {}).items():
        monkeypatch.setenv(name, value)
    if case.get("day"):
        with pytest.raises(ConfigError) as caught:
            require_date(load_settings())
        assert str(caught.value) == case["says"]
        return
    code = main("score", told(case, tmp_path))
    said = capsys.readouterr()
    if "says" in case:
        message = said.err.strip().replace(f"{tmp_path}/", "")
        assert (message, code) == (f"score: ConfigError: {case['says']}", 2)
        return
    assert code == 0, said.err
    found = yaml.safe_load(said.out)
    for name, value in case["gives"].items():
        section, _, setting = name.partition(".")
        assert (found[section][setting] if setting else found[section]) == value
