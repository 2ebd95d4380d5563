"""The rooms of the Scala module: a folder is a package, and imports go down only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAIN = ROOT / "interop" / "src" / "main" / "scala"

# A room uses those before it; `tfspark` itself is what users call, on top of all.
ROOMS = [
    "shared",
    "errors",
    "compat",
    "delta",
    "storage",
    "numbers",
    "tensors",
    "model",
    "worker",
    "plans",
    "table",
    "tfrecord",
    "job",
    "tfspark",
]
COMPAT = "org/apache/spark/sql/tfspark"  # its other half, for Spark's private names


def room_of(file: Path) -> str:
    folder = file.parent.as_posix()
    if folder == COMPAT:
        return "compat"
    return "errors" if file.name == "errors.scala" else folder.rpartition("/")[2]


def used(text: str) -> Iterator[str]:
    """The rooms that a source names in its code; "_" for a wildcard on `tfspark` itself."""
    code = re.sub(r'/\*.*?\*/|"(?:[^"\\\n]|\\.)*"|//[^\n]*', "", text, flags=re.S)
    if f"import {COMPAT.replace('/', '.')}." in code:
        yield "compat"
    for name, group in re.findall(r"(?<![\w.])tfspark\.(?:(\w+)|\{([^}]*)\})", code):
        for one in [name] if name else group.split(","):
            first = one.strip().split(" ")[0]
            # A class of the package itself: only errors are for everyone.
            yield ("errors" if first in ERRORS else "tfspark") if first[0].isupper() else first


ERRORS = set(re.findall(r"class (\w+)", (MAIN / "tfspark" / "errors.scala").read_text()))


def complaints(file: Path, text: str) -> list[str]:
    """What is wrong with a source: its package, and the rooms that it must not know."""
    room = room_of(file)
    packages = re.findall(r"(?m)^package ([\w.]+)", text)
    if packages != [file.parent.as_posix().replace("/", ".")]:
        return [f"{file}: is in the package {packages}"]
    body = text.split("\n", 1)[1]
    wrong = [one for one in used(body) if one not in ROOMS[: ROOMS.index(room) + 1]]
    return [f"{file}: {room} uses {one}, which is above it" for one in wrong]


def test_every_source_is_in_its_room_and_imports_go_down() -> None:
    files = [file.relative_to(MAIN) for file in MAIN.rglob("*.scala")]
    assert {room_of(file) for file in files} == set(ROOMS)
    assert [said for file in files for said in complaints(file, (MAIN / file).read_text())] == []


def test_the_table_in_design_md_has_the_same_order() -> None:
    table = (ROOT / "docs" / "design.md").read_text().split("Within `interop/")[1]
    assert re.findall(r"(?m)^\| `(\w+)` \|", table.split("\n\n")[1]) == ROOMS


def test_deltas_own_classes_are_used_in_compat_alone() -> None:
    own = "import org.apache.spark.sql.delta."
    files = {file.relative_to(MAIN) for file in MAIN.rglob("*.scala") if own in file.read_text()}
    assert {room_of(file) for file in files} == {"compat"}


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("tensors/Half.scala", "import tfspark.model.Signature", "tensors uses model"),
        ("worker/Scorer.scala", "import tfspark.{StorageError, job}", "worker uses job"),
        ("model/Packed.scala", "  val one = tfspark.table.Part(1)", "model uses table"),
        ("job/Score.scala", "import tfspark.ScoreJob", "job uses tfspark"),
        ("job/Score.scala", "import tfspark._", "job uses _"),
        ("errors.scala", "import tfspark.storage.Storage", "errors uses storage"),
        ("plans/Scoring.scala", "package inner", "is in the package"),
    ],
)
def test_a_wrong_import_is_told_with_both_rooms(file: str, text: str, said: str) -> None:
    where = Path("tfspark") / file
    package = where.parent.as_posix().replace("/", ".")
    right = f"package {package}\n\n/** As tfspark.job does. */ import tfspark.ConfigError\n"
    assert complaints(where, right) == []
    (told,) = complaints(where, f"package {package}\n\n{text}\n")
    assert said in told
