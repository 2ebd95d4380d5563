"""Fetches what the tests of storage start; `make stores` runs it, once per machine.

In ~/.cache/tfspark/stores, or the folder that TFSPARK_STORES names:

hadoop-aws/   what Spark needs for s3a://: hadoop-aws, and of Amazon's SDK the parts it calls
hdfs/, yarn/  Hadoop's mini clusters
seaweedfs/    an S3 server, from a wheel
versitygw/    another, stricter one, built where there is Go

What is there is not fetched again. Jars and versions are in scripts/stores.lock, the wheel is in
requirements-stores.lock. Parts can be named: ARGS="hadoop-aws seaweedfs".
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from steps import jars, java, packages, ui
from steps.paths import SPARK_JARS, STORES, STORES_LOCK, STORES_WHEELS_LOCK

SEAWEEDFS = "seaweedfs"


def main(wanted: list[str]) -> None:
    started = time.monotonic()
    named: dict[str, list[list[str]]] = {SEAWEEDFS: []}
    for name, *words in jars.lines(STORES_LOCK):
        named.setdefault(name, []).append(words)
    if unknown := set(wanted) - named.keys():
        raise ui.SetupError(f"no such part: {', '.join(unknown)}; there are {', '.join(named)}")
    ui.say(f"Stores for the tests: {STORES}")
    for name in wanted or named:
        (STORES / name).mkdir(parents=True, exist_ok=True)
        if name == SEAWEEDFS:
            fetch_seaweedfs()
        elif len(named[name][0]) == 3:  # a program in Go: package, version, sum of its module
            build(name, *named[name][0])
        else:
            fetch_jars(name, [jars.of(*words) for words in named[name]])
    shutil.rmtree(STORES / "ivy", ignore_errors=True)
    ui.say(f"\nready in {time.monotonic() - started:.0f} s. Next: make test-all")


def fetch_jars(name: str, wanted: list[jars.Jar]) -> None:
    folder = STORES / name
    for jar in wanted:  # Spark ships some of them
        if not (folder / jar.file).exists() and jars.is_right(SPARK_JARS / jar.file, jar):
            shutil.copy(SPARK_JARS / jar.file, folder)
    keep = jars.fetch(java.find(), wanted, folder, name, STORES_LOCK, STORES / "ivy")
    for old in set(folder.glob("*.jar")) - set(keep):
        old.unlink()


def fetch_seaweedfs() -> None:
    """Into a folder of its own: nothing of it is the library's."""
    target = STORES / SEAWEEDFS
    key = STORES_WHEELS_LOCK.read_text(encoding="utf-8")
    done = target / "lock"
    if done.exists() and done.read_text(encoding="utf-8") == key:
        return
    shutil.rmtree(target, ignore_errors=True)
    hashed = ("--no-deps", "--require-hashes", "-r", STORES_WHEELS_LOCK)
    try:
        packages.finish(packages.start_uv(SEAWEEDFS, "install", "--target", target, *hashed))
    except ui.CommandError as error:
        if "wheel" not in error.output:
            raise
        ui.say("  seaweedfs: no wheel for this machine, left out")
        return
    done.write_text(key, encoding="utf-8")


def build(name: str, module: str, version: str, digest: str) -> None:
    """The program of a Go module; Go checks what it builds from against its own record of sums."""
    target = STORES / name / name
    go = shutil.which("go")
    if target.exists() and go and digest in _built_from(go, target):
        return
    if go is None:
        if target.exists():
            return
        ui.say(f"  {name}: no Go on the PATH, left out; tests that need it say so")
        return
    part = STORES / name / "part"
    command = [go, "install", f"{module}@{version}"]
    environment = os.environ | {"GOBIN": str(part)}
    packages.command(name, command, env=environment)
    if digest not in _built_from(go, part / name):
        raise ui.SetupError(
            f"{name} was not built from the module that {STORES_LOCK.name} names ({digest}): "
            "do not use it; look at the proxy that it came from"
        )
    (part / name).replace(target)
    part.rmdir()


def _built_from(go: str, program: Path) -> str:
    command = [go, "version", "-m", str(program)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ui.SetupError as error:
        ui.fail(str(error), what="fetching the stores")
    except OSError as error:
        ui.fail(packages.explain_os_error(error), what="fetching the stores")
    except KeyboardInterrupt:
        ui.fail("interrupted; run `make stores` again, it goes on from what is there", "stores")
