"""The rooms of the library: who imports whom, and who may touch what is not public API."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

FOREIGN = re.compile(
    r"\bpy4j\b|\._(?:jvm|jdf|jsc|jsparkSession|jconf)\b|pyspark\.sql\.(?:pandas|classic)\b"
    r"|\bkeras\.src\b|\btensorflow\.(?:python|core\.(?!protobuf))|_flatten_layers|_maybe_symbolic_build"
    r"|\._non_trainable_variables|\._parse_datatype"
)
"""Of Spark, Keras and TensorFlow: an upgrade may change it without a word."""
ALLOWED = {
    "tfspark/cli.py": "names the package of an error's class, and imports nothing of it",
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=folder, text=True, capture_output=True, check=False)


def test_rooms_import_from_those_below() -> None:
    ended = lint(ROOT)
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize(
    ("module", "planted", "rooms"),
    [
        ("storage/files.py", "from tfspark.scoring import frame", ("storage", "scoring")),
        ("tfrecord/codec/wire.py", "import tfspark.tfrecord.folder.parts", ("codec", "folder")),
        ("contracts/load.py", "import tfspark.session", ("contracts", "session")),
    ],
)
def test_a_planted_import_is_named(
    module: str, planted: str, rooms: tuple[str, str], tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "tfspark", tmp_path / "tfspark")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "tfspark" / module).open("a") as file:
        file.write(f"\n{planted}\n")
    ended = lint(tmp_path)
    assert ended.returncode == 1, ended.stdout
    low, high = rooms
    said = rf"tfspark[\w.]*\.{low} is not allowed to import tfspark[\w.]*\.{high}:"
    assert re.search(said, ended.stdout), ended.stdout


def test_what_is_not_public_is_used_in_compat_alone() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in (ROOT / "tfspark").rglob("*.py")
        if path.parent.name != "compat" and str(path.relative_to(ROOT)) not in ALLOWED
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if FOREIGN.search(line)
    }
    assert not found
