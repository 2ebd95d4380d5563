import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import DataFrameWriter

from tests.sizes import size
from tfspark import daywrite
from tfspark.config import Source
from tfspark.errors import ConfigError, ContractViolation, SourceMissing, StorageError
from tfspark.quarantine import quarantine
from tfspark.sparkerrors import reading
from tfspark.tables import read_source, read_table, sql_string, write_day

DAY, OTHER = dt.date(2026, 11, 20), dt.date(2026, 11, 21)


def rows(spark: Any, table: Path, day: dt.date) -> list[tuple[Any, ...]]:
    return sorted(tuple(r)[:-1] for r in read_table(spark, str(table)).collect() if r["day"] == day)


def test_a_day_is_replaced_in_one_commit_and_another_is_untouched(
    spark: Any, tmp_path: Path
) -> None:
    table = tmp_path / "a'b `c`"
    write = lambda values, day, run: write_day(  # noqa: E731
        spark.createDataFrame(values, "id int, p double"), str(table), day, run_id=run
    )
    assert write([(1, 0.5), (2, 0.25)], DAY, "a") == 0
    assert write([(1, 0.5)], OTHER, "b") == 1
    files = {p for p in table.rglob("*.parquet") if str(OTHER) in str(p)}
    assert write([(3, 1.0)], DAY, "c") == 2
    assert rows(spark, table, DAY) == [(3, 1.0)]
    assert rows(spark, table, OTHER) == [(1, 0.5)]
    assert {p for p in table.rglob("*.parquet") if str(OTHER) in str(p)} == files


def test_an_empty_day_removes_the_day(spark: Any, tmp_path: Path) -> None:
    table = str(tmp_path / "t")
    df = spark.createDataFrame([(1,)], "id int")
    write_day(df, table, DAY, run_id="a")
    write_day(df.limit(0), table, DAY, run_id="b")
    assert read_table(spark, table).count() == 0


def test_a_clean_day_leaves_a_quarantine_that_has_none_of_it(spark: Any, tmp_path: Path) -> None:
    """Delta commits nothing where no rows take the place of no rows."""
    table = str(tmp_path / "t")
    df = spark.createDataFrame([(1,)], "id int")
    first = write_day(df, table, DAY, run_id="a")
    none = spark.createDataFrame([], "id int")
    assert write_day(none, table, DAY + dt.timedelta(1), run_id="b") >= first
    assert spark.read.format("delta").load(table).count() == 1


def test_other_columns_are_refused_and_the_table_stays(spark: Any, tmp_path: Path) -> None:
    table = tmp_path / "t"
    write_day(spark.createDataFrame([(1, 2.0)], "id int, p double"), str(table), DAY, run_id="a")
    for other in ("id int", "id int, p float", "id int, p double, q int"):
        with pytest.raises(StorageError, match="other columns than this run .*[pq]: "):
            write_day(spark.createDataFrame([], other), str(table), DAY, run_id="b")
    assert rows(spark, table, DAY) == [(1, 2.0)]


def test_a_table_of_the_catalog(spark: Any) -> None:
    df = spark.createDataFrame([(1,)], "id int")
    try:
        write_day(df, "scored_in_catalog", DAY, run_id="a")
        assert write_day(df, "scored_in_catalog", OTHER, run_id="b") == 1
        assert read_table(spark, "scored_in_catalog").count() == 2
    finally:
        spark.sql("DROP TABLE IF EXISTS scored_in_catalog")


def test_quarantine_is_by_table_day_and_job(spark: Any, tmp_path: Path) -> None:
    target = tmp_path / "quarantine"
    schema = "_tfspark_reasons array<string>, _tfspark_raw string"
    one = spark.createDataFrame([(["x: null"], "{}")], schema)
    put = lambda df, table, day, job: quarantine(  # noqa: E731
        df, str(target), {"table": table, "job": job}, day=day, run_id="r"
    )
    put(one.limit(0), "t", DAY, "prepare")
    assert not target.exists()
    put(one, "t", DAY, "prepare")
    put(one, "it's / \\ `odd`", DAY, "prepare")
    put(one, "t", OTHER, "prepare")
    put(one, "t", DAY, "score")
    put(one.limit(0), "t", DAY, "prepare")
    left = {(r["table"], r["day"], r["job"]) for r in read_table(spark, str(target)).collect()}
    assert left == {
        ("it's / \\ `odd`", DAY, "prepare"),
        ("t", OTHER, "prepare"),
        ("t", DAY, "score"),
    }


def test_a_quarantine_in_the_catalog_loses_what_a_day_has_no_more(spark: Any) -> None:
    schema = "_tfspark_reasons array<string>, _tfspark_raw string"
    one = spark.createDataFrame([(["x: null"], "{}")], schema)
    try:
        for rows in (one, one.limit(0)):
            about = {"table": "t", "job": "score"}
            quarantine(rows, "bad_in_catalog", about, day=DAY, run_id="r")
            assert spark.table("bad_in_catalog").count() == rows.count()
    finally:
        spark.sql("DROP TABLE IF EXISTS bad_in_catalog")


def test_every_format_is_read(spark: Any, tmp_path: Path) -> None:
    df = spark.createDataFrame([(1, "a"), (2, "b")], "id int, s string")
    for format in ("csv", "json", "parquet", "delta"):
        writer = df.write.format(format)
        (writer.option("header", "true") if format == "csv" else writer).save(
            str(tmp_path / format)
        )
        found = read_source(spark, Source(format=format, path=str(tmp_path / format)))
        assert found.count() == 2, format


