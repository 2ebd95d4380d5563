"""`score_table`: one day, one commit, every row accounted for."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import tfspark
from tests import saved_models as models
from tests.sizes import size
from tfspark import storage
from tfspark.config import Source
from tfspark.contracts import parse_contract
from tfspark.contracts.contract import Quarantine
from tfspark.errors import (
    ConfigError,
    ContractViolation,
    ModelFailed,
    ModelNotFound,
    SignatureError,
    SourceMissing,
    StorageError,
)
from tfspark.registry.manifest import write_manifest
from tfspark.scoring.table import direct, staged
from tfspark.scoring.table import run as tablerun

DAY, OTHER = dt.date(2026, 11, 20), dt.date(2026, 11, 21)
ABOUT = ["model_name", "model_version", "model_digest", "run_id", "scored_at", "day"]


@pytest.fixture(scope="module")
def picky(tmp_path_factory: pytest.TempPathFactory) -> str:
    return models.picky(tmp_path_factory.mktemp("models") / "picky" / "7")


@pytest.fixture
def write(spark: SparkSession, tmp_path: Path) -> Callable[..., str]:
    """Rows (id, x) as a Parquet folder."""

    def to(name: str, rows: list[tuple[Any, ...]], ddl: str = "id bigint, x float") -> str:
        folder = str(tmp_path / name)
        spark.createDataFrame(rows, ddl).coalesce(2).write.mode("overwrite").parquet(folder)
        return folder

    return to


def good(count: int) -> list[tuple[int, float]]:
    return [(i, float(i * i)) for i in range(count)]


def read(spark: SparkSession, table: str | Path) -> DataFrame:
    return spark.read.format("delta").load(str(table))


def rows(df: DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return sorted(tuple(row) for row in df.select(*columns).collect())


def test_one_day_is_replaced_the_others_are_not(
    spark: SparkSession, tmp_path: Path, picky: str, write: Callable[..., str]
) -> None:
    source, target = write("in", good(20)), str(tmp_path / "out")
    first = tfspark.score_table(spark, source, picky, target, DAY)
    assert (first.rows_in, first.scored, first.quarantined) == (20, 20, 0)
    assert (first.table_version, first.day, first.plan) == (0, "2026-11-20", "scan")
    assert (first.model, first.model_version) == ("picky", "7")
    scored = read(spark, target)
    assert scored.columns == ["id", "root", *ABOUT]
    assert rows(scored, "id", "root") == [(i, float(i)) for i in range(20)]
    (about,) = scored.select(*ABOUT).distinct().collect()
    assert about["model_digest"] == first.model_digest
    assert (about["run_id"], about["day"]) == (first.run_id, DAY)

    tfspark.score_table(spark, write("in", good(3)), picky, target, str(OTHER))
    again = tfspark.score_table(spark, source, picky, target, DAY)
    assert again.table_version == 2
    scored = read(spark, target)
    assert rows(scored.where(F.col("day") == DAY), "id", "root")[:2] == [(0, 0.0), (1, 1.0)]
    # The third run read the folder anew: three rows now. The other day is as it was.
    assert scored.groupBy("day").count().orderBy("day").collect() == [(DAY, 3), (OTHER, 3)]
    assert not storage.names(str(tmp_path / "_staging"))


def test_the_same_day_twice_is_the_same_rows(
    spark: SparkSession, tmp_path: Path, picky: str, write: Callable[..., str]
) -> None:
    source, target = write("in", good(50)), str(tmp_path / "out")
    tfspark.score_table(spark, source, picky, target, DAY)
    before = rows(read(spark, target), "id", "root", "day", "model_digest")
    second = tfspark.score_table(spark, source, picky, target, DAY)
    assert rows(read(spark, target), "id", "root", "day", "model_digest") == before
    assert {row[0] for row in rows(read(spark, target), "run_id")} == {second.run_id}


@pytest.mark.parametrize(
    "plan", size(["arrow", "scan", "jvm"], soak=["arrow", "pandas", "scan", "jvm"])
)
def test_poison_goes_to_quarantine(
    spark: SparkSession, tmp_path: Path, picky: str, write: Callable[..., str], plan: str
) -> None:
    target = str(tmp_path / "out")
    source = write("in", [*good(300), (300, -1.0), (301, -2.0), (302, None)])
    summary = tfspark.score_table(spark, source, picky, target, DAY, plan=plan)
    assert (summary.rows_in, summary.scored, summary.quarantined) == (303, 301, 2)
    assert read(spark, target).where("id = 302").collect()[0]["root"] != 0.0  # NaN by the rule
    bad = read(spark, f"{target}_quarantine")
    found = {row["raw"]: row["reasons"] for row in bad.collect()}
    assert sorted(found) == ['{"id":300,"x":-1.0}', '{"id":301,"x":-2.0}']
    assert all("negative x" in reasons[0] for reasons in found.values())
    assert rows(bad.distinct(), "table", "day", "job", "run_id")[0] == (
        source, DAY, "score", summary.run_id,
    )  # fmt: skip
    # The day again, mended: its bad rows are gone from the quarantine too.
    tfspark.score_table(spark, write("in", good(10)), picky, target, DAY)
    assert read(spark, f"{target}_quarantine").count() == 0


def test_too_many_bad_rows_change_nothing(
    spark: SparkSession, tmp_path: Path, picky: str, write: Callable[..., str]
) -> None:
    target = str(tmp_path / "out")
    tfspark.score_table(spark, write("in", good(5)), picky, target, DAY)
    before = rows(read(spark, target), "id", "root", "run_id")
    files = storage.files(target)
    bad = write("bad", [*good(20), *[(100 + i, -1.0) for i in range(4)]])
    with pytest.raises(ContractViolation, match=r"4 of 24 rows .*negative x.*\(4 rows\)"):
        tfspark.score_table(spark, bad, picky, target, DAY)
    assert rows(read(spark, target), "id", "root", "run_id") == before
    assert storage.files(target) == files
    assert read(spark, f"{target}_quarantine").count() == 4
    more = Quarantine(max_share=0.5, max_rows=3)
    with pytest.raises(ContractViolation, match="at most 3 may be"):
        tfspark.score_table(spark, bad, picky, target, DAY, limit=more)
    enough = tfspark.score_table(spark, bad, picky, target, DAY, limit=Quarantine(max_share=0.5))
    assert enough.quarantined == 4


CONTRACT = b"""
apiVersion: v3.0.2
kind: DataContract
id: squares
version: 1
schema:
  - name: squares
    quarantine: {maxShare: 0.5}
    properties:
      - {name: id, physicalType: bigint, role: key, required: true, primaryKey: true}
      - {name: x, physicalType: double, logicalTypeOptions: {maximum: 1000}}
      - {name: note, physicalType: string, role: ignore}
      - {name: label, physicalType: int, role: label}
