"""The scoring job in Scala and `jobs/score.py`: the same settings, tables, messages, exit codes."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import saved_models as models
from tests.conftest import ROOT
from tests.interop.jobs import Ended, Jobs, build, jobs, submitted
from tests.mlflow_server import mlflow_server
from tests.old import cases as old
from tests.passengers import content, copy_of, flags
from tests.spec.test_settings import told
from tests.test_bad_inputs import CASES, LINES, Case, World
from tfspark.cli import main
from tfspark.errors import ModelNotFound
from tfspark.registry.manifest import MANIFEST, write_manifest
from tfspark.registry.download import download
from tfspark.registry.tracking import COMPLETE, SHA256, Store
from tfspark.tables import read_table

pytestmark = pytest.mark.timeout(1500)

OWN = ["run_id", "scored_at"]
# The words that differ are of the system, or of the library that parses: code and kind are equal.
OTHER_WORDS = {"the output is a file", "unknown plan", "not a Parquet file"}
SETTINGS = yaml.safe_load((ROOT / "spec" / "settings.yaml").read_text("utf-8"))["cases"]


@pytest.fixture(scope="module")
def jars(scala: Any) -> list[str]:
    return build()


@pytest.fixture(scope="module")
def jvm(jars: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    with jobs(jars, tmp_path_factory.mktemp("jvm")) as running:
        yield running


@pytest.fixture(scope="module")
def warehouse(passengers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of(passengers, tmp_path_factory.mktemp("jvm") / "warehouse")


@pytest.fixture(scope="module")
def picky(tmp_path_factory: pytest.TempPathFactory) -> str:
    return models.picky(tmp_path_factory.mktemp("models") / "picky" / "7")


@pytest.fixture(scope="module")
def registered(picky: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """With a manifest, as every version has that tfspark registers."""
    folder = shutil.copytree(picky, tmp_path_factory.mktemp("registered") / "picky")
    write_manifest(str(folder), {})
    return str(folder)


def by_python(
    arguments: list[str],
    environment: dict[str, str],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Ended:
    capfd.readouterr()
    with monkeypatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        code = main("score", arguments)
    said = capfd.readouterr()
    return Ended(code, said.out, said.err)


def rows(spark: Any, table: Path, without: list[str]) -> list[str]:
    return sorted(str(row) for row in read_table(spark, str(table)).drop(*without).collect())


@pytest.mark.parametrize(
    "case", [case for case in SETTINGS if "day" not in case], ids=lambda case: str(case)[:80]
)
def test_settings(
    case: dict[str, Any],
    jvm: Jobs,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given, environment = told(case, tmp_path), case.get("environment", {})
    python = by_python(given, environment, capfd, monkeypatch)
    scala = jvm.run(given, environment)
    assert scala.code == python.code, scala.err
    assert scala.out == python.out
    if python.code:
        assert scala.message == python.message


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.job == "score"], ids=lambda case: case.name
)
def test_bad_input(
    case: Case,
    jvm: Jobs,
    warehouse: Path,
    spark: Any,
    tmp_path: Path,
    refused: dict[str, tuple[int, str]],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(warehouse, tmp_path, spark)
    backup = tmp_path / "backup"
    shutil.copytree(warehouse, backup, ignore=shutil.ignore_patterns("mlflow*"))
    before = content(warehouse / "scored")
    try:
        given = flags(warehouse, **case.given(world))
        if case.name not in refused:  # it is, where all tests run
            python = by_python(given, case.environment, capfd, monkeypatch)
            refused[case.name] = python.code, world.anywhere(python.message)
        scala = jvm.run(given, case.environment)
        code, said = refused[case.name]
        message = world.anywhere(scala.message)
        assert (scala.code, code) == (case.code, case.code), scala.err
        if case.name in OTHER_WORDS:
            assert re.search(case.says, scala.message, re.S), scala.message
            assert message.split(": ")[:2] == said.split(": ")[:2]
        else:
            assert message == said
        assert content(warehouse / "scored") == before
        assert not [p for p in warehouse.rglob("_staging/*") if p.is_dir()]
    finally:
        for folder in backup.iterdir():
            shutil.rmtree(warehouse / folder.name)
            shutil.move(folder, warehouse / folder.name)
        # A log that goes back is nothing that Delta's cache knows.
        spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()


def test_passengers(jvm: Jobs, warehouse: Path, spark: Any) -> None:
    target = warehouse / "other" / "passengers"
    for _ in range(2):  # twice is the same
        ended = jvm.run(flags(warehouse, output=target))
        assert ended.code == 0, ended.err
        assert "plan reason      tasks write the table's files" in ended.out
        assert rows(spark, target, OWN) == rows(spark, warehouse / "scored" / "passengers", OWN)
    run_id = re.findall(r"^  run id +(\w+)$", ended.out, re.M)[0]
    history = spark.sql(f"DESCRIBE HISTORY delta.`{target}`").orderBy("version").collect()
    assert [row["version"] for row in history] == [0, 1]
    assert history[1]["userMetadata"] == run_id
    there = read_table(spark, str(target))
    assert {row["run_id"] for row in there.collect()} == {run_id}
    ours = read_table(spark, str(warehouse / "scored" / "passengers")).schema
    assert there.schema == ours
    # Another day does not touch this one.
    assert jvm.run(flags(warehouse, output=target, date="2026-11-21")).code == 0
    counts = {
        str(r["day"]): r["count"]
        for r in read_table(spark, str(target)).groupBy("day").count().collect()
    }
    assert counts == {"2026-11-20": 712, "2026-11-21": 712}
    assert {
        r["run_id"] for r in read_table(spark, str(target)).where("day = '2026-11-20'").collect()
    } == {run_id}
    # A day of the JVM's is replaced by Python, and the other way round.
    assert main("score", flags(warehouse, output=target)) == 0
    assert jvm.run(flags(warehouse, output=target)).code == 0
    assert read_table(spark, str(target)).count() == 1424


def test_another_signature(
    jvm: Jobs,
    spark: Any,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a model of TensorFlow 1; one that is not there is refused with those there are."""
    table = str(tmp_path / "rows")
    old.rows(spark).write.parquet(table)
    asked = ["--input", table, "--model", str(ROOT / "tests/old/estimator"), "--keep", "id"]
    asked += ["--date", "2026-11-20", "--score.inputs", "{inputs: example}", "--plan", "jvm"]

    def both(signature: str) -> list[Ended]:
        given = [*asked, "--signature", signature, "--output"]
        python = by_python([*given, str(tmp_path / "python")], {}, capfd, monkeypatch)
        return [python, jvm.run([*given, str(tmp_path / "jvm")])]

    assert [ended.code for ended in both("regress")] == [0, 0]
    made = [rows(spark, tmp_path / side, OWN) for side in ("python", "jvm")]
    assert made[0] == made[1]
    assert len(made[0]) == len(old.AGES)
    assert "outputs=" in made[0][0]
    refused = both("other")
    assert [ended.code for ended in refused] == [2, 2]
    assert refused[0].message == refused[1].message
    assert "(there are: predict, regress, serving_default)" in refused[0].message


