"""`spec/folders.yaml`: folders that are taken to be a user's alone, and those that are refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tfspark.errors import StorageError
from tfspark.session import spark_session
from tfspark.storage import private_folder

CASES = yaml.safe_load((ROOT / "spec" / "folders.yaml").read_text("utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_whose_a_folder_is(case: dict[str, Any], tmp_path: Path) -> None:
    for name, what in case["made"].items():
        made = tmp_path / name
        if what.isdecimal():
            made.mkdir()
            made.chmod(int(what, 8))
        else:
            made.symlink_to(tmp_path / what)
    asked = tmp_path / case["asked"]
    if said := case.get("says"):
        with pytest.raises(StorageError) as raised:
            private_folder(asked, "THE_VARIABLE")
        assert str(raised.value).replace(str(tmp_path), "FOLDER") == said
    else:
        assert private_folder(asked, "THE_VARIABLE") == asked
        assert asked.is_dir()


def test_what_is_made_is_for_nobody_else(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = private_folder(tmp_path / "a" / "b", "X")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(f.stat().st_mode) for f in (folder, folder.parent)} == {0o700}


def test_derbys_home_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / f"tfspark-{os.getuid()}" / "derby"
    home.mkdir(parents=True)
    home.chmod(0o777)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    with pytest.raises(StorageError, match="derby: is a link, or others"):
        spark_session("never started")
