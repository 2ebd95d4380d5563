"""Scoring with a contract: tasks check the rows that they read, and say what Spark's checks say."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession

import tfspark
from tests import saved_models as models
from tests.sizes import size
from tfspark import tables
from tfspark.config import Source
from tfspark.contracts import Contract, parse_contract
from tfspark.contracts.contract import Quarantine
from tfspark.errors import ContractViolation
from tfspark.quarantine import quarantine
from tfspark.scoring.table import run

DAY = dt.date(2026, 11, 20)
CONTRACT = b"""
kind: DataContract
id: squares
version: 1
schema:
  - name: squares
    quarantine: {maxShare: 0.8}
    properties:
      - {name: id, physicalType: bigint, required: true, primaryKey: true}
      - {name: part, physicalType: string, role: key}
      - {name: x, physicalType: double, logicalTypeOptions: {maximum: 1000}}
      - name: code
        physicalType: string
        unique: true
        logicalTypeOptions: {pattern: "[a-z]+[0-9]*"}
      - {name: label, physicalType: int, role: label}
"""
COLUMNS = "id bigint, part string, x float, code string, more array<int>"
ROWS = [
    *((i, "p", float(i), f"c{i}", [i]) for i in range(20)),
    (20, "p", 5000.0, "c20", None),
    (21, "p", -1.0, "c21", []),
    (22, None, 4.0, "C22", [1]),
    (23, "p", 4.0, "twice", [1]),
    (24, "p", 9.0, "twice", [1]),
    (25, "p", 4.0, "c25", [1]),
    (25, "p", float("nan"), "c26", [1]),
    (25, "q", 4.0, None, [1]),
    (26, "p", 4.0, None, [1]),
]
REASONS = [
    ["code: there 2 times"],
    ["code: there 2 times"],
    ["id, part: there 2 times"],
    ["part: null", "code: C22 does not match [a-z]+[0-9]*"],
    ["x: 5000.0 is above the maximum 1000"],
    ["x: NaN is above the maximum 1000", "id, part: there 2 times"],
]


@pytest.fixture
def contract() -> Contract:
    return parse_contract(CONTRACT, "squares.yaml")


@pytest.fixture
def source(spark: SparkSession, tmp_path: Path) -> str:
    spark.createDataFrame(ROWS, COLUMNS).repartition(2).write.parquet(str(tmp_path / "in"))
    return str(tmp_path / "in")


def read(spark: SparkSession, table: Path) -> DataFrame:
    return spark.read.format("delta").load(str(table))


def told(spark: SparkSession, table: Path) -> list[Any]:
    return sorted((r["reasons"], r["raw"]) for r in read(spark, table).collect())


def test_every_plan_gives_the_same(
    spark: SparkSession, tmp_path: Path, contract: Contract, source: str
) -> None:
    picky = models.picky(tmp_path / "picky")
    found = {}
    for plan in size(("auto", "pandas"), soak=("auto", "arrow", "pandas")):
        target = tmp_path / plan
        summary = tfspark.score_table(
            spark, source, picky, str(target), DAY, contract=contract, plan=plan
        )
        assert summary.plan == {"auto": "scan"}.get(plan, plan)
        assert (summary.rows_in, summary.scored, summary.quarantined) == (29, 22, 7)
        good = sorted(map(str, read(spark, target).select("id", "part", "root").collect()))
        found[plan] = good, told(spark, tmp_path / f"{plan}_quarantine")
    assert all(other == found["auto"] for other in found.values())
    bad = found["auto"][1]
    assert [reasons for reasons, _ in bad if "negative x" not in str(reasons)] == REASONS
    raw = next(raw for reasons, raw in bad if "part: null" in reasons)
    assert raw == '{"id":22,"x":4.0,"code":"C22","more":[1]}'


def test_too_many_bad_rows_change_nothing(
    spark: SparkSession, tmp_path: Path, contract: Contract, source: str
) -> None:
    target = tmp_path / "out"
    with pytest.raises(ContractViolation, match=r"7 of 29 rows are bad, at most 3 .*2 times"):
        tfspark.score_table(
            spark, source, models.picky(tmp_path / "m"), str(target), DAY,
            contract=contract, limit=Quarantine(max_share=None, max_rows=3),
        )  # fmt: skip
    assert not target.exists()
    assert len(told(spark, tmp_path / "out_quarantine")) == 7


def test_a_dataframe_is_computed_once(
    spark: SparkSession, tmp_path: Path, contract: Contract
) -> None:
    counter = spark.sparkContext.accumulator(0)

    def count(batches: Any) -> Any:
        for batch in batches:
            counter.add(batch.num_rows)
            yield batch

    df = spark.createDataFrame(ROWS, COLUMNS).mapInArrow(count, COLUMNS)
    summary = tfspark.score_table(
        spark, df, models.picky(tmp_path / "m"), str(tmp_path / "out"), DAY, contract=contract
    )
    assert (summary.plan, summary.rows_in, summary.quarantined) == ("arrow", 29, 7)
    assert counter.value == len(ROWS)


@pytest.mark.parametrize("form", ["csv", "json"])
def test_text_is_checked_by_tasks(
    spark: SparkSession,
    tmp_path: Path,
    contract: Contract,
    form: str,
) -> None:
    path, target = tmp_path / f"in.{form}", tmp_path / "out"
    lines: dict[str, list[str]] = {
        "csv": ["id,part,x,code", "1,p,4,a", "2,p,1e400,b", "3,p", "1,q,x,B"],
        "json": [
            '{"id": 1, "part": "p", "x": 4, "code": "a"}',
            '{"id": 2, "part": "p", "x": 1e400, "code": "b"}',
            '{"id": 3} {"id": 4}',
            '{"id": 1, "part": "q", "x": "x", "code": "B"}',
        ],
    }
    path.write_text("\n".join(lines[form]) + "\n")
    summary = tfspark.score_table(
        spark, Source(format=form, path=str(path)), models.picky(tmp_path / "m"),  # type: ignore[arg-type]
        str(target), DAY, contract=contract,
    )  # fmt: skip
    assert (summary.plan, summary.rows_in, summary.scored) == ("arrow", 4, 1)
    assert [reasons for reasons, _ in told(spark, tmp_path / "out_quarantine")] == [
        ["the line does not have the fields of the table"],
        ["x: 1e400 is not double"],
        ["x: x is not double", "code: B does not match [a-z]+[0-9]*"],
    ]
    odd = Source(format=form, path=str(path), options={"dateFormat": "dd/MM/yyyy"})  # type: ignore[arg-type]
    again = tfspark.score_table(
        spark, odd, models.picky(tmp_path / "m"), str(target), DAY, contract=contract,
        plan="pandas",
    )  # fmt: skip
    assert (again.plan, again.rows_in, again.scored) == ("pandas", 4, 1)


@pytest.mark.parametrize("kind", ["sorted", "doubled", "mixed"])
def test_keys_of_sorted_rows_are_counted_where_they_are_read(
    spark: SparkSession, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And exchanged where the rows turn out not to be sorted: the same rows, the same reasons."""
    ids = {"sorted": [0, 1, 2, 3], "doubled": [0, 2, 2, 3], "mixed": [2, 0, 2, 3]}[kind]
    for number in (1, 0):  # not in the order of the names
        rows = pa.table({"id": [i + 10 * number for i in ids], "x": [4.0] * 4})
        (tmp_path / "in").mkdir(exist_ok=True)
        pq.write_table(rows, tmp_path / "in" / f"{1 - number}.parquet")
    exchanged: list[str] = []
    real = run.duplicates
    monkeypatch.setattr(run, "duplicates", lambda *a: exchanged.append(kind) or real(*a))
    columns = ["{name: id, physicalType: bigint, primaryKey: true}"]
    columns += ["{name: x, physicalType: double}"]
    listed = "".join(f"      - {column}\n" for column in columns)
    text = CONTRACT.decode().partition("properties:\n")[0] + "properties:\n" + listed
    found = tfspark.score_table(
        spark,
        str(tmp_path / "in"),
        models.picky(tmp_path / "picky"),
        str(tmp_path / "out"),
        DAY,
        contract=parse_contract(text.encode(), "sorted.yaml"),
    )
    bad = [] if kind == "sorted" else [2, 2, 12, 12]
    assert (found.plan, found.scored, found.quarantined) == ("scan", 8 - len(bad), len(bad))
    assert exchanged == (["mixed"] if kind == "mixed" else [])
    kept = sorted(r["id"] for r in read(spark, tmp_path / "out").collect())
    assert kept == sorted({i + 10 * n for i in ids for n in (0, 1)} - set(bad))
    if bad:
        said = told(spark, tmp_path / "out_quarantine")
        assert [why for why, _ in said] == [["id: there 2 times"]] * 4
        assert said[-1][1] == '{"id":2,"x":4.0}'  # as texts, 12 comes first
    files = {file.name for file in (tmp_path / "out" / f"day={DAY}").glob("*.parquet")}
    assert files == {r["f"] for r in read(spark, tmp_path / "out").selectExpr(
        "regexp_extract(_metadata.file_path, '[^/]*$', 0) AS f").distinct().collect()}  # fmt: skip