"""


@pytest.mark.parametrize("plan", size(["jvm"], soak=["arrow", "jvm"]))  # test_contract.py
def test_with_a_contract(
    spark: SparkSession, tmp_path: Path, picky: str, write: Callable[..., str], plan: str
) -> None:
    lines = [
        "id,x,note",
        "1,4,a",
        "2,many,b",
        "2,9,c",
        "3,-1,d",
        "4,5000,e",
        ",1,f",
        "5,,g",
        "6,16",
    ]
    (tmp_path / "in.csv").write_text("\n".join(lines) + "\n")
    source = Source(format="csv", path=str(tmp_path / "in.csv"))
    contract = parse_contract(CONTRACT, "squares.yaml")
    target, bad_table = str(tmp_path / "out"), str(tmp_path / "bad")
    with pytest.raises(ContractViolation, match="6 of 8 rows"):
        tfspark.score_table(
            spark, source, picky, target, DAY, contract=contract, quarantine=bad_table
        )
    assert not storage.exists(target)
    summary = tfspark.score_table(
        spark, source, picky, target, DAY, keep=["id", "note"], contract=contract,
        quarantine=bad_table, limit=Quarantine(max_share=0.8), plan=plan,
    )  # fmt: skip
    assert (summary.rows_in, summary.scored, summary.quarantined) == (8, 2, 6)
    assert read(spark, target).columns == ["id", "note", "root", *ABOUT]
    kept = read(spark, target).orderBy("id").collect()
    assert [(row["id"], row["note"]) for row in kept] == [(1, "a"), (5, "g")]
    reasons = [row["reasons"] for row in read(spark, bad_table).collect()]
    said = sorted(" | ".join(reason) for reason in reasons)
    assert len(said) == 6
    assert any("many is not double" in reason and "2 times" in reason for reason in said)
    assert any("negative x" in reason for reason in said)


@pytest.mark.parametrize(
    ("plan", "key"),
    [("arrow", "id"), ("pandas", "id"), ("scan", "id"), ("jvm", "id"), ("jvm", "i d")],
)
def test_a_model_that_fails_for_every_row(
    spark: SparkSession, tmp_path: Path, write: Callable[..., str], plan: str, key: str
) -> None:
    """Written by tasks or by Spark: the error is the same."""
    hopeless = models.hopeless(tmp_path / "hopeless")
    source, target = write("in", good(2200), f"`{key}` bigint, x float"), str(tmp_path / "out")
    said = r"hopeless: failed for each of the first 100\d rows.*; \S+/out is unchanged$"
    with pytest.raises(ModelFailed, match=said):
        tfspark.score_table(spark, source, hopeless, target, DAY, plan=plan)
    assert not storage.exists(target)


def test_which_columns_are_kept(
    spark: SparkSession, tmp_path: Path, write: Callable[..., str]
) -> None:
    source = write("in", [(1, 4.0, "a", DAY)], "id bigint, x float, note string, day date")
    folder = models.picky(tmp_path / "m")

    def kept(**options: Any) -> list[str]:
        target = str(tmp_path / f"out{len(storage.names(str(tmp_path)))}")
        tfspark.score_table(spark, source, folder, target, DAY, **options)
        return read(spark, target).columns[: -len(ABOUT)]

    assert kept() == ["id", "note", "root"]
    assert kept(keep=["NOTE"]) == ["note", "root"]
    write_manifest(folder, {"keys": ["id"]})
    assert kept() == ["id", "root"]
    with pytest.raises(ConfigError, match="day: the scored table has its own column"):
        kept(keep=["id", "day"])


def test_names_that_must_be_quoted(
    spark: SparkSession, tmp_path: Path, write: Callable[..., str]
) -> None:
    names = ["i d", "a.b", "c`d", "g'h"]
    source = str(tmp_path / "in put's")
    spark.createDataFrame([(1, 4.0, "n", "m")], names).write.parquet(source)
    target = str(tmp_path / "out 'put`")
    folder = models.quoted(tmp_path / "m")
    for _ in range(2):
        tfspark.score_table(spark, source, folder, target, DAY, {"x": "a.b"}, ["i d", "c`d", "g'h"])
    assert read(spark, target).columns[:6] == ["i d", "c`d", "g'h", "a.b c", "it's", "out`put"]
    assert list(read(spark, target).collect()[0][:6]) == [1, "n", "m", 6.0, 7.0, 5.0]


def test_delta_sources_and_tables_of_the_catalog(
    spark: SparkSession, tmp_path: Path, picky: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = str(tmp_path / "delta")
    spark.createDataFrame(good(4), "id bigint, x float").write.format("delta").save(source)
    # A row that arrives while the job runs belongs to the next run.
    real = tablerun.tables.read_source

    def late(*args: Any) -> DataFrame:
        df = real(*args)
        extra = spark.createDataFrame([(99, 1.0)], "id bigint, x float")
        extra.write.format("delta").mode("append").save(source)
        return df

    with monkeypatch.context() as patch:
        patch.setattr(tablerun.tables, "read_source", late)
        summary = tfspark.score_table(spark, source, picky, str(tmp_path / "out"), DAY)
    assert summary.rows_in == summary.scored == 4
    spark.sql("CREATE DATABASE IF NOT EXISTS scoring_test")
    spark.read.format("delta").load(source).write.format("delta").saveAsTable("scoring_test.raw")
    named = tfspark.score_table(spark, "scoring_test.raw", picky, "scoring_test.scored", DAY)
    assert named.rows_in == 5
    again = tfspark.score_table(spark, "scoring_test.raw", picky, "scoring_test.scored", DAY)
    assert again.table_version == named.table_version + 1
    by_jvm = tfspark.score_table(
        spark, "scoring_test.raw", picky, "scoring_test.scored", DAY, plan="jvm"
    )
    assert (by_jvm.scored, by_jvm.plan) == (5, "jvm")
    assert by_jvm.plan_reason == "asked for; Spark writes: the target is a table of the catalog"
    assert spark.table("scoring_test.scored").count() == 5
    spark.sql("DROP DATABASE scoring_test CASCADE")


def test_a_day_of_the_source(
    spark: SparkSession, tmp_path: Path, picky: str, write: Callable[..., str]
) -> None:
    folder = write("in", [(1, 1.0, DAY), (2, 4.0, OTHER)], "id bigint, x float, d date")
    source = Source(format="parquet", path=folder, day_column="d")
    target = str(tmp_path / "out")
    assert tfspark.score_table(spark, source, picky, target, DAY, keep=["id"]).rows_in == 1
    with pytest.raises(SourceMissing, match="no rows for 2026-01-01"):
        tfspark.score_table(spark, source, picky, target, "2026-01-01", keep=["id"])


def test_a_lost_row_stops_the_commit(
    spark: SparkSession,
    tmp_path: Path,
    picky: str,
    write: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, target = write("in", good(20)), str(tmp_path / "out")
    monkeypatch.setattr(staged, "count_staged", lambda folder: (19, 0))
    with pytest.raises(StorageError, match="20 rows came in, 19 were scored or refused"):
        tfspark.score_table(spark, source, picky, target, DAY, plan="pandas")
    real = direct.footers

    def short(files: list[str], columns: list[str]) -> Any:
        return [dataclasses.replace(f, groups=f.groups[1:]) for f in real(files, columns)]

    monkeypatch.setattr(direct, "footers", short)
    for plan in ("arrow", "scan", "jvm"):
        with pytest.raises(StorageError, match=r"part-.*holds 0 rows, its task wrote \d+"):
            tfspark.score_table(spark, source, picky, target, DAY, plan=plan)
    assert not storage.exists(target)
    assert not storage.names(str(tmp_path / "_staging"))


@pytest.mark.parametrize("plan", size(["auto", "jvm"], soak=["auto", "pandas", "jvm"]))
def test_a_dataframe_is_computed_once(
    spark: SparkSession, tmp_path: Path, picky: str, write: Callable[..., str], plan: str
) -> None:
    target = str(tmp_path / "out")
    names = spark.createDataFrame([(i, f"name {i}") for i in range(30)], "id bigint, name string")
    joined = spark.read.parquet(write("in", [*good(20), (20, -1.0)])).join(names, "id")
    seen = spark.sparkContext.accumulator(0)

    def count(batches: Any) -> Any:
        for batch in batches:
            seen.add(batch.num_rows)
            yield batch

    counted = joined.mapInArrow(count, joined.schema)
    done = tfspark.score_table(
        spark, counted, picky, target, DAY, plan=plan, limit=Quarantine(max_share=0.5)
    )
    assert (done.rows_in, done.scored, done.quarantined) == (21, 20, 1)
    assert done.plan == ("arrow" if plan == "auto" else plan)
    assert seen.value == 21
    assert rows(read(spark, target), "id", "name", "root")[3] == (3, "name 3", 3.0)
    (bad,) = read(spark, f"{target}_quarantine").collect()
    assert json.loads(bad["raw"]) == {"id": 20, "name": "name 20", "x": -1.0}
    with pytest.raises(ContractViolation, match="the DataFrame: the table has no rows"):
        tfspark.score_table(spark, joined.where("id < 0"), picky, target, DAY, plan=plan)
    assert read(spark, target).count() == 20


def test_what_is_refused_leaves_the_table_alone(
    spark: SparkSession, tmp_path: Path, picky: str, write: Callable[..., str]
) -> None:
    source, target = write("in", good(4)), str(tmp_path / "out")
    tfspark.score_table(spark, source, picky, target, DAY)

    def run(source: str = source, model: str = picky, **options: Any) -> None:
        tfspark.score_table(spark, source, model, target, options.pop("day", DAY), **options)

    with pytest.raises(SourceMissing, match="nowhere"):
        run(source=str(tmp_path / "nowhere"))
    with pytest.raises(ModelNotFound):
        run(model=str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match="day 'soon': must be a date, YYYY-MM-DD"):
        run(day="soon")
    with pytest.raises(ConfigError, match="unknown plan 'fast'; use one of"):
        run(plan="fast")
    with pytest.raises(SignatureError, match="mapped to the column y"):
        run(inputs={"x": "y"})
    with pytest.raises(StorageError, match="root: float in the table, not there now"):
        run(model=models.quoted(tmp_path / "other"))
    with pytest.raises(StorageError, match="x: not there in the table, float now"):
        run(keep=["id", "x"])
    with pytest.raises(ContractViolation, match="the table has no rows"):
        run(source=write("empty", []))
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "a.json").write_text('{"x": 1}\n')
    with pytest.raises(ConfigError, match="need a contract"):
        run(source=Source(format="json", path=str(tmp_path / "json")))  # type: ignore[arg-type]
    history = spark.sql(f"DESCRIBE HISTORY delta.`{target}`")
    assert history.count() == 1
    assert rows(read(spark, target), "id", "root") == [(i, float(i)) for i in range(4)]


@pytest.mark.parametrize("plan", size(["auto"], soak=["auto", "pandas"]))
def test_a_row_without_a_day_is_bad_and_in_no_day(
    spark: SparkSession, tmp_path: Path, picky: str, write: Callable[..., str], plan: str
) -> None:
    """Nobody but the day's own check looks at it: there is no contract."""
    days = [(1, 1.0, "2026-11-20"), (2, 4.0, "2026-11-21"), (3, 9.0, "20261120"), (4, 4.0, None)]
    path, target = write("in", days, "id bigint, x float, at string"), str(tmp_path / "out")
    source = Source(path=path, day_column="at")
    for day, id in ((DAY, 1), (OTHER, 2))[: 2 if plan == "auto" else 1]:
        summary = tfspark.score_table(
            spark, source, picky, target, day, keep=["id"], plan=plan,
            limit=Quarantine(max_share=1.0),
        )  # fmt: skip
        assert (summary.rows_in, summary.scored, summary.quarantined) == (3, 1, 2)
        assert rows(read(spark, target).where(F.col("day") == day), "id") == [(id,)]
    bad = read(spark, f"{target}_quarantine").where(F.col("day") == DAY)
    assert rows(bad, "reasons", "raw") == [
        (["at: 20261120 is no day, YYYY-MM-DD"], '{"id":3,"x":9.0,"at":"20261120"}'),
        (["at: null is no day, YYYY-MM-DD"], '{"id":4,"x":4.0}'),
    ]
    if plan == "auto":  # plain files, read by tasks
        dates = [(1, 1.0, DAY), (2, 4.0, OTHER), (3, 9.0, None)]
        source = Source(path=write("dates", dates, "id bigint, x float, at date"), day_column="at")
        summary = tfspark.score_table(
            spark, source, picky, target, DAY, keep=["id"], limit=Quarantine(max_share=1.0)
        )
        assert (summary.plan, summary.rows_in, summary.quarantined) == ("scan", 2, 1)
        number = Source(path=write("n", [(1, 1.0, 20261120)], "id bigint, x float, at int"))
        with pytest.raises(ContractViolation, match=r"at \(source.day_column\) is int, no date"):
            tfspark.score_table(
                spark, number.model_copy(update={"day_column": "at"}), picky, target, DAY
            )


