import csv
import datetime as dt
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from hypothesis import given
from hypothesis import strategies as st

from tfspark.answers import ENDINGS, save, show
from tfspark.cli import main
from tfspark.errors import ConfigError, SourceMissing
from tfspark.query import DuckDB, SparkSQL
from tfspark.question import Compared, Question
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


NESTED = """
    SELECT id, named_struct('a', array(timestamp'2026-11-20 12:30:00', NULL), 'c', id) AS s,
        array(CAST(id AS STRING), NULL) AS l, map('k', timestamp'2026-11-20 12:30:00') AS m,
        timestamp'2026-11-20 12:30:00.5' AS at, timestamp_ntz'2026-11-20 12:30:00' AS ntz,
        date'2026-11-20' AS d, CAST(1.50 AS DECIMAL(10, 2)) AS price, X'00ff' AS b, id > 1 AS t,
        CAST(0.1 AS FLOAT) AS f, CAST('NaN' AS DOUBLE) AS nan, CAST(NULL AS STRING) AS nothing
    FROM range(1, 3)
"""
FAR = "date'+10000-01-01' AS far, timestamp'0001-01-01 00:00:00' AS early"


def test_a_table_of_any_types_to_any_format(
    engine: Any,
    spark: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = spark.sql(NESTED)
    rows.write.format("delta").save(str(tmp_path / "t"))
    noon = dt.datetime(2026, 11, 20, 12, 30, tzinfo=dt.UTC)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Kolkata")  # of this process, not of the values
        time.tzset()
        answer = engine.answer(str(tmp_path / "t"), Question(order_by=["id"])).read_all()
        first = answer.to_pylist()[0]
    time.tzset()
    assert first["s"] == {"a": [noon, None], "c": 1}
    assert first["m"] == [("k", noon)]
    assert (first["at"], first["ntz"]) == (
        noon.replace(microsecond=500_000),
        noon.replace(tzinfo=None),
    )
    for ending in ENDINGS:
        file = tmp_path / f"out{ending}"
        assert save(answer.to_reader(), str(file)) == 2
    assert pq.read_table(tmp_path / "out.parquet").to_pylist()[0]["l"] == ["1", None]
    with (tmp_path / "out.csv").open(newline="") as csv_file:
        line = next(csv.DictReader(csv_file))
    assert json.loads(line["l"]) == ["1", None]
    assert json.loads(line["m"]) == {"k": "2026-11-20T12:30:00+00:00"}
    assert json.loads(line["s"]) == {"a": ["2026-11-20T12:30:00+00:00", None], "c": 1}
    assert (line["b"], line["price"], line["nothing"]) == ("AP8=", "1.50", "")
    line = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])
    assert (line["l"], line["price"], line["nan"], line["t"]) == (["1", None], "1.50", "nan", False)
    assert show(answer.to_reader()) == 2
    assert "2026-11-20 12:30:00.500000Z" in capsys.readouterr().out


def test_days_that_python_has_not(spark: Any, tmp_path: Path) -> None:
    spark.sql(f"SELECT {FAR}").write.format("delta").save(str(tmp_path / "t"))
    for engine in (SparkSQL(spark), DuckDB()):
        answer = engine.answer(str(tmp_path / "t"), Question()).read_all()
        assert answer["far"].cast(pa.int32()).to_pylist() == [2932897]
        assert show(answer.to_reader()) == 1
        for ending in ENDINGS:
            assert save(answer.to_reader(), str(tmp_path / f"out{ending}")) == 1
        assert "10000-01-01" in (tmp_path / "out.csv").read_text()
        assert "10000-01-01" in (tmp_path / "out.jsonl").read_text()


@pytest.mark.parametrize(
    ("tests", "ids"),
    [
        (["p>0.25"], [1, 3]),
        (["p >= 0.25", "p<1"], [1, 2]),
        (["id!=2"], [1, 3]),
        (["day>2026-11-20"], [3]),
        (["day<=2026-11-20", "id<2"], [1]),
        ([f"{ODD}>b"], [2]),
        (["id=1", "id=2"], []),
        (["id<10"], [1, 2, 3]),  # as numbers, not as texts
    ],
)
def test_comparisons(engine: Any, table: str, tests: list[str], ids: list[int]) -> None:
    asked = Question(order_by=["id"], tests=[Compared.read(text) for text in tests])
    assert engine.answer(table, asked).read_all()["id"].to_pylist() == ids