def test_a_model_of_a_server(jvm: Jobs, registered: str, spark: Any, tmp_path: Path) -> None:
    """An MLflow server that keeps the files itself: found by alias and by number, over http."""
    table, target = str(tmp_path / "rows"), str(tmp_path / "scored")
    spark.range(10).selectExpr("id", "float(id) AS x").write.parquet(table)
    with mlflow_server(tmp_path) as where:
        store = Store(where, "served")
        for key in ("one", "two"):
            run_id = store.start_run(key, None, key, {})
            number = store.new_version(run_id, key)
            store.upload(run_id, registered)
            if key == "one":
                store.set_alias("champion", number)
                store.tag(number, COMPLETE, "true")
        asked = {
            "models:/served@champion": 0,
            "models:/served/1": 0,
            "models:/served/2": 2,  # not finished
            "models:/served@nobody": 2,
            "models:/other/1": 2,
        }
        for model, code in asked.items():
            given = ["--input", table, "--model", model, "--output", target]
            given += ["--date", "2026-11-20", "--registry.tracking_uri", where]
            ended = jvm.run(given)
            assert ended.code == code, ended.err
            if code:
                with pytest.raises(ModelNotFound) as caught:
                    download(model, where)
                assert ended.message == f"score: ModelNotFound: {caught.value}"
        given = ["--input", table, "--model", "models:/served/1", "--output", target]
        given += ["--date", "2026-11-20", "--registry.tracking_uri", where]
        right = hashlib.sha256(Path(registered, MANIFEST).read_bytes()).hexdigest()
        for sha256, code in (("0" * 64, 6), (right, 0)):
            store.tag(1, SHA256, sha256)
            ended = jvm.run(given)
            assert ended.code == code, ended.err
            assert ("is not the one that was registered" in ended.err) == bool(code)
    found = read_table(spark, target)
    assert found.count() == 10
    assert {tuple(r) for r in found.select("model_name", "model_version").collect()} == {
        ("served", "1")
    }


