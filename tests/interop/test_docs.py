"""docs/scala.md, done: its Python, its Scala and SQL in a spark-shell, its job by spark-submit."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from tests.docs_blocks import to_run
from tests.interop.module import NATIVES, ROOT
from tests.standalone import SPARK_HOME

PAGE = "docs/scala.md"
ROW = re.compile(r"^\|(\d\.\d)\|(\d\.\d)\| *([\d.]+)\|$", re.M)
POINTS = {
    (1.0, 2.0): 3.0196,
    (2.0, 3.0): 3.9878,
    (3.0, 5.0): 3.9264,
    (6.0, 7.0): 7.8608,
    (8.0, 3.0): 15.9750,
    (7.0, 8.0): 8.8290,
}


def tables(text: str) -> list[dict[tuple[float, float], float]]:
    """What `show()` printed, in the order of the page."""
    found = [(float(x1), float(x2), float(y)) for x1, x2, y in ROW.findall(text)]
    size = len(POINTS)
    return [
        {(x1, x2): y for x1, x2, y in found[at : at + size]} for at in range(0, len(found), size)
    ]


@pytest.fixture(scope="module")
def home(scala: Any, package: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the page's reader has it, with dist/ of `make package`."""
    done([sys.executable, "scripts/package.py", "delta"], ROOT)
    scala.ready("dist")
    folder = tmp_path_factory.mktemp("reader")
    (folder / "dist").symlink_to(ROOT / "dist")
    return folder


def done(command: list[str], folder: Path, typed: str | None = None) -> str:
    """What a command that ends well prints."""
    natives = f"-Dorg.bytedeco.javacpp.cachedir={NATIVES}"
    more = {
        "PATH": f"{SPARK_HOME / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "KERAS_BACKEND": "tensorflow",
        "JAVA_TOOL_OPTIONS": natives,
        "TERM": "dumb",
    }
    bare = {key: value for key, value in os.environ.items() if key != "SPARK_HOME"}
    ended = subprocess.run(
        command,
        cwd=folder,
        env=bare | more,
        input=typed,
        text=True,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
    return ended.stdout


def test_the_page_gives_its_table_in_every_way(home: Path) -> None:
    train, use = 2, 1  # blocks of Python before and after the shell
    pages = [block for block in to_run(PAGE) if block.language != "text"]
    python = [block.text for block in pages if block.language == "python"]
    shell, submit = (block.text for block in pages if block.language == "sh")
    assert len(python) == train + use
    done([sys.executable, "-c", "\n".join(python[:train])], home)

    typed = "".join(
        f'spark.sql("""{block.text}""").show()\n' if block.language == "sql" else block.text + "\n"
        for block in pages
        if block.language in ("scala", "sql")
    )
    local = "--master local[2] --conf spark.ui.enabled=false"
    said = done([*shlex.split(shell), *local.split()], home, typed)
    assert "error:" not in said, said
    found = tables(said)
    assert len(found) == 3, said  # DataFrame, RDD, SQL

    done(["bash", "-c", submit], home)
    rows = DeltaTable(home / "tables" / "scored").to_pyarrow_table().to_pylist()
    found.append({(row["x1"], row["x2"]): row["y"] for row in rows})
    found += tables(done([sys.executable, "-c", python[-1]], home))
    assert len(found) == 5
    for table in found:
        assert table == {point: pytest.approx(y, abs=1e-3) for point, y in POINTS.items()}


def test_the_page_prints_the_table_that_it_gives() -> None:
    printed = next(block.text for block in to_run(PAGE) if block.language == "text")
    assert tables(printed) == [POINTS]
    # What is not run says so; all else is.
    assert {block.language for block in to_run(PAGE)} == {"python", "sh", "scala", "sql", "text"}
    assert sum(block.language == "sh" for block in to_run(PAGE)) == 2
