"""The jobs of a warehouse that is on a store, as a process of its own: `... jobs WAREHOUSE`."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from tests.conftest import PASSENGERS
from tests.interop.jobs import submitted
from tests.interop.module import classpath, keep_natives
from tests.passengers import DAY, flags
from tests.stores import jars as stored_jars
from tfspark import storage
from tfspark.cli import main
from tfspark.dataset import open_dataset
from tfspark.scoring import score_table
from tfspark.session import spark_session


def jobs(warehouse: str) -> None:
    for job in ("prepare", "train", "score"):
        assert main(job, flags(warehouse, training__epochs=1)) == 0, job
    open_dataset(f"{warehouse}/datasets/passengers/1").verify()
    spark = spark_session("jobs")
    scored = spark.read.format("delta").load(f"{warehouse}/scored/passengers").count()
    assert scored == 712, scored
    assert storage.files(f"{warehouse}/datasets/passengers/_staging") == []
    assert main("query", ["--table", f"{warehouse}/scored/passengers", "--engine", "duckdb"]) == 0


def codes(warehouse: str) -> None:
    """What the jobs end with, on the last line; the same rows another way each time."""
    seed = int(time.time())
    found = [
        main("prepare", flags(warehouse, prepare__split__seed=seed)),
        main("train", flags(warehouse, training__epochs=1, training__seed=seed)),
        main("score", flags(warehouse)),
    ]
    print("\n" + " ".join(map(str, found)))


def no_secret_is_seen(warehouse: str) -> None:
    """On the command line of any process, in any file of the warehouse and of the registry."""
    secret = os.environ.get("AWS_SECRET_ACCESS_KEY", "")
    if not secret:
        return
    forms = [secret.encode(), quote(secret, safe="").encode()]
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            assert not any(form in file.read_bytes() for form in forms), file
    kept = [f"{warehouse}/{name}" for name, _ in storage.files(warehouse)]
    registry = Path(os.environ["XDG_DATA_HOME"])
    kept += [str(file) for file in registry.rglob("*") if file.is_file()]
    assert len(kept) > 20
    for name in kept:
        content = storage.read_bytes(name)
        assert not any(form in content for form in forms), name


def plans(warehouse: str) -> None:
    """Each way to score, twice: into a table that is new, and that is there."""
    spark = spark_session("jobs")
    model = f"{warehouse}/models/passengers/1"
    between = "-" if warehouse.startswith("hdfs") else " "  # see `storage.for_delta`
    table = spark.read.csv(str(PASSENGERS), header=True, inferSchema=True)
    table.write.format("delta").save(f"{warehouse}/raw")
    for plan in ("scan", "arrow", "pandas"):
        for version in range(2):
            target = f"{warehouse}/by{between}{plan}"
            found = score_table(spark, f"{warehouse}/raw", model, target, DAY, plan=plan)
            assert (found.plan, found.scored, found.table_version) == (plan, 712, version), found


def commands(warehouse: str) -> None:
    """What else works with a warehouse."""
    ranks = flags(warehouse, training__epochs=2, distributed__ranks=2)
    assert main("train", ranks) == 0
    columns = flags(warehouse, name="columns", prepare__format="parquet", training__epochs=1)
    assert main("prepare", columns) == 0
    splits = f"{warehouse}/datasets/passengers/1/train"  # TFRecord
    for what in ("head", "count", "schema", "verify"):
        assert main("tfrecord", [what, splits]) == 0, what
    space = "{training.learning_rate: {low: 0.001, high: 0.1, log: true}}"
    assert main("tune", [*columns, "--tune.trials", "2", "--tune.space", space]) == 0
    stream = {"input": "raw", "output": "streamed", "checkpoint": "checkpoint"}
    told = [f"--{name}={warehouse}/{path}" for name, path in stream.items()]
    for _ in range(2):
        model = f"--model={warehouse}/models/passengers/1"
        assert main("stream", [*flags(warehouse), *told, model]) == 0
        assert count(f"{warehouse}/streamed") == 712
    for path in ("datasets/passengers/1", "models/passengers/1", "scored/passengers"):
        assert main("show", [f"{warehouse}/{path}"]) == 0, path
    assert main("nightly", flags(warehouse, date="2026-11-21")) == 0
    assert main("promote", [*flags(warehouse), "2"]) == 0
    assert main("rollback", flags(warehouse)) == 0
    assert main("champions", flags(warehouse)) == 0
    assert main("clean", [*flags(warehouse), "--clean.models", "1", "--yes"]) == 0


def count(table: str) -> int:
    return int(spark_session("jobs").read.format("delta").load(table).count())


def jvm(warehouse: str) -> None:
    """The Scala module: its plan, its job, its TFRecord folders."""
    spark, jars = spark_session("jobs"), classpath().split(":")
    model = f"{warehouse}/models/passengers/1"
    for version in range(2):
        target = f"{warehouse}/by-jvm"
        found = score_table(spark, f"{warehouse}/raw", model, target, DAY, plan="jvm")
        assert (found.plan, found.scored, found.table_version) == ("jvm", 712, version), found
    folder = f"{warehouse}/records"
    rows = spark.read.format("delta").load(f"{warehouse}/raw").select("PassengerId", "Sex")
    for _ in range(2):
        for source in ("tfspark_tfrecord_jvm", "tfrecord"):
            rows.write.format(source).mode("append").partitionBy("Sex").save(folder)
    for source in ("tfspark_tfrecord_jvm", "tfrecord"):
        assert spark.read.format(source).load(folder).count() == 4 * 712, source
    assert main("tfrecord", ["verify", folder]) == 0
    bare = [f"--input={warehouse}/raw", f"--model={model}", f"--output={warehouse}/by-job"]
    conf = spark.sparkContext.getConf().getAll()
    told = [
        f"--conf={k}={v}" for k, v in conf if k.startswith(("spark.hadoop.fs.s3", "spark.delta"))
    ]
    told += ["--driver-class-path", os.pathsep.join(stored_jars("hadoop-aws"))]
    for _ in range(2):
        command = submitted(jars, [*bare, f"--date={DAY}"])
        subprocess.run([command[0], *told, *command[1:]], check=True)
        assert count(f"{warehouse}/by-job") == 712


def no_commit_is_lost(warehouse: str) -> None:
    """Spark's commit is under way when another writer's of the same version comes first."""
    spark = spark_session("jobs")
    jvm = spark._jvm  # type: ignore[attr-defined]
    path = f"{warehouse}/log/_delta_log/00000000000000000001.json"
    pipe = jvm.java.io.PipedInputStream()
    feed = jvm.java.io.PipedOutputStream(pipe)
    conf = spark._jsc.hadoopConfiguration()  # type: ignore[attr-defined]
    store = jvm.tfspark.delta.ConditionalLogStore(conf)
    told: list[str] = []

    def commit() -> None:
        try:
            store.write(
                jvm.org.apache.hadoop.fs.Path(path), jvm.java.util.Scanner(pipe), False, conf
            )
        except Exception as error:
            told.append(str(error))

    slow = threading.Thread(target=commit)
    slow.start()
    time.sleep(2)  # it has looked, and waits for what it is to write
    storage.write_new(path, b"the other's")
    feed.write(b"mine\n")
    feed.close()
    slow.join(60)
    assert told, "it overwrote the other's commit"
    assert "FileAlreadyExistsException" in told[0], told
    assert storage.read_bytes(path) == b"the other's"


if __name__ == "__main__":
    if "codes" in sys.argv:
        codes(sys.argv[1])
        sys.exit()
    if "plans" in sys.argv:
        keep_natives(spark_session("jobs", **{"spark.driver.extraClassPath": classpath()}))
    jobs(sys.argv[1])
    no_secret_is_seen(sys.argv[1])
    if "plans" in sys.argv:
        plans(sys.argv[1])
        jvm(sys.argv[1])
        commands(sys.argv[1])
    if sys.argv[1].startswith("s3"):
        no_commit_is_lost(sys.argv[1])
