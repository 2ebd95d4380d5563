"""`make test-pythons`: a Python that is not there is named, and is no success."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT

WITHOUT = """
import sys
sys.path.insert(0, "scripts")
import test_pythons as script
from steps import find_python, ui
find_python.find = lambda wanted: None if wanted in ((3, 12), (3, 13)) else sys.executable
script.environment = script.tests = lambda *asked: sys.exit("must not start")
try:
    script.main(sys.argv[1:])
except ui.SetupError as error:
    ui.fail(str(error), what="test-pythons")
"""


def said(*asked: str) -> str:
    command = [sys.executable, "-c", WITHOUT, *asked]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    return ran.stderr.strip()


def test_what_is_missing_is_named() -> None:
    assert said().startswith("test-pythons stopped: not on this machine: Python 3.12, 3.13.")
    assert said("3.11", "3.13").startswith("test-pythons stopped: not on this machine: Python 3.13")
    assert said("3.11") == "must not start"
    assert "no such Python: 3.9; there are 3.11, 3.12, 3.13" in said("3.9")