def test_an_alias_that_another_client_moved(
    jvm: Jobs, registered: str, spark: Any, tmp_path: Path
) -> None:
    """The job reads the index of a SQLite store; one that is behind is refused, not followed."""
    from mlflow import MlflowClient

    table, target = str(tmp_path / "rows"), str(tmp_path / "scored")
    spark.range(10).selectExpr("id", "float(id) AS x").write.parquet(table)
    where = f"sqlite:///{tmp_path}/mlflow.db"
    store = Store(where, "indexed")
    run_id = store.start_run("indexed", f"file://{tmp_path}/artifacts", "key", {})
    store.upload(run_id, registered)
    for _ in range(2):
        store.tag(store.new_version(run_id, "key"), COMPLETE, "true")
    store.set_alias("champion", 1)
    given = ["--input", table, "--model", "models:/indexed@champion", "--output", target]
    given += ["--date", "2026-11-20", "--registry.tracking_uri", where]

    def version() -> str:
        ended = jvm.run(given)
        assert ended.code == 0, ended.err
        (row,) = read_table(spark, target).select("model_version").distinct().collect()
        return str(row[0])

    assert version() == "1"
    MlflowClient(where, where).set_registered_model_alias("indexed", "champion", "2")
    ended = jvm.run(given)
    assert ended.code == 6, ended.err
    assert ended.message.startswith(f"score: StorageError: MLflow at {where}: its index ")
    assert f"run `python -m tfspark registry {where}`" in ended.message
    assert main("registry", [where]) == 0
    assert version() == "2"


def test_the_rows_of_a_contract(jvm: Jobs, warehouse: Path, spark: Any, tmp_path: Path) -> None:
    """Every check: the same rows in the table, the same reasons and texts in the quarantine."""
    odd = [
        '9001,0,3,"Doe, Mr. J",male,-1,0,0,t,1,,S',
        '9002,0,9,"",other,NaN,x,0,t,inf,a-b,',
        ',0,1,"Doe, Mr. J",male,1d,0,0,t,1e400,C1,C',
        "9003,0,1",
        '9004,0,1,"Doe \ufffd",female,121,21,0,,-0.5,C,Q,more',
        '9005,0,1,"Doe \ufffd",female,,1,0,t,,C,Q',
        '9006,0,1,"Doe ""x""",female,,1,0,t,,C,Q',
        "9006,0,1,Doe,male,,1,0,t,,C,Q",
    ]
    raw = tmp_path / "raw.csv"
    fine = '9007,0,1,"Doe \ufffd",female,,1,0,t,,C,Q'.encode()
    text = "\n".join([*LINES, *odd]).encode().replace("\ufffd".encode(), b"\xff")
    raw.write_bytes(text + b"\n" + fine + b"\n")
    found = {}
    for side in ("python", "jvm"):
        more = {"source.path": raw, "output": tmp_path / side, "name": side}
        given = flags(warehouse, **more)
        assert (main("score", given) if side == "python" else jvm.run(given).code) == 0
        quarantined = read_table(spark, str(warehouse / "quarantine"))
        bad = quarantined.where(
            f"run_id IN (SELECT DISTINCT run_id FROM delta.`{tmp_path / side}`)"
        )
        found[side] = (
            rows(spark, tmp_path / side, OWN),
            sorted(str(r) for r in bad.drop("run_id", "quarantined_at").collect()),
        )
    assert found["jvm"] == found["python"]
    assert len(found["jvm"][1]) == len(odd)


