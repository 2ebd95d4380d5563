"""The repository has no spelling mistakes but those that `_typos.toml` allows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TYPOS = Path(sys.executable).with_name("typos")


def spelled(path: Path | str) -> subprocess.CompletedProcess[str]:
    command = [str(TYPOS), "--config", str(ROOT / "_typos.toml"), "--format", "brief"]
    return subprocess.run(
        [*command, str(path)], cwd=ROOT, text=True, capture_output=True, check=False
    )


def test_the_repository() -> None:
    found = spelled(".")
    assert found.returncode == 0, found.stdout + found.stderr


def test_a_mistake_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("The lable of a row.\n")
    found = spelled(page)
    assert found.returncode == 2
    assert "`lable` should be `label`" in found.stdout
