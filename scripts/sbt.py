"""sbt for the Scala module: `python scripts/sbt.py test`. Needs Java and what `make setup` made.

sbt's launcher is fetched by the Ivy among Spark's jars and must have the sum in `sbt.lock`; sbt
takes the rest from Maven Central (TFSPARK_SBT_REPOSITORIES names a repositories file for another
place). What the module needs beside Spark must have the sums in `scala.lock`, whenever sbt lists or
packages it. All that it keeps is under `build/sbt` and the `target` folders.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from steps import java, packages, scala_jars, ui
from steps.jars import Jar, is_right, proxy
from steps.paths import ROOT, SCRIPTS, SPARK_JARS

HOME = ROOT / "build" / "sbt"
LOCK = SCRIPTS / "sbt.lock"
# A call compiles for a minute: an optimising compiler would double what that takes.
OPTIONS = "-Xmx1g -Xss4m -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseParallelGC"


def main(arguments: list[str]) -> int:
    java_command = java.find()
    repositories = os.environ.get("TFSPARK_SBT_REPOSITORIES")
    if repositories is None:
        HOME.mkdir(parents=True, exist_ok=True)
        # A predefined name: sbt itself knows what it means.
        repositories = str(HOME / "repositories")
        Path(repositories).write_text("[repositories]\n  local\n  maven-central\n", "utf-8")
    options = {
        "sbt.override.build.repos": "true",
        "sbt.repository.config": repositories,
        "sbt.global.base": HOME / "global",
        "sbt.boot.directory": HOME / "boot",
        "sbt.ivy.home": HOME / "ivy",
        "sbt.coursier.home": HOME / "coursier",
        "sbt.server.autostart": "false",
        "sbt.color": "auto" if sys.stdout.isatty() else "false",
        "sbt.supershell": "false",
        "file.encoding": "UTF-8",
    }
    command = [
        str(java_command),
        *OPTIONS.split(),
        *proxy(),
        *(f"-D{name}={value}" for name, value in options.items()),
        *("-jar", str(launcher(java_command)), *arguments),
    ]
    environment = os.environ | {"COURSIER_CACHE": str(HOME / "coursier")}
    began = time.time_ns()
    code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    if code == 0 and scala_jars.LIST.exists() and scala_jars.LIST.stat().st_mtime_ns > began:
        scala_jars.check()
    return code


def launcher(java_command: Path) -> Path:
    """The launcher's jar; fetched if it is not there yet.

    Raises:
        SetupError: what came is not what the lock names.
    """
    line = LOCK.read_text("utf-8").splitlines()[-1]
    coordinate, sha256 = line.split()
    jar = Jar(*coordinate.split(":"), sha256)
    target = HOME / jar.file
    if is_right(target, jar):
        return target
    HOME.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HOME) as folder:
        settings = os.environ.get("TFSPARK_IVY_SETTINGS")
        packages.command(
            "sbt's launcher",
            [
                java_command,
                *proxy(),
                *("-jar", next(SPARK_JARS.glob("ivy-*.jar"))),
                *(["-settings", settings] if settings else []),
                *("-cache", HOME / "ivy-cache", "-confs", "default"),
                *("-dependency", jar.organisation, jar.name, jar.version),
                *("-retrieve", f"{folder}/[artifact]-[revision].[ext]"),
            ],
        )
        came = Path(folder, jar.file)
        if not is_right(came, jar):
            raise ui.SetupError(
                f"{jar.file} is not the file that {LOCK.name} names (its sha256 differs): do not "
                "use it; look at the repository it came from"
            )
        came.replace(target)
    return target


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ui.SetupError as error:
        ui.fail(str(error), what="sbt")
    except KeyboardInterrupt:
        sys.exit(130)
