"""The jars of the Scala module, for tests that score in the JVM."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

ROOT = Path(__file__).parent.parent
NATIVES = ROOT / "build" / "sbt" / "javacpp"
"""Where TensorFlow's libraries are unpacked: `org.bytedeco.javacpp.cachedir`."""

_LIST = ROOT / "build" / "scala" / "classpath.txt"
_SOURCES = ("build.sbt", "project", "interop/src/main", "tfspark/registry/allowed_ops.txt")


def sbt(*tasks: str) -> str:
    """Run tasks of sbt; what they said."""
    command = [sys.executable, str(ROOT / "scripts" / "sbt.py"), *tasks]
    ended = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stdout[-8000:] + ended.stderr[-4000:]
    return ended.stdout


def classpath() -> str:
    """The module and what it needs beside Spark; built if a source is newer."""
    jars = _LIST.read_text().split() if _LIST.exists() else []
    if not jars or not all(map(Path.exists, map(Path, jars))) or _changed(_LIST.stat().st_mtime):
        sbt("classpathFile")
        jars = _LIST.read_text().split()
    return ":".join(jars)


def keep_natives(spark: SparkSession) -> None:
    """Let TensorFlow's libraries lie where those of other runs lie: they are 650 MB."""
    jvm: Any = spark._jvm  # type: ignore[attr-defined]
    jvm.System.setProperty("org.bytedeco.javacpp.cachedir", str(NATIVES))


def _changed(since: float) -> bool:
    places = [ROOT / name for name in _SOURCES]
    files = [file for place in places for file in (place, *place.glob("**/*"))]
    # sbt writes below `project` itself.
    return any(f.stat().st_mtime > since for f in files if f.is_file() and "target" not in f.parts)
