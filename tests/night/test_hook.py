"""The hook of a red night."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.page.nights import record
from tfspark.night.hook import call_hook


def test_a_red_night_is_told_as_json_without_a_shell(tmp_path: Path) -> None:
    told = tmp_path / "told $(touch x) ; y"
    code = "import sys; open(sys.argv[1], 'wb').write(sys.stdin.buffer.read())"
    command = [sys.executable, "-c", code, str(told)]
    assert call_hook(command, record("yellow")) == ""
    assert not told.exists()
    assert call_hook(command, record("red")) == ""
    found = json.loads(told.read_text("utf-8"))
    assert (found["verdict"], found["date"]) == ("red", "2026-11-20")
    assert "quarantine_examples" not in found
    assert call_hook("", record("red")) == ""


def test_a_hook_that_fails_hangs_or_is_not_there_is_said() -> None:
    python = sys.executable
    fails = [python, "-c", "import sys; sys.exit('no mail today')"]
    assert "ended with 1: no mail today" in call_hook(fails, record("red"))
    hangs = [python, "-c", "import time; time.sleep(60)"]
    assert "had not ended after 0.5 s" in call_hook(hangs, record("red"), 0.5)
    assert "cannot be run" in call_hook("/nowhere/hook --x", record("red"))
    assert "cannot be run" in call_hook("echo 'open", record("red"))
