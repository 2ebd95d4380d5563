"""docs/scala.md, done: its Python in one process, its Scala and SQL in one spark-shell."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.standalone import SPARK_HOME

PAGE = ROOT / "docs" / "scala.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
NOT_RUN = re.compile(r"(#|//|--) not run: ")
ROW = re.compile(r"^\|(\d\.\d)\|(\d\.\d)\| *([\d.]+)\|$", re.M)
POINTS = {
    (1.0, 2.0): 3.0196,
    (2.0, 3.0): 3.9878,
    (3.0, 5.0): 3.9264,
    (6.0, 7.0): 7.8608,
    (8.0, 3.0): 15.9750,
    (7.0, 8.0): 8.8290,
}


@dataclass(frozen=True)
class Block:
    language: str
    text: str


def blocks() -> list[Block]:
    """Those that are to be run, and what they print."""
    found = [Block(*parts) for parts in BLOCK.findall(PAGE.read_text("utf-8"))]
    return [block for block in found if not NOT_RUN.match(block.text)]


def tables(text: str) -> list[dict[tuple[float, float], float]]:
    """What `show()` printed, in the order of the page."""
    found = [(float(x1), float(x2), float(y)) for x1, x2, y in ROW.findall(text)]
    size = len(POINTS)
    return [
        {(x1, x2): y for x1, x2, y in found[at : at + size]} for at in range(0, len(found), size)
    ]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the page's reader has it: dist/, and the model that its Python made."""
    made = [sys.executable, str(ROOT / "scripts" / "sbt.py"), "dist"]
    ended = subprocess.run(made, cwd=ROOT, text=True, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stdout[-8000:]
    folder = tmp_path_factory.mktemp("reader")
    (folder / "dist").symlink_to(ROOT / "dist")
    program = "\n".join(block.text for block in blocks() if block.language == "python")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "KERAS_BACKEND": "tensorflow"}
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    return folder


@pytest.mark.slow
def test_the_page_gives_its_table_from_dataframe_rdd_and_sql(home: Path) -> None:
    shell = next(block.text for block in blocks() if block.language == "sh")
    typed = ""
    for block in blocks():
        if block.language == "scala":
            typed += block.text + "\n"
        elif block.language == "sql":
            typed += f'spark.sql("""{block.text}""").show()\n'
    name, *options = shlex.split(shell)
    local = ("--master", "local[2]", "--conf", "spark.ui.enabled=false")
    natives = f"-Dorg.bytedeco.javacpp.cachedir={ROOT / 'build' / 'sbt' / 'javacpp'}"
    bare = {key: value for key, value in os.environ.items() if key != "SPARK_HOME"}
    ended = subprocess.run(
        [str(SPARK_HOME / "bin" / name), *options, *local, "--driver-java-options", natives],
        cwd=home,
        env=bare | {"TERM": "dumb"},
        input=typed,
        text=True,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    assert "error:" not in ended.stdout, ended.stdout
    found = tables(ended.stdout)
    assert len(found) == 3, ended.stdout + ended.stderr[-4000:]  # DataFrame, RDD, SQL
    for table in found:
        assert table == {point: pytest.approx(y, abs=1e-3) for point, y in POINTS.items()}


def test_the_page_prints_the_table_that_it_gives() -> None:
    printed = next(block.text for block in blocks() if block.language == "text")
    assert tables(printed) == [POINTS]
    # What is not run says so; all else is.
    assert {block.language for block in blocks()} == {"python", "sh", "scala", "sql", "text"}
    assert sum(block.language == "sh" for block in blocks()) == 1