def test_tasks_write_the_quarantine_where_it_takes_files(
    spark: SparkSession, tmp_path: Path, contract: Contract, source: str
) -> None:
    """In the place of what Spark wrote there, of the same table, day and job alone."""
    table = str(tmp_path / "bad")
    rows = spark.read.parquet(source)
    good = rows.where("id < 20 OR x > 100")  # none that the model refuses, one bad row
    kept = {}
    runs = [(rows, "auto"), (good, "pandas"), (good, "auto"), (rows.where("id < 20"), "auto")]
    for number, (df, plan) in enumerate(runs):
        made = tfspark.score_table(
            spark, df, models.picky(tmp_path / "m"), str(tmp_path / f"out{number}"), DAY,
            contract=contract, plan=plan, quarantine=table, run_id=f"run {number}",
        )  # fmt: skip
        log = DeltaTable(table).history(1)[0]
        assert log["userMetadata"] == f"run {number}"
        assert ("tfsparkFiles" in log) == (number >= 2), log
        found = spark.read.format("delta").load(table).collect()
        assert sum(r["job"] == "score" for r in found) == made.quarantined
        kept[number] = [(r["table"], r["job"], r["reasons"], r["raw"], r["day"]) for r in found]
        assert {r["run_id"] for r in found if r["job"] == "score"} <= {f"run {number}"}
        if number == 1:  # rows of another job stay
            other = {"table": "squares", "job": "prepare"}
            columns = f"{tables.REASONS} array<string>, {tables.RAW} string"
            refused = spark.createDataFrame([(["why"], "{}")], columns)
            quarantine(refused, table, other, day=DAY, run_id="run 1")
            before = DeltaTable(table).version()
    assert [one for one in kept[2] if one[1] == "score"] == kept[1]
    assert [one[1] for one in kept[3]] == ["prepare"]
    assert DeltaTable(table).version() == before + 2
    assert not list((tmp_path / "_staging").glob("*/*"))
