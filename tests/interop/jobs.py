"""The scoring job of the Scala module: many in one JVM, or one as `spark-submit` starts it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.interop.module import NATIVES, ROOT, classpath, ready
from tests.java import SHORT_LIVED
from tests.standalone import SPARK_HOME

_OPENED = (
    "java.lang java.lang.invoke java.lang.reflect java.io java.net java.nio java.util "
    "java.util.concurrent java.util.concurrent.atomic jdk.internal.ref sun.nio.ch sun.nio.cs "
    "sun.security.action sun.util.calendar"
)
_NATIVES = f"-Dorg.bytedeco.javacpp.cachedir={NATIVES}"
_QUIET = f"-Dlog4j2.configurationFile={(ROOT / 'tfspark' / 'log4j2.properties').as_uri()}"


@dataclass
class Ended:
    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """What a failed job says last."""
        assert "\nscore: " in self.err, (self.code, self.err[-2000:])
        return self.err[self.err.rindex("\nscore: ") :].strip()


class Jobs:
    """One JVM, which runs jobs one after the other."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def run(self, arguments: Sequence[Any], environment: Mapping[str, str] | None = None) -> Ended:
        asked = {"arguments": [str(a) for a in arguments], "environment": dict(environment or {})}
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the JVM has ended"
        return Ended(**json.loads(line))


def build() -> list[str]:
    """The jars of the module, its own first."""
    ready("Test/compile")
    return classpath().split(":")


def java(
    main: str, jars: list[str], *arguments: str, options: Sequence[str] = ("-Xmx1g",)
) -> list[str]:
    """The command line of a main class among the module's test classes."""
    classes = ROOT / "build" / "scala" / "scala-2.13" / "test-classes"
    home = os.environ.get("JAVA_HOME")
    return [
        str(Path(home, "bin", "java")) if home else "java",
        *(f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in _OPENED.split()),
        *SHORT_LIVED.split(),
        *options,
        *("-cp", ":".join([str(classes), *jars, f"{SPARK_HOME}/jars/*"])),
        *(main, *arguments),
    ]


@contextmanager
def jobs(jars: list[str], scratch: Path) -> Iterator[Jobs]:
    """A JVM of its own session."""
    settings = {
        "spark.master": "local[2]",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.warehouse.dir": str(scratch / "tables"),
        "derby.system.home": str(scratch),
    }
    given = (f"-D{name}={value}" for name, value in settings.items())
    process = subprocess.Popen(
        java("tfspark.job.ManyJobs", jars, options=["-Xmx2g", _NATIVES, _QUIET, *given]),
        cwd=ROOT,
        env=os.environ | {"TFSPARK_LOG": "json"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Jobs(process)
    finally:
        with process:  # closes the pipes, and waits
            process.kill()


def submitted(jars: list[str], arguments: Sequence[str]) -> list[str]:
    """The command line of one job."""
    return [
        str(SPARK_HOME / "bin" / "spark-submit"),
        *("--master", "local[2]", "--driver-java-options", f"{_NATIVES} {_QUIET}"),
        *("--conf", "spark.ui.enabled=false", "--conf", "spark.sql.shuffle.partitions=2"),
        *("--jars", ",".join(jars[1:]), "--class", "tfspark.ScoreJob"),
        *(jars[0], *arguments),
    ]
