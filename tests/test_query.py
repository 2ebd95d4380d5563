import csv
import datetime as dt
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from hypothesis import given
from hypothesis import strategies as st

from tfspark.answers import save
from tfspark.cli import main
from tfspark.errors import ConfigError, SourceMissing
from tfspark.query import DuckDB, Question, SparkSQL
from tfspark.tables import write_day

ODD = "od`d \"co'l; --"
DAY, OTHER = dt.date(2026, 11, 20), dt.date(2026, 11, 21)


@pytest.fixture(scope="module")
def table(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    target = str(tmp_path_factory.mktemp("query") / "scored")
    for day, rows in ((DAY, [(1, 0.5, "a'b"), (2, 0.25, "c")]), (OTHER, [(3, 1.0, "a'b")])):
        df = spark.createDataFrame(rows, "id bigint, p double, s string")
        write_day(df.withColumnRenamed("s", ODD), target, day, run_id=str(day))
    return target


@pytest.fixture(params=["spark", "duckdb"])
def engine(request: pytest.FixtureRequest, spark: Any) -> Any:
    return SparkSQL(spark) if request.param == "spark" else DuckDB()


@pytest.mark.parametrize(
    ("question", "ids"),
    [
        (Question(order_by=["id"]), [1, 2, 3]),
        (Question(order_by=["-id"], limit=2), [3, 2]),
        (Question(day=DAY, order_by=["id"]), [1, 2]),
        (Question(where={ODD: "a'b"}, order_by=["id"]), [1, 3]),
        (Question(where={ODD: "a'b", "id": "3"}), [3]),
        (Question(where={ODD: "' OR '1'='1"}), []),
        (Question(sql="SELECT id FROM scored WHERE p > 0.3 ORDER BY id"), [1, 3]),
        (Question(columns=["id", ODD], order_by=[ODD, "id"]), [1, 3, 2]),
    ],
)
def test_both_engines_give_the_same(
    engine: Any, table: str, question: Question, ids: list[int]
) -> None:
    answer = engine.answer(table, question).read_all()
    assert answer["id"].to_pylist() == ids
    if question.columns:
        assert answer.column_names == question.columns


def test_a_file_in_the_table_s_folder_is_refused(
    table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for to in (table, f"{table}/x.csv", f"file:{table}/day=2026-11-20/x.parquet"):
        assert main("query", ["--table", table, "--engine", "duckdb", "--to", to]) == 2
        assert f"{to}: is what is read ({table})" in capsys.readouterr().err


def test_an_instant_is_the_same_in_both(
    engine: Any, spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = dt.datetime(2026, 11, 20, 12, 30, tzinfo=dt.UTC)
    rows = spark.createDataFrame([(1, at), (2, None)], "id bigint, at timestamp")
    rows.write.format("delta").save(str(tmp_path))
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Kolkata")
        time.tzset()
        answer = engine.answer(str(tmp_path), Question(order_by=["id"])).read_all()
        assert answer["at"].to_pylist() == [at, None]
    time.tzset()


@pytest.mark.parametrize(
    "question",
    [
        Question(columns=["id; DROP TABLE scored"]),
        Question(order_by=["p DESC; --"]),
        Question(where={"1=1 OR id": "1"}),
    ],
)
def test_a_name_that_is_no_column_is_refused(engine: Any, table: str, question: Question) -> None:
    with pytest.raises(ConfigError, match="no column .* there are: id, p"):
        engine.answer(table, question)


def test_a_wrong_query_or_table_is_named(engine: Any, table: str) -> None:
    with pytest.raises(ConfigError, match="the query does not run"):
        engine.answer(table, Question(sql="SELEC 1"))
    with pytest.raises(ConfigError, match="whole query"):
        engine.answer(table, Question(sql="SELECT 1", day=DAY))
    with pytest.raises(SourceMissing, match="/nowhere/at/all"):
        engine.answer("/nowhere/at/all", Question())


@given(st.text(min_size=1))
def test_a_quoted_name_cannot_end_early(name: str) -> None:
    sql, values = Question(columns=[name]).to_sql()
    inside = sql.removeprefix('SELECT "').removesuffix('" FROM scored')
    assert inside.replace('""', "").count('"') == 0
    assert inside.replace('""', '"') == name
    assert values == []


def test_answers_are_saved_whole(engine: Any, table: str, tmp_path: Path) -> None:
    question = Question(order_by=["id"])
    assert save(engine.answer(table, question), str(tmp_path / "out.parquet")) == 3
    assert pq.read_table(tmp_path / "out.parquet")["p"].to_pylist() == [0.5, 0.25, 1.0]
    assert save(engine.answer(table, question), str(tmp_path / "out.csv")) == 3
    with (tmp_path / "out.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line[ODD] for line in lines] == ["a'b", "c", "a'b"]
    with pytest.raises(ConfigError, match=r"\.csv or \.parquet"):
        save(engine.answer(table, question), str(tmp_path / "out.xls"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "out.parquet"]


def test_the_command(
    table: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ["--table", table, "--engine", "duckdb"]
    assert main("query", [*flags, "--where", "id=2", "--columns", "id,p"]) == 0
    assert capsys.readouterr().out.split() == ["id", "p", "2", "0.25"]
    assert main("query", [*flags, "--day", "2026-11-21", "--to", str(tmp_path / "x.csv")]) == 0
    assert "rows   1" in capsys.readouterr().out
    assert main("query", [*flags, "--where", "nothing"]) == 2
    assert main("query", []) == 2
    assert main("query", ["--table", str(tmp_path / "none"), "--engine", "duckdb"]) == 75


EVIL = "\x1b[2J\n=1+1"


@pytest.fixture
def small(tmp_path: Path) -> str:
    """Without Spark: texts that control a terminal, or are formulas."""
    texts = [EVIL, "=1+1", "+1", "-1", "@a", "\tx", "\rx", "a=b", None, "'=", ""]
    lists = [["\x1b[2J", "a"]] * len(texts)
    rows = pa.table({"id": range(len(texts)), "=s": texts, "l": lists, "x": [-1.5] * len(texts)})
    write_deltalake(tmp_path / "small", rows)
    return str(tmp_path / "small")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT * FROM read_text('{canary}')", "disabled|not allowed|permission"),
        ("SELECT * FROM '{canary}'", "disabled|not allowed|does not exist"),
        ("SELECT 1) TO '{out}'; COPY (SELECT 1", "the query does not run"),
        ("SELECT 1; COPY (SELECT 1) TO '{out}'", "give one query; there are: SELECT, COPY"),
        ("COPY (SELECT 1) TO '{out}'", "give one query; there are: COPY"),
        ("ATTACH '{out}'", "give one query; there are: ATTACH"),
        ("SET enable_external_access = true", "give one query; there are: SET"),
        ("SELECT 1); SET enable_external_access = true; SELECT (1", "the query does not run"),
        ("", "give one query; there are: none"),
        ("SELECT * FROM variable_of_ours", "does not exist"),
    ],
)
def test_a_query_has_the_table_alone(small: str, tmp_path: Path, sql: str, said: str) -> None:
    variable_of_ours = pa.table({"secret": ["CANARY"]})
    canary, out = tmp_path / "canary.csv", tmp_path / "out.csv"
    canary.write_text("CANARY,1\n")
    question = Question(sql=sql.format(canary=canary, out=out))
    with pytest.raises(ConfigError, match=f"(?i){said}") as caught:
        DuckDB().answer(small, question).read_all()
    assert "CANARY" not in str(caught.value)
    assert not out.exists()
    assert variable_of_ours.num_rows == 1
    whole = DuckDB().answer(small, Question(sql="SELECT count(*) AS n FROM scored")).read_all()
    assert whole["n"].to_pylist() == [11]


def test_nothing_in_a_table_controls_the_screen(
    small: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("query", ["--table", small, "--engine", "duckdb", "--order-by", "id"]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert r"\x1b[2J\n=1+1" in shown
    assert len(shown.splitlines()) == 12


@pytest.mark.parametrize("escape", [False, True])
def test_formulas_in_a_csv_file(small: str, tmp_path: Path, escape: bool) -> None:
    out = tmp_path / "out.csv"
    flags = ["--table", small, "--engine", "duckdb", "--columns", "=s,x", "--order-by", "id"]
    assert main("query", [*flags, "--to", str(out), *["--escape-formulas"] * escape]) == 0
    with out.open(newline="") as file:
        names, *rows = csv.reader(file)
    quote = "'" if escape else ""
    assert names == [f"{quote}=s", "x"]
    texts = [quote + text for text in ["=1+1", "+1", "-1", "@a", "\tx", "\rx"]]
    assert [row[0] for row in rows] == [EVIL, *texts, "a=b", "", "'=", ""]
    assert {row[1] for row in rows} == {"-1.5"}


def test_formulas_are_those_of_csv(small: str, tmp_path: Path) -> None:
    flags = ["--table", small, "--engine", "duckdb", "--escape-formulas"]
    assert main("query", flags) == 2
    assert main("query", [*flags, "--to", str(tmp_path / "x.parquet")]) == 2
