"""`score_stream`: every row once in the scores or in the quarantine, whatever is killed when."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from pyspark.sql import DataFrame, SparkSession

import tfspark
from tests import saved_models as models
from tests.conftest import ROOT
from tests.scoring.stream_driver import striking
from tests.sizes import size
from tfspark.contracts.contract import Quarantine
from tfspark.errors import ConfigError, ContractViolation, SourceMissing, StorageError
from tfspark.registry.resolve import resolve_model
from tfspark.scoring.stream.job import ScoreStream
from tfspark.scoring.stream.writer import BatchWriter

DRIVER = Path(__file__).parents[1] / "stream_driver.py"


def doubled(folder: Path) -> str:
    """x float32 -> root, which is x + x: it fails for no row."""
    return models.save(
        folder, [tf.TensorSpec([None], tf.float32, name="x")], lambda x: {"root": x + x}
    )


def add(spark: SparkSession, table: Path | str, first: int, rows: int = 20) -> None:
    """One more file: x is the id, or below zero where it ends in 7."""
    x = "float(CASE WHEN id % 10 = 7 THEN -id ELSE id END) AS x"
    df = spark.range(first, first + rows, 1, 1).selectExpr("id", x)
    df.write.format("delta").mode("append").save(str(table))


def read(spark: SparkSession, table: Path | str) -> DataFrame:
    return spark.read.format("delta").load(str(table))


def ids(spark: SparkSession, folder: Path) -> tuple[list[int], list[int]]:
    """Of the scores, and of the bad rows."""
    good = sorted(row["id"] for row in read(spark, folder / "out").collect())
    refused = read(spark, folder / "out_quarantine").collect()
    return good, sorted(json.loads(row["raw"])["id"] for row in refused)


class Ended(Exception):
    """What a kill is to a stream of this process: its batch goes no further."""


def end() -> None:
    raise Ended("ended at its place")


def drive(spark: SparkSession, folder: Path, model: str, place: str) -> dict[str, Any]:
    """Stream until that place, or to the end; in CI one of the places is a real kill."""
    if place in size(("refused", "between", "none"), soak=()):
        appended, taken = striking(place, end)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(BatchWriter, "append", appended)
            patch.setattr(ScoreStream, "_take", taken)
            with (
                nullcontext()
                if place == "none"
                else pytest.raises(StorageError, match="ended at its place")
            ):
                return score(spark, folder, model, options={"maxFilesPerTrigger": "1"}).to_dict()
        return {}
    (folder / "killed").unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(folder), model, place],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        start_new_session=True,  # it kills its group
    )
    if place == "none":
        assert done.returncode == 0, done.stderr[-3000:]
        return dict(json.loads(done.stdout.splitlines()[-1]))
    assert done.returncode == -9, (done.returncode, done.stderr[-3000:])
    assert (folder / "killed").read_text() == place
    return {}


@pytest.mark.usefixtures("kill")
def test_killed_anywhere_it_is_exactly_once(spark: SparkSession, tmp_path: Path) -> None:
    first, second = models.picky(tmp_path / "m" / "1"), doubled(tmp_path / "m" / "2")
    for start in (0, 20, 40):
        add(spark, tmp_path / "in", start)
    drive(spark, tmp_path, first, "refused")
    assert not (tmp_path / "out").exists()
    assert len(read(spark, tmp_path / "out_quarantine").collect()) == 2
    # Another model now: what was begun is ended with the one that it was begun with.
    drive(spark, tmp_path, second, "written")
    bad = [7, 17]
    expected = [i for i in range(20) if i not in bad]
    assert ids(spark, tmp_path) == (expected, bad)
    drive(spark, tmp_path, second, "between")
    assert ids(spark, tmp_path) == (expected, bad)
    summary = drive(spark, tmp_path, second, "none")
    assert (summary["batches"], summary["rows_in"], summary["quarantined"]) == (2, 40, 0)
    assert ids(spark, tmp_path) == ([*expected, *range(20, 60)], bad)
    out = read(spark, tmp_path / "out")
    digests = [resolve_model(model).digest for model in (first, second)]
    found = out.select("batch_id", "model_version", "model_digest").distinct()
    assert sorted(map(tuple, found.collect())) == [
        (0, "1", digests[0]), (1, "2", digests[1]), (2, "2", digests[1]),
    ]  # fmt: skip
    assert {row["root"] for row in out.where("id IN (16, 30)").collect()} == {4.0, 60.0}


def score(
    spark: SparkSession, folder: Path, model: Any, **more: Any
) -> tfspark.scoring.StreamSummary:
    places = [str(folder / name) for name in ("in", "out", "checkpoint")]
    given = {"keep": ["id"], **more}
    source, target, checkpoint = places
    return tfspark.score_stream(spark, source, model, target, checkpoint, **given).wait()


def test_only_new_rows(spark: SparkSession, tmp_path: Path) -> None:
    model = models.picky(tmp_path / "m")
    add(spark, tmp_path / "in", 0)
    summary = score(spark, tmp_path, model)
    assert (summary.batches, summary.rows_in, summary.scored, summary.quarantined) == (1, 20, 18, 2)
    shutil.copytree(tmp_path / "checkpoint", tmp_path / "copy")
    assert read(spark, tmp_path / "out").columns == [
        "id", "root", "model_name", "model_version", "model_digest", "run_id", "batch_id",
        "scored_at",
    ]  # fmt: skip
    refused = read(spark, tmp_path / "out_quarantine").collect()
    assert "negative x" in refused[0]["reasons"][0]
    assert score(spark, tmp_path, model).batches == 0
    for start in (20, 40):
        add(spark, tmp_path / "in", start)
        assert score(spark, tmp_path, model).rows_in == 20
    good, bad = ids(spark, tmp_path)
    assert sorted(good + bad) == list(range(60))
    assert len(bad) == 6

    # Delta would drop the batches of an old checkpoint without a word.
    shutil.rmtree(tmp_path / "checkpoint")
    shutil.copytree(tmp_path / "copy", tmp_path / "checkpoint")
    with pytest.raises(
        StorageError, match="has batch 2 of this stream, .* is at 1: the checkpoint"
    ):
        score(spark, tmp_path, model)
    # And a new one would bring all rows again.
    shutil.rmtree(tmp_path / "checkpoint")
    with pytest.raises(ConfigError, match=r"has rows, and the checkpoint .* is new: all rows"):
        score(spark, tmp_path, model)
    version = {"startingVersion": "2"}
    assert score(spark, tmp_path, model, options=version).rows_in == 20
    with pytest.raises(ConfigError, match="is the checkpoint of another stream"):
        score(spark, tmp_path, model, quarantine=str(tmp_path / "elsewhere"))


def test_too_many_bad_rows(spark: SparkSession, tmp_path: Path) -> None:
    model = models.picky(tmp_path / "m")
    add(spark, tmp_path / "in", 0)
    for _ in range(2):  # the batch comes again; its bad rows do not
        with pytest.raises(ContractViolation, match="2 of 20 rows are bad, at most 0 may be"):
            score(spark, tmp_path, model, limit=Quarantine())
    assert not (tmp_path / "out").exists()
    assert score(spark, tmp_path, model).scored == 18
    assert len(ids(spark, tmp_path)[1]) == 2
    add(spark, tmp_path / "in", 27, 1)  # no row of the batch is good
    for batches in (1, 0):
        assert score(spark, tmp_path, model).batches == batches
    assert len(ids(spark, tmp_path)[1]) == 3


def test_it_can_be_taken_back(spark: SparkSession, tmp_path: Path) -> None:
    module = tf.Module()
    spec = [tf.TensorSpec([None], tf.float32, name="x")]
    module.serve = tf.function(lambda x: {"root": x + x}, spec)
    module.wide = tf.function(lambda x: {"root": x, "more": x}, spec)
    good = str(tmp_path / "m" / "1")
    signatures = {"serving_default": module.serve, "wide": module.wide}
    tf.saved_model.save(module, good, signatures=signatures)
    add(spark, tmp_path / "in", 1, 5)
    assert score(spark, tmp_path, good).scored == 5
    add(spark, tmp_path / "in", 6, 5)

    with pytest.raises(StorageError, match="more: not there in the table, float now.*old columns"):
        score(spark, tmp_path, good, signature="wide")
    limit = Quarantine(max_share=None, max_rows=0)
    picky, hopeless = models.picky(tmp_path / "m" / "3"), models.hopeless(tmp_path / "m" / "4")
    with pytest.raises(ContractViolation, match=r"1 of 5 rows are bad.*Nothing was published"):
        score(spark, tmp_path, picky, limit=limit)
    with pytest.raises(StorageError, match="root: float in the table, not there now"):
        score(spark, tmp_path, hopeless)
    shutil.rmtree(tmp_path / "m" / "3")
    assert not (tmp_path / "out_quarantine").exists()
    summary = score(spark, tmp_path, good)
    assert (summary.batches, summary.scored, summary.quarantined) == (1, 5, 0)
    assert sorted(row["id"] for row in read(spark, tmp_path / "out").collect()) == [*range(1, 11)]

    # The same tables, written otherwise.
    named = [f"file:{tmp_path}/in/", f"{tmp_path}/in/../out", f"{tmp_path}/checkpoint"]
    source, target, checkpoint = named
    again = tfspark.score_stream(spark, source, good, target, checkpoint, keep=["id"])
    assert again.wait().batches == 0
    running = tfspark.score_stream(
        spark, source, good, target, checkpoint, keep=["id"], every="1 hour"
    )
    with pytest.raises(ConfigError, match="another stream is using this checkpoint now"):
        score(spark, tmp_path, good)
    running.stop()
    for every in ("continuous", "1 fortnight", "-5 seconds"):
        with pytest.raises(ConfigError, match=f"every '{every}': is no interval"):
            score(spark, tmp_path, good, every=every)
    for option in ("readChangeFeed", "readchangedata", "ignoreChanges"):
        with pytest.raises(ConfigError, match=f"the option {option} brings rows that were"):
            score(spark, tmp_path, good, options={option: "true"})

    shutil.rmtree(tmp_path / "out")
    for _ in range(2):
        with pytest.raises(StorageError, match="does not have batch 1 of this stream"):
            score(spark, tmp_path, good)
        read(spark, tmp_path / "in").limit(0).selectExpr(
            "id", "x AS root", "'' AS model_name", "'' AS model_version", "'' AS model_digest",
            "'' AS run_id", "id AS batch_id", "current_timestamp() AS scored_at",
        ).write.format("delta").mode("append").save(str(tmp_path / "out"))  # fmt: skip


def test_columns_of_the_source(spark: SparkSession, tmp_path: Path) -> None:
    model = doubled(tmp_path / "m")

    def grow(columns: list[str]) -> None:
        rows = spark.range(2).selectExpr("float(id) AS x", "DATE'2026-11-20' AS day", *columns)
        options = {"mergeSchema": "true"}
        rows.write.format("delta").mode("append").options(**options).save(str(tmp_path / "in"))

    grow([])
    assert score(spark, tmp_path, model, keep=None).scored == 2
    assert {str(row["day"]) for row in read(spark, tmp_path / "out").collect()} == {"2026-11-20"}
    grow(["1 AS later"])
    with pytest.raises(StorageError, match=r"later: not there in the table.*: keep=\['day'\]"):
        score(spark, tmp_path, model, keep=None)
    assert score(spark, tmp_path, model, keep=["day"]).scored == 2


def test_names_of_the_catalog_and_several_models(spark: SparkSession, tmp_path: Path) -> None:
    add(spark, tmp_path / "in", 0)
    for name in ("stream_in", "stream_out", "stream_out_quarantine"):
        spark.sql(f"DROP TABLE IF EXISTS {name}")
    spark.sql(f"CREATE TABLE stream_in USING delta LOCATION '{tmp_path / 'in'}'")
    both = {"now": models.picky(tmp_path / "a"), "next": doubled(tmp_path / "b")}
    stream = tfspark.score_stream(
        spark, "stream_in", both, "stream_out", str(tmp_path / "checkpoint"), keep=["id"]
    )
    assert stream.wait().quarantined == 0
    rows = spark.table("stream_out")
    assert rows.count() == 20
    (seven,) = rows.where("id = 7").collect()
    assert (seven["now_root"], seven["next_root"]) == (None, -14.0)
    assert seven["next_model_digest"] == resolve_model(both["next"]).digest


def test_what_is_refused_before_it_starts(spark: SparkSession, tmp_path: Path) -> None:
    model = models.picky(tmp_path / "m")
    with pytest.raises(SourceMissing, match="is no Delta table"):
        score(spark, tmp_path, model)
    add(spark, tmp_path / "in", 0)
    read(spark, tmp_path / "in").selectExpr("*", "1 AS run_id").write.format("delta").save(
        str(tmp_path / "odd")
    )
    with pytest.raises(ConfigError, match=r"in/x: is what is read \(.*/in\)"):
        tfspark.score_stream(
            spark, str(tmp_path / "in"), model, str(tmp_path / "in" / "x"), str(tmp_path / "c")
        )
    with pytest.raises(ConfigError, match="run_id: the scored table has its own column"):
        tfspark.score_stream(
            spark, str(tmp_path / "odd"), model, str(tmp_path / "out"), str(tmp_path / "c")
        )
    assert not (tmp_path / "c").exists()
