"""The tests of the library without Horovod and Petastorm, on each Python that it supports.

`make test-pythons` runs it; the versions to test can be named: `ARGS="3.12 3.13"`. Each gets an
environment of its own in build/pythons, from requirements-core.lock. Ends at the first that fails.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from steps import find_python, jars, java, logstore, packages, ui
from steps.paths import CORE_LOCK, ROOT, UV

PYTHONS = ("3.11", "3.12", "3.13")
# What needs Horovod, Petastorm, TensorBoard, Optuna or the tools of `make lint`, and the Scala
# module's own tests.
LEFT_OUT = [
    *(f"--ignore=tests/training/{room}" for room in ("loop", "ranks", "readers")),
    *(f"--ignore=tests/{room}" for room in ("interop", "tuning")),
    *(f"--ignore=tests/test_{name}.py" for name in ("imports", "spelling")),
    "--deselect=tests/training/test_train.py::test_what_the_mlflow_run_holds",
    "--deselect=tests/tfrecord/spark/test_shared_table.py::test_petastorm_reads_the_same_rows_of_the_twin",
]
LANE = ["-n", "2", "--lane", "test", *LEFT_OUT]


def main(asked: list[str]) -> int:
    """The exit code of the tests that failed, or 0."""
    if unknown := set(asked) - set(PYTHONS):
        raise ui.SetupError(f"no such Python: {', '.join(unknown)}; there are {', '.join(PYTHONS)}")
    found = {name: interpreter(name) for name in asked or PYTHONS}
    if missing := [name for name, python in found.items() if python is None]:
        raise ui.SetupError(
            f"not on this machine: Python {', '.join(missing)}. Install it (pyenv, uv python "
            f'install {missing[0]}), or name those to test: make test-pythons ARGS="3.11"'
        )
    for name, base in found.items():
        python = environment(name, base)
        ui.say(f"\nPython {name}: tests")
        started = time.monotonic()
        # Nothing after pytest's own last line, unless another Python follows.
        if code := tests(python):
            return code
        if name != list(found)[-1]:
            ui.say(f"Python {name}: passed in {(time.monotonic() - started) / 60:.0f} minutes")
    return 0


def interpreter(name: str) -> str | None:
    major, minor = name.split(".")
    return find_python.find((int(major), int(minor)))


def environment(name: str, base: str) -> Path:
    """What the lock names, and Delta's jars; the library itself is this checkout."""
    folder = ROOT / "build" / "pythons" / name
    python = folder / "bin" / "python"
    if find_python.version(str(python)) != find_python.version(base):
        packages.command(f"Python {name}", [UV, "venv", "--clear", "--python", base, folder])
    hashed = ("--require-hashes", "--no-build-isolation", "--compile-bytecode")
    with packages.lock_of("setuptools", lock=CORE_LOCK) as builder:  # of Spark's archive
        first = ("install", "--no-deps", *hashed, "-r", builder.name)
        packages.finish(packages.start_uv("setuptools", *first, python=python))
    packages.finish(
        packages.start_uv(f"Packages for {name}", "sync", *hashed, CORE_LOCK, python=python)
    )
    site = folder / "lib" / f"python{name}" / "site-packages"
    jars.install(java.find(), site / "pyspark" / "jars")
    logstore.install(java.find(), site / "pyspark" / "jars")
    return python


def tests(python: Path) -> int:
    env = os.environ | {
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": str(python.parent.parent),
        "PYSPARK_PYTHON": str(python),
        "PYSPARK_DRIVER_PYTHON": str(python),
    }
    command = [python, "-m", "pytest", *LANE]
    return subprocess.run(command, cwd=ROOT, env=env, check=False).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ui.SetupError as error:
        ui.fail(str(error), what="test-pythons")
    except KeyboardInterrupt:
        sys.exit(130)
