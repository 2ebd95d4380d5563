"""The command that is told when a night is red: its verdict as JSON on stdin, no shell."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

SECONDS = 10.0
_TOLD = ("name", "date", "run", "verdict", "exit_code", "message", "what_to_do", "seconds", "rows")


def call_hook(
    command: str | Sequence[str], record: Mapping[str, Any], seconds: float = SECONDS
) -> str:
    """Run the hook of a red night.

    Args:
        command: a program and its arguments; a text is taken apart as a shell would, and no shell
            runs it. Empty: there is no hook.
        seconds: after which it is ended.

    Returns:
        Why it did not do its work; empty where it did, or where there was nothing to tell.
    """
    if not command or record.get("verdict") != "red":
        return ""
    told = {key: record[key] for key in _TOLD if key in record}
    try:
        words = shlex.split(command) if isinstance(command, str) else [*command]
        ended = subprocess.run(
            words,
            input=json.dumps(told, default=str).encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"nightly.hook: {words[0]} had not ended after {seconds:g} s, and was ended"
    except (OSError, ValueError) as error:
        return f"nightly.hook: cannot be run: {error}"
    if ended.returncode:
        said = ended.stderr.decode("utf-8", "replace").strip().splitlines()
        return f"nightly.hook: {words[0]} ended with {ended.returncode}: {said[-1] if said else ''}"
    return ""
