"""Bad input: the right exit code, a message that names the place, and an unchanged scored table."""

# ruff: noqa: E501  (one case, one line)

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PASSENGERS, ROOT
from tests.passengers import content, copy_of, flags
from tfspark.cli import main

LINES = PASSENGERS.read_text().splitlines()


@dataclass
class World:
    """A copy of a whole warehouse, and a folder for what a case breaks."""

    warehouse: Path
    folder: Path
    spark: Any

    def anywhere(self, text: str) -> str:
        """What is said, with names for these folders and for the functions of a model.

        TensorFlow numbers functions anew whenever it saves a model.
        """
        named = text.replace(str(self.warehouse), "<warehouse>")
        return re.sub(r"_\d+\b", "_N", named.replace(str(self.folder), "<folder>"))

    def csv(self, change: Callable[[list[str]], list[str]] | bytes) -> dict[str, Any]:
        path = self.folder / "raw.csv"
        content = change if isinstance(change, bytes) else "\n".join(change(LINES)).encode() + b"\n"
        path.write_bytes(content)
        return {"source__path": path}

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def contract(self, old: str, new: str) -> dict[str, Any]:
        text = (ROOT / "schemas" / "passengers.yaml").read_text()
        assert old in text
        return {"contract": self.file("contract.yaml", text.replace(old, new))}

    def config(self, text: str) -> dict[str, Any]:
        return {"config": self.file("config.yaml", text)}

    def parquet(self, *columns: str) -> Path:
        path = self.folder / "table"
        self.spark.range(3).selectExpr("id AS PassengerId", *columns).write.parquet(str(path))
        return path

    @property
    def model(self) -> Path:
        return self.warehouse / "models" / "passengers" / "1"


@dataclass
class Case:
    name: str
    job: str
    code: int
    says: str
    given: Callable[[World], dict[str, Any]]
    environment: dict[str, str] = field(default_factory=dict)


def every(column: int, value: str) -> Callable[[list[str]], list[str]]:
    """Set a column (counted from 0, before the quoted name: 0 to 2) in every row."""

    def change(lines: list[str]) -> list[str]:
        rows = [line.split(",") for line in lines[1:]]
        return [lines[0], *(",".join([*r[:column], value, *r[column + 1 :]]) for r in rows)]

    return change


def tampered(world: World) -> dict[str, Any]:
    file = next((world.model / "variables").glob("*.data*"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    return {"model": world.model}


def unsafe(world: World) -> dict[str, Any]:
    import tensorflow as tf

    class Reader(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="Name")])
        def __call__(self, Name: Any) -> dict[str, Any]:
            return {"x": tf.map_fn(tf.io.read_file, Name)}

    module = Reader()
    tf.saved_model.save(module, str(world.folder / "unsafe"), signatures=module.__call__)
    return {"model": world.folder / "unsafe"}


