"""What the Scala module takes from Python is current, and no variable is forgotten."""

from __future__ import annotations

import re
import sys

import pytest

from tests.conftest import ROOT
from tfspark.config import Settings, load_settings
from tfspark.config.load import OWN_VARIABLES

PLACES = "README.md Makefile build.sbt bench conf docs interop/src/main jobs scripts tfspark"
KINDS = {"", ".md", ".py", ".sh", ".yaml", ".json", ".sbt", ".scala", ".conf"}


def test_the_resources_of_the_scala_module_are_current() -> None:
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from shared_resources import FOLDER, resources
    finally:
        sys.path.pop(0)
    for name, text in resources().items():
        said = "run scripts/shared_resources.py"
        assert (FOLDER / name).read_text("utf-8") == text, said


def test_every_variable_is_a_setting_or_our_own() -> None:
    """Of what the tree names outside tests, whose wrong names are wrong on purpose."""
    found = set()
    for place in PLACES.split():
        for path in [ROOT / place, *(ROOT / place).rglob("*")]:
            if path.is_file() and path.suffix in KINDS:
                found |= set(re.findall(r"TFSPARK_[A-Z_]*[A-Z]", path.read_text("utf-8")))
    settings = {f"TFSPARK_{name.upper()}" for name in Settings.model_fields}
    unknown = {
        name
        for name in found
        if re.split("__", name)[0] not in settings and name not in OWN_VARIABLES
    }
    assert not unknown, "neither settings nor in tfspark/config/load.py's OWN_VARIABLES"
    assert set(OWN_VARIABLES) <= found


@pytest.mark.parametrize("name", OWN_VARIABLES)
def test_an_own_variable_stops_no_job(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "x")
    assert load_settings() == load_settings()