@pytest.mark.parametrize("name", ["id", "the id"])
def test_poison_and_null(name: str, jvm: Jobs, spark: Any, picky: str, tmp_path: Path) -> None:
    """`the id` is a name that Parquet cannot hold: Spark writes that table."""
    table = [(i, float(i * i)) for i in range(400)] + [(400, -1.0), (401, -2.0), (402, None)]
    frame = spark.createDataFrame(table, f"`{name}` bigint, x float")
    if name == "id":
        frame.write.parquet(str(tmp_path / "rows"))
    else:
        frame.write.format("delta").option("delta.columnMapping.mode", "name").save(
            str(tmp_path / "rows")
        )
    found = {}
    for side in ("python", "jvm"):
        given = ["--input", str(tmp_path / "rows"), "--model", picky, "--keep", name]
        given += ["--output", str(tmp_path / side), "--date", "2026-11-20"]
        if side == "python":
            assert main("score", given) == 0
        else:
            ended = jvm.run(given)
            assert ended.code == 0, ended.err
            assert ("Spark writes: " in ended.out) == (name != "id")
        found[side] = (
            rows(spark, tmp_path / side, OWN),
            rows(spark, tmp_path / f"{side}_quarantine", ["run_id", "quarantined_at"]),
        )
    assert found["jvm"] == found["python"]
    assert (len(found["jvm"][0]), len(found["jvm"][1])) == (401, 2)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--plan", "arrow"], "plan 'arrow': is Python's"),
        (["--model", "{a: x, b: y}"], "several models in one pass are scored by Python"),
        (["--registry.tracking_uri", "databricks"], "reads registries over http"),
    ],
)
def test_what_is_left_to_python(given: list[str], says: str, jvm: Jobs, warehouse: Path) -> None:
    ended = jvm.run([*flags(warehouse), *given])
    assert ended.code == 2
    assert ended.message.startswith("score: ConfigError: ")
    assert says in ended.message


@pytest.mark.usefixtures("kill")
def test_submitted_killed_and_submitted_again(
    jars: list[str], jvm: Jobs, warehouse: Path, spark: Any, tmp_path: Path
) -> None:
    """spark-submit's exit codes; a kill leaves the table as it was, the next run clears up."""
    target = tmp_path / "out" / "t"
    environment = os.environ | {"TFSPARK_LOG": "json"}

    def submit(**more: Any) -> subprocess.CompletedProcess[str]:
        command = submitted(jars, flags(warehouse, output=target, **more))
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )

    # Of one that is submitted the code is 0: see test_docs.py.
    done = jvm.run(flags(warehouse, output=target))
    assert done.code == 0, done.err
    assert re.search(r"^  scored +712$", done.out, re.M)
    before = rows(spark, target, [])
    assert rows(spark, target, OWN) == rows(spark, warehouse / "scored" / "passengers", OWN)

    command = submitted(jars, flags(warehouse, output=target))
    killed = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert killed.stderr
    for line in killed.stderr:
        if '"event":"start","step":"quarantine"' in line:
            break
    else:
        pytest.fail("the job ended before it was killed")
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    killed.stderr.close()
    assert rows(spark, target, []) == before
    assert len(list(target.glob("day=*/*.parquet"))) == 2
    assert len(list((tmp_path / "out" / "_staging").iterdir())) == 1

    late = submit(source__path=tmp_path / "{date}.csv")
    assert late.returncode == 75, late.stderr[-3000:]
    assert "score: SourceMissing: " in late.stderr
    # The run that came to nothing has removed what the killed one left.
    assert rows(spark, target, []) == before
    assert len(list(target.glob("day=*/*.parquet"))) == 1
    assert not list((tmp_path / "out" / "_staging").iterdir())
