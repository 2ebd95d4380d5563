"""A process of the sort that Spark has: its models are behind a wall, and it is not.

python tests/scoring/worker/walled.py FOLDER MODEL...     # prints what came of each, as JSON
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.scoring import hostile
from tests.scoring.scorers import scorer
from tfspark.errors import TfsparkError
from tfspark.registry import resolve
from tfspark.scoring.worker import opened, wall

resolve.check_ops = opened.check_ops = lambda *_, **_more: None  # type: ignore[assignment]


def attempts(folder: Path) -> dict[str, Any]:
    """What code behind the wall may do, with the name of the error where it may not."""
    tries = {
        "network": lambda: socket.socket(socket.AF_INET),
        "network, new": lambda: socket.socket(socket.AF_INET6),
        "socket of a file": lambda: socket.socket(socket.AF_UNIX),
        "program": lambda: os.waitpid(os.posix_spawn(sys.executable, ["python", "-c", ""], {}), 0),
        "file": lambda: (folder / "canary").read_text(),
        "folder": lambda: os.listdir(folder),  # noqa: PTH208
        "variables": lambda: Path("/proc/self/environ").read_bytes(),
        "a model's folder": lambda: (folder / "cache" / "new").touch(),
        "python": lambda: Path(json.__file__).read_bytes(),
        "random numbers": lambda: os.close(os.open("/dev/urandom", os.O_RDONLY)),
    }
    found = {}
    for name, attempt in tries.items():
        try:
            attempt()
            found[name] = ""
        except OSError as error:
            found[name] = type(error).__name__
    return found


def main(folder: Path, names: list[str]) -> None:
    found: dict[str, Any] = {}
    for name in names:
        run = scorer(resolve.resolve_model(str(folder / name)), isolate="never", wall="always")
        try:
            (scores,), reasons = run([pa.array([1.0, 2.0], pa.float32())])
            found[name] = [scores.to_pylist(), reasons.to_pylist()]
            if name in hostile.LATE:  # from the task's own thread: the first call was planned
                (scores,), reasons = run([pa.array([7.0, 8.0, 9.0], pa.float32())])
                found[name] += [scores.to_pylist(), reasons.to_pylist()]
        except TfsparkError as error:
            found[name] = f"{type(error).__name__}: {error}"
    inside = wall.run("always", lambda: attempts(folder))
    print(json.dumps({"models": found, "inside": inside, "outside": attempts(folder)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