def test_a_target_that_would_destroy_something_is_refused_before_any_work(
    spark: SparkSession, tmp_path: Path, picky: str, write: Callable[..., str]
) -> None:
    raw, others = write("lake/raw", good(3)), write("others", good(3))
    spark.sql("CREATE DATABASE IF NOT EXISTS places_test")
    spark.createDataFrame(good(2), "id bigint, x float").write.saveAsTable("places_test.raw")
    before = storage.files(str(tmp_path))
    df = spark.read.parquet(raw).where("id > 0")
    there = "is what is read"
    try:
        place = spark.sql("DESCRIBE DETAIL places_test.raw").head()["location"]
        for source, target, says in [
            (raw, raw, there),
            (raw, f"{raw}/scored", there),
            (raw, f"file:{tmp_path}/lake", there),
            (df, f"{raw}/scored", there),
            ("places_test.raw", "places_test.raw", there),
            ("places_test.raw", place, there),
            (raw, picky, there),
            (raw, others, "holds files of others"),
        ]:
            with pytest.raises(ConfigError, match=says):
                tfspark.score_table(spark, source, picky, target, DAY)
        with pytest.raises(ConfigError, match=f"{raw}: is what is read"):
            tfspark.score_table(spark, raw, picky, str(tmp_path / "out"), DAY, quarantine=raw)
    finally:
        spark.sql("DROP DATABASE places_test CASCADE")
    assert storage.files(str(tmp_path)) == before


