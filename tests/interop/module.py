"""The Scala module as tests have it: sbt runs once for its sources, whoever asks, and how often.

`begin` starts what a lane needs beside the other tests. `ready` waits for a task, or runs it where
nobody does. What was done for the sources as they are (by their content) is not done again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from tests.lanes import SOAK

ROOT = Path(__file__).parents[2]
NATIVES = ROOT / "build" / "sbt" / "javacpp"
"""Where TensorFlow's libraries are unpacked: `org.bytedeco.javacpp.cachedir`."""

# In the order in which one call of sbt does them.
TASKS = (
    "classpathFile",
    "Test/compile",
    "dist",
    "scalafmtSbtCheck",
    "scalafmtCheckAll",
    "test",
)
_OUT = ROOT / "build" / "scala"
_LIST = _OUT / "classpath.txt"
_SOURCES = (
    "build.sbt",
    ".scalafmt.conf",
    "project",
    "interop",
    "spec",
    "tests/old",
    "tfspark/registry/allowed_ops.txt",
    "tfspark/registry/saved_model_fields.txt",
)


def begin(*tasks: str) -> subprocess.Popen[bytes] | None:
    """Do tasks in a process group of their own, beside this one; none if all is done."""
    if not _missing(tasks):
        return None
    command = [sys.executable, "-m", "tests.interop.module", *tasks]
    nothing = subprocess.DEVNULL
    return subprocess.Popen(
        command, cwd=ROOT, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True
    )


def ready(*tasks: str) -> str:
    """What the tasks said; they are done for the sources as they are."""
    while missing := _missing(tasks):
        with _alone() as mine:
            if mine:
                said = _sbt(missing)
                assert not _missing(tasks), said[-8000:]
        time.sleep(0.2)
    return "".join(_stamp(task).read_text("utf-8") for task in tasks)


def classpath() -> str:
    """The module and what it needs beside Spark."""
    ready("classpathFile")
    return ":".join(_LIST.read_text().split())


def keep_natives(spark: SparkSession) -> None:
    """Let TensorFlow's libraries lie where those of other runs lie: they are 650 MB."""
    jvm: Any = spark._jvm  # type: ignore[attr-defined]
    jvm.System.setProperty("org.bytedeco.javacpp.cachedir", str(NATIVES))


def _sbt(tasks: Sequence[str]) -> str:
    """Run tasks in one call, and note each that ends well as soon as it does."""
    command = [sys.executable, str(ROOT / "scripts" / "sbt.py"), *tasks]
    key, left = _key(), list(tasks)
    said: list[str] = []
    begun = 0
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command,
        cwd=ROOT,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if line.startswith("[success]") and left:
                task = left.pop(0)
                part = _stamp(task).with_suffix(".part")
                part.write_text("".join([_of(task, key), *said[begun:]]), "utf-8")
                part.replace(_stamp(task))
                begun = len(said)
    return "".join(said)


def _missing(tasks: Sequence[str]) -> list[str]:
    key = _key()
    return [task for task in TASKS if task in tasks and not _done(task, key)]


def _done(task: str, key: str) -> bool:
    stamp = _stamp(task)
    if not stamp.exists() or not stamp.read_text("utf-8").startswith(_of(task, key)):
        return False
    if task == "classpathFile":
        return _LIST.exists() and all(Path(jar).exists() for jar in _LIST.read_text().split())
    return task != "dist" or (ROOT / "dist" / "natives").exists()


def _stamp(task: str) -> Path:
    return _OUT / f"stamp-{task.replace('/', '-')}"


def _of(task: str, key: str) -> str:
    """The first line of a stamp; sbt's tests are others where they try more."""
    return f"{key}{' soak' if task == 'test' and os.environ.get(SOAK) else ''}\n"


def _key() -> str:
    """Of the sources' names and content."""
    whole = hashlib.sha256()
    for name in _SOURCES:
        place = ROOT / name
        # sbt writes below `project` itself.
        files = [place] if place.is_file() else sorted(place.glob("**/*"))
        for file in files:
            made = {"target", "__pycache__"} & set(file.parts)
            if file.is_file() and not made:
                whole.update(f"{file.relative_to(ROOT)}\n{file.stat().st_size}\n".encode())
                whole.update(file.read_bytes())
    return whole.hexdigest()


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether no other process runs sbt."""
    _OUT.mkdir(parents=True, exist_ok=True)
    with (_OUT / "sbt.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


if __name__ == "__main__":
    ready(*sys.argv[1:])
