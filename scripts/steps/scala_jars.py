"""What the Scala module needs beside Spark is what `scala.lock` names, byte by byte."""

from pathlib import Path

from steps import ui
from steps.jars import sha256_of
from steps.paths import ROOT, SCRIPTS

LIST = ROOT / "build" / "scala" / "classpath.txt"
LOCK = SCRIPTS / "scala.lock"


def check(listed: Path = LIST, lock: Path = LOCK) -> None:
    """Compare the jars of sbt's list, but for the module's own, with the lock.

    Raises:
        SetupError: a jar is not in the lock, has another sum there, or is missing.
    """
    lines = lock.read_text("utf-8").splitlines()
    known = dict(line.split() for line in lines if line and not line.startswith("#"))
    jars = [Path(line) for line in listed.read_text("utf-8").splitlines()]
    found = {jar.name: sha256_of(jar) for jar in jars if not jar.name.startswith("tfspark-")}
    for name, sha256 in sorted(found.items()):
        if known.get(name) != sha256:
            what = "has another sha256" if name in known else "is not"
            raise ui.SetupError(
                f"{name} {what} in {lock.name}: do not use it; look at the repository it came "
                f"from. If you changed build.sbt, write: {name} {sha256}"
            )
    if missing := known.keys() - found.keys():
        raise ui.SetupError(f"{lock.name} names {', '.join(sorted(missing))}, which sbt left out")
