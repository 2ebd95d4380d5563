"""The jars of the Scala module: those that `scripts/scala.lock` names, and no others."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

CHECK = """
import sys
from pathlib import Path
sys.path.insert(0, "scripts")
from steps import scala_jars, ui
try:
    scala_jars.check(Path(sys.argv[1]), Path(sys.argv[2]))
except ui.SetupError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("nothing", ""),
        ("a byte", "b-1.jar has another sha256 in scala.lock: do not use it"),
        ("a jar more", "c-1.jar is not in scala.lock: do not use it"),
        ("a jar less", "scala.lock names a-1.jar, which sbt left out"),
    ],
)
def test_jars_are_those_of_the_lock(tmp_path: Path, change: str, said: str) -> None:
    names = ["tfspark-interop_2.13-0.1.0.jar", "a-1.jar", "b-1.jar"]
    for name in [*names, "c-1.jar"]:
        (tmp_path / name).write_bytes(name.encode())
    sums = {name: hashlib.sha256(name.encode()).hexdigest() for name in names[1:]}
    lock = tmp_path / "scala.lock"
    lock.write_text("# jars\n" + "".join(f"{name} {sum_}\n" for name, sum_ in sums.items()))
    if change == "a byte":
        (tmp_path / "b-1.jar").write_bytes(b"other")
    names = [*names, "c-1.jar"] if change == "a jar more" else names
    names = [names[0], names[2]] if change == "a jar less" else names
    listed = tmp_path / "classpath.txt"
    listed.write_text("".join(f"{tmp_path / name}\n" for name in names))
    command = [sys.executable, "-c", CHECK, str(listed), str(lock)]
    ran = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    assert ran.returncode == bool(said)
    assert said in ran.stderr


def test_the_lock_names_what_build_sbt_asks_for() -> None:
    names = [line.split()[0] for line in (ROOT / "scripts" / "scala.lock").read_text().splitlines()]
    build = (ROOT / "build.sbt").read_text()
    for variable, jar in (
        ("tensorflowVersion", "tensorflow-core-api"),
        ("javacppVersion", "javacpp"),
        ("jnaVersion", "jna"),
    ):
        version = build.split(f'val {variable} = "')[1].split('"')[0]
        assert f"{jar}-{version}.jar" in names