def test_jdbc_on_an_embedded_database(spark: Any, tmp_path: Path) -> None:
    url = f"jdbc:derby:{tmp_path}/db"
    df = spark.createDataFrame([(1, "a", DAY), (2, "b", OTHER)], "id int, s string, at date")
    df.write.format("jdbc").options(url=f"{url};create=true", dbtable="raw").save()
    source = Source(format="jdbc", path="raw", options={"url": url}, day_column="AT")
    names = read_source(spark, source.model_copy(update={"day_column": None})).columns
    source = source.model_copy(update={"day_column": names[2]})
    assert [tuple(r)[:2] for r in read_source(spark, source, OTHER).collect()] == [(2, "b")]
    nowhere = source.model_copy(update={"options": {"url": f"jdbc:derby:{tmp_path}/none"}})
    with pytest.raises(SourceMissing, match="raw: cannot be reached"):
        read_source(spark, nowhere, OTHER)
    no_table = source.model_copy(update={"path": "other"})
    with pytest.raises(SourceMissing, match="other: cannot be reached"):
        read_source(spark, no_table, OTHER)
    with pytest.raises(ConfigError, match=r"source\.options\.url"):
        read_source(spark, Source(format="jdbc", path="raw"))


def test_a_day_of_a_source(spark: Any, tmp_path: Path) -> None:
    (tmp_path / str(DAY)).mkdir()
    (tmp_path / str(DAY) / "t.csv").write_text("id,day\n1,2026-11-20\n2,2026-11-21\n3,never\n")
    path = str(tmp_path / "{date}" / "t.csv")
    source = Source(format="csv", path=path, day_column="day")
    assert [r["id"] for r in read_source(spark, source, DAY).collect()] == ["1", "3"]
    with pytest.raises(SourceMissing, match=f"{OTHER}/t.csv: is not there"):
        read_source(spark, source, OTHER)
    with pytest.raises(ConfigError, match="give --date"):
        read_source(spark, source)
    with pytest.raises(ContractViolation, match="no column dya"):
        read_source(spark, source.model_copy(update={"day_column": "dya"}), DAY)


def test_files_that_cannot_be_read_are_named(spark: Any, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.parquet"
    wrong.write_text("id\n1\n")
    with pytest.raises(StorageError, match=r"wrong\.parquet: cannot be read"):
        read_table(spark, str(wrong))
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ContractViolation, match=r"empty\.csv: the file is empty"):
        read_source(spark, Source(format="csv", path=str(tmp_path / "empty.csv")))
    with pytest.raises(SourceMissing, match="no_such_table: is not there"):
        read_table(spark, "no_such_table")


def test_csv_files_with_different_headers(spark: Any, tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("id,s\n1,a\n")
    (tmp_path / "2.csv").write_text("s,id\nb,2\n")
    with pytest.raises(ContractViolation, match="different headers"), reading(str(tmp_path)):
        read_source(spark, Source(format="csv", path=str(tmp_path))).collect()


def test_a_literal_is_what_it_was(spark: Any) -> None:
    for text in ("a'b", "back\\slash", "`x`", '"', "\\'; DROP TABLE t; --", "ü\n"):
        assert spark.sql(f"SELECT {sql_string(text)} AS x").head()["x"] == text


def test_a_delta_folder_is_read_as_the_table_that_it_is(spark: Any, tmp_path: Path) -> None:
    folder = str(tmp_path / "t")
    for id in (1, 2):
        df = spark.createDataFrame([(id, DAY)], "id int, day date")
        df.write.format("delta").mode("overwrite").partitionBy("day").save(folder)
    assert [r["id"] for r in read_source(spark, Source(path=folder)).collect()] == [2]
    for part in (f"{folder}/day={DAY}", f"{folder}/*", f"{tmp_path}/*", f"{folder}/day={{date}}"):
        with pytest.raises(ConfigError, match=f"is a part of the Delta table {folder}"):
            read_source(spark, Source(path=part), DAY)


def test_writers_at_once_both_write_to_a_table_of_the_catalog(spark: Any) -> None:
    def write(number: int) -> int:
        df = spark.createDataFrame([(number,)], "id int")
        return write_day(df, "at_once_in_catalog", DAY + dt.timedelta(number), run_id=str(number))

    count = size(2, soak=8)
    try:
        with ThreadPoolExecutor(count) as pool:
            versions = list(pool.map(write, range(count)))
        assert len(set(versions)) == count
        assert spark.table("at_once_in_catalog").count() == count
    finally:
        spark.sql("DROP TABLE IF EXISTS at_once_in_catalog")


def test_a_write_that_failed_after_its_commit_is_none_that_failed(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, df = str(tmp_path / "t"), spark.createDataFrame([(1,)], "id int")
    write_day(df, table, DAY, run_id="a")
    real = DataFrameWriter.save

    def saves_and_fails(self: Any, *args: Any) -> None:
        real(self, *args)
        raise PySparkException("connection lost")

    def fails(self: Any, *args: Any) -> None:
        raise PySparkException("connection lost")

    with monkeypatch.context() as patch:
        patch.setattr(DataFrameWriter, "save", saves_and_fails)
        assert write_day(df, table, DAY, run_id="b") == 1
        patch.setattr(DataFrameWriter, "save", fails)
        with pytest.raises(StorageError, match="the table is unchanged: connection lost"):
            write_day(df, table, DAY, run_id="c")
        patch.setattr(DataFrameWriter, "save", real)
        patch.setattr(daywrite, "commit_of", _unreadable)
        with pytest.raises(StorageError, match="whether the day 2026-11-20 is written cannot be t"):
            write_day(df, table, DAY, run_id="d")


def _unreadable(*_: Any) -> None:
    raise StorageError("no permission")