def test_a_target_with_odd_characters_in_its_path(
    spark: SparkSession, tmp_path: Path, picky: str, write: Callable[..., str]
) -> None:
    source, target = write("in", [*good(3), (9, -1.0)]), str(tmp_path / "a [b] {c" / "d#e?f%20 g")
    summary = tfspark.score_table(
        spark, source, picky, target, DAY, limit=Quarantine(max_share=1.0)
    )
    assert (summary.table_version, summary.scored, summary.quarantined) == (0, 3, 1)
    assert read(spark, target).count() == 3
    assert sorted(storage.names(str(Path(target).parent))) == [
        "_staging", "d#e?f%20 g", "d#e?f%20 g_quarantine",
    ]  # fmt: skip
    direct = str(tmp_path / "a [b] {c" / "files of tasks")
    tfspark.score_table(spark, source, picky, direct, DAY, limit=Quarantine(max_share=1.0))
    assert read(spark, f"{direct}_quarantine").count() == 1


def test_a_target_of_other_partitions_is_refused_before_any_work(
    spark: SparkSession, tmp_path: Path, picky: str, write: Callable[..., str]
) -> None:
    columns = "id bigint, root float, " + ", ".join(
        f"{name} {'timestamp' if name == 'scored_at' else 'date' if name == 'day' else 'string'}"
        for name in ABOUT
    )
    for how, says in (("CLUSTER BY (day)", "clustered by day"), ("", "not partitioned")):
        target = str(tmp_path / (how[:7] or "none"))
        spark.sql(f"CREATE TABLE delta.`{target}` ({columns}) USING delta {how}")
        with pytest.raises(StorageError, match=f"the table is {says}, and its days"):
            tfspark.score_table(spark, write("in", good(3)), picky, target, DAY)


# Where tasks write, tests of the commit have the rest.
@pytest.mark.parametrize("plan", size(["pandas"], soak=["auto", "pandas"]))
def test_runs_at_once_all_end_well(
    spark: SparkSession, tmp_path: Path, picky: str, write: Callable[..., str], plan: str
) -> None:
    """In threads of one session: a new table and a new quarantine."""
    source, target = write("in", [*good(20), (99, -1.0)]), str(tmp_path / "out")
    days = [DAY + dt.timedelta(i // 2) for i in range(size(2, soak=8))]
    more = {"plan": plan, "keep": ["id"], "limit": Quarantine(max_share=1.0)}
    with ThreadPoolExecutor(len(days)) as pool:
        run = partial(tfspark.score_table, spark, source, picky, target, **more)
        found = list(pool.map(lambda day: run(day=day), days))
    assert {(one.scored, one.quarantined) for one in found} == {(20, 1)}
    assert len({one.table_version for one in found}) == len(days)
    for table, rows_in in ((target, 20), (f"{target}_quarantine", 1)):
        counts = read(spark, table).groupBy("day").count().collect()
        assert sorted(map(tuple, counts)) == sorted((day, rows_in) for day in set(days))