def changed_dataset(world: World) -> dict[str, Any]:
    file = next((world.warehouse / "datasets" / "passengers" / "1" / "train").glob("*.tfrecord"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    return {}


def other_columns(world: World) -> dict[str, Any]:
    return {"keep": "PassengerId,Sex"}


FULL = "CAST(1 AS INT) Pclass, 'x' Name, 'male' Sex, 1D Age, 0 SibSp, 0 Parch, 't' Ticket, 1D Fare, 'C' Cabin"
BARE = {"config": None, "contract": None, "source__path": None}
CASES = [
    Case("missing file", "prepare", 75, r"nowhere\.csv: is not there", lambda w: {"source__path": w.folder / "nowhere.csv"}),
    Case("missing day", "prepare", 75, r"2026-11-20\.csv: is not there", lambda w: {"source__path": w.folder / "{date}.csv"}),
    Case("missing day to score", "score", 75, r"2026-11-20\.csv: is not there", lambda w: {"source__path": w.folder / "{date}.csv"}),
    Case("missing column", "prepare", 3, "column Fare of the contract is missing", lambda w: w.csv(lambda ls: [ls[0].replace("Fare", "Fee"), *ls[1:]])),
    Case("wrong type of a column", "prepare", 3, r"Pclass: first is not int \(712 rows\)", lambda w: w.csv(every(2, "first"))),
    Case("wrong type of a typed column", "prepare", 3, "column Survived is array<int>", lambda w: {"source__format": "parquet", "source__path": w.parquet("array(1) AS Survived", *FULL.split(", "), "'C' Embarked")}),
    Case("all rows bad", "prepare", 3, r"712 of 712 rows are bad.*Survived: 2 is not one of 0, 1", lambda w: w.csv(every(1, "2"))),
    Case("all rows to score bad", "score", 3, "712 of 712 rows", lambda w: w.csv(every(2, "9"))),
    Case("empty table", "prepare", 3, "raw.csv: the table has no rows", lambda w: w.csv(lambda ls: ls[:1])),
    Case("empty table to score", "score", 3, "raw.csv: the table has no rows", lambda w: w.csv(lambda ls: ls[:1])),
    Case("empty file", "prepare", 3, "raw.csv: the file is empty", lambda w: w.csv(b"")),
    Case("not UTF-8", "prepare", 3, "is not UTF-8", lambda w: w.csv("\n".join(LINES).replace("Mr.", "M\xe9.").encode("latin-1"))),
    Case("nulls in keys", "prepare", 3, "PassengerId: null", lambda w: w.csv(every(0, ""))),
    Case("duplicate keys", "prepare", 3, r"PassengerId: there 2 times \(1424 rows\)", lambda w: w.csv(lambda ls: ls + ls[1:])),
    Case("lines that are no rows", "prepare", 3, "does not have the fields of the table", lambda w: w.csv(lambda ls: ls[:1] + ["a,b"] * 9)),
    Case("not a Parquet file", "prepare", 6, r"raw\.csv: cannot be read: .*not a Parquet file", lambda w: {"source__format": "parquet", **w.csv(b"x" * 100)}),
    Case("broken YAML", "prepare", 2, r"config\.yaml:3: not YAML", lambda w: w.config("name: t\nsource: [\n")),
    Case("broken contract", "prepare", 2, r"contract\.yaml:\d+: schema\.0\.properties\.4\.physicalType: unknown type 'colour'", lambda w: w.contract("Sex, physicalType: string", "Sex, physicalType: colour")),
    Case("two columns of one name", "prepare", 2, r"contract\.yaml:\d+: .*two columns of one name: Sex and sex", lambda w: w.contract("name: Ticket", "name: sex")),
    Case("no contract file", "prepare", 2, "nowhere.yaml: there is no such contract", lambda w: {"contract": "nowhere.yaml"}),
    Case("unknown setting in the file", "score", 2, r"config\.yaml:2: wharehouse: unknown setting", lambda w: w.config("name: t\nwharehouse: x\n")),
    Case("unknown setting in the environment", "score", 2, "TFSPARK_SCORES__PLAN is no setting", lambda w: {}, {"TFSPARK_SCORES__PLAN": "x"}),
    Case("wrong value in the environment", "train", 2, "environment TFSPARK_TRAINING__SEED", lambda w: {}, {"TFSPARK_TRAINING__SEED": "x"}),
    Case("no date", "score", 2, "give --date YYYY-MM-DD", lambda w: {"date": None}),
    Case("no such date", "score", 2, "date: ", lambda w: {"date": "2026-02-30"}),
    Case("no such model folder", "score", 2, r"models/nowhere", lambda w: {"model": w.warehouse / "models" / "nowhere"}),
    Case("a folder of versions", "score", 2, r"models/passengers.*1", lambda w: {"model": w.warehouse / "models" / "passengers"}),
    Case("no such alias", "score", 2, "passengers@nobody", lambda w: {"model": "models:/passengers@nobody"}),
    Case("no such registered model", "score", 2, "nobody@champion", lambda w: {"model": "models:/nobody@champion"}),
    Case("tampered model file", "score", 6, r"variables\.data-00000-of-00001", tampered),
    Case("unsafe model", "score", 6, "ReadFile", unsafe),
    Case("a column the model needs is missing", "score", 2, "Embarked", lambda w: {**BARE, "input": w.parquet(*FULL.split(", ")), "model": w.model, "output": w.warehouse / "scored" / "passengers"}),
    Case("a column of the wrong type for the model", "score", 2, "Age", lambda w: {**BARE, "input": w.parquet(*FULL.replace("1D Age", "'x' Age").split(", "), "'C' Embarked"), "model": w.model, "output": w.warehouse / "scored" / "passengers"}),
    Case("quotes in a kept column's name", "score", 2, re.escape("no column PassengerId`; DROP TABLE x; --"), lambda w: {"keep": "PassengerId`; DROP TABLE x; --"}),
    Case("quotes in a table's name", "score", 2, re.escape("x` WHERE 1=1; DROP TABLE `y: is neither a folder nor a table name"), lambda w: {**BARE, "input": "x` WHERE 1=1; DROP TABLE `y", "model": w.model, "output": w.warehouse / "scored" / "passengers"}),
    Case("unknown plan", "score", 2, "plan 'warp'", lambda w: {"plan": "warp"}),
    Case("other columns than the table", "score", 6, "other columns than this run .*Sex", other_columns),
    Case("the output is a file", "score", 6, "a_file", lambda w: {"output": w.file("a_file", "") / "table"}),
    Case("no dataset", "train", 2, "run prepare first", lambda w: {"name": "others"}),
    Case("changed dataset file", "train", 6, r"train/part-00000\.tfrecord was changed", changed_dataset),
    Case("a feature of no column", "train", 2, "Agee", lambda w: {"features": "[{name: a, kind: numeric, column: Agee}]"}),
    Case("a gate that is not passed", "train", 4, "auc", lambda w: {"registry__gate": "{auc: 0.999}", "training__seed": 5}),
]  # fmt: skip


@pytest.fixture(scope="module")
def warehouse(passengers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of(passengers, tmp_path_factory.mktemp("bad") / "warehouse")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input(
    case: Case,
    warehouse: Path,
    spark: Any,
    tmp_path: Path,
    refused: dict[str, tuple[int, str]],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(warehouse, tmp_path, spark)
    # What a case breaks is put back. Not MLflow's database: this process holds it open.
    backup = tmp_path / "backup"
    shutil.copytree(warehouse, backup, ignore=shutil.ignore_patterns("mlflow*"))
    for name, value in case.environment.items():
        monkeypatch.setenv(name, value)
    before = content(warehouse / "scored")
    try:
        given = case.given(world)
        code = main(case.job, flags(warehouse, **given))
        said = capfd.readouterr().err
        message = said[said.rindex(f"\n{case.job}: ") :]
        assert (code, bool(re.search(case.says, message, re.S))) == (case.code, True), message
        refused[case.name] = code, world.anywhere(message.strip())
        assert content(warehouse / "scored") == before
        assert not [p for p in warehouse.rglob("_staging/*") if p.is_dir()]
    finally:
        for folder in backup.iterdir():
            shutil.rmtree(warehouse / folder.name)
            shutil.move(folder, warehouse / folder.name)


def test_there_are_enough_cases() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 25
    assert {case.code for case in CASES} == {2, 3, 4, 6, 75}


def test_a_full_disk(spark: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """/dev/full answers every write with `No space left on device`."""
    assert Path("/dev/full").exists()
    folder = tmp_path / "out.csv.partial"
    folder.symlink_to("/dev/full")
    table = tmp_path / "t"
    spark.range(3).write.format("delta").save(str(table))
    target = str(tmp_path / "out.csv")
    code = main("query", ["--table", str(table), "--engine", "duckdb", "--to", target])
    assert code == 6
    assert "No space left on device" in capfd.readouterr().err
    assert not Path(target).exists()