def test_a_value_of_another_type_is_refused(engine: Any, table: str) -> None:
    for text in ("id>many", "day=soon", "p=1,5"):
        with pytest.raises(ConfigError, match="the value is not|does not run"):
            engine.answer(table, Question(tests=[Compared.read(text)]))


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
    with pytest.raises(ConfigError, match=r"\.csv, \.jsonl, \.parquet"):
        save(engine.answer(table, question), str(tmp_path / "out.xls"))
    twice = Question(sql="SELECT id AS a, p AS a FROM scored ORDER BY id")
    answer = engine.answer(table, twice).read_all()
    assert (answer.column(0).to_pylist()[0], answer.column(1).to_pylist()[0]) == (1, 0.5)
    if len(set(answer.column_names)) == 1:  # DuckDB gives the second another name
        with pytest.raises(ConfigError, match="two columns are named a"):
            save(answer.to_reader(), str(tmp_path / "twice.parquet"))
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
    assert main("query", [*flags, "--conf", "nothing=1"]) == 2
    assert "--conf nothing: is not spark.NAME=VALUE" in capsys.readouterr().err
    assert main("query", [*flags, "--where", "idd=2"]) == 2
    assert "no column 'idd' in the table (did you mean id?); there are: id, p" in (
        capsys.readouterr().err
    )
    assert main("query", []) == 2
    assert main("query", ["--table", str(tmp_path / "none"), "--engine", "duckdb"]) == 75
    capsys.readouterr()
    # As people type them.
    assert main("query", [*flags, "--order-by", "-p", "--columns", "p", "--where", "p > 0.3"]) == 0
    assert capsys.readouterr().out.split() == ["p", "1.0", "0.5"]
    assert main("query", [*flags, "--sql", "SELECT CAST('x' AS INT) AS x FROM scored"]) == 2
    assert "the query does not run" in capsys.readouterr().err


def test_long_columns_are_named_and_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = pa.table({"id": [1, None], "model_digest": ["d" * 64] * 2, "run_id": ["r" * 32] * 2})
    write_deltalake(tmp_path / "t", rows)
    flags = ["--table", str(tmp_path / "t"), "--engine", "duckdb"]
    assert main("query", flags) == 0
    said = capsys.readouterr()
    assert said.out.split() == ["id", "1", "None"]
    assert "not shown: model_digest, run_id" in said.err
    assert main("query", [*flags, "--columns", "run_id"]) == 0
    assert "r" * 32 in capsys.readouterr().out


def test_text_that_is_not_utf8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a raw row in quarantine may be."""
    text = pa.array([b"\xe9t\xe9", b"\xc3\xa9t\xc3\xa9"]).view(pa.string())
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), text)
    rows = pa.table({"raw": text, "l": lists})
    assert show(rows.to_reader()) == 2
    shown = capsys.readouterr().out
    assert r"\xe9t\xe9" in shown
    assert "été" in shown
    for ending in ENDINGS:
        assert save(rows.to_reader(), str(tmp_path / f"out{ending}")) == 2
    assert b"\xe9t\xe9" in (tmp_path / "out.csv").read_bytes()


def test_a_file_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"a": [1]})
        raise ValueError("lost")

    for ending in ENDINGS:
        answer = pa.RecordBatchReader.from_batches(pa.schema({"a": pa.int64()}), batches())
        with pytest.raises(ValueError, match="lost"):
            save(answer, str(tmp_path / f"out{ending}"))
    assert list(tmp_path.iterdir()) == []


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


def test_spark_is_opened_by_the_configuration_and_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[dict[str, str], bool]] = []

    def opened(app: str, conf: dict[str, str], say: bool, stores: bool) -> None:
        asked.append((conf, stores))
        raise SourceMissing("enough")

    monkeypatch.setattr("tfspark.session.open_session", opened)
    file = tmp_path / "c.yaml"
    file.write_text("name: x\nspark: {spark.a: '1', spark.b: '1'}\n")
    for table in ("s3a://b/t", "t"):
        flags = ["--config", str(file), "--table", table, "--conf", "spark.b=2"]
        assert main("query", flags) == 75
    settings = {"spark.a": "1", "spark.b": "2"}
    assert asked == [(settings, True), (settings, False)]
