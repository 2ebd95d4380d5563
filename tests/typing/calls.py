"""What mypy knows of the calls that the docs show; nothing here runs."""

from __future__ import annotations

from typing import Any, assert_type

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession

import tfspark
from tfspark.config import Settings, Source, load_settings
from tfspark.contracts import Contract, load_contract
from tfspark.dataset import Dataset, find_dataset
from tfspark.errors import ModelFailed, StorageError
from tfspark.registry import write_manifest
from tfspark.scoring import ScoreFunction, ScoreStream, StreamSummary, Summary
from tfspark.tfrecord import (
    Counted,
    Layout,
    Reading,
    Verified,
    Written,
    convert,
    count_records,
    layout_of,
    read_file,
    register,
    verify,
    write_file,
    write_tfrecord,
)


def scoring(df: DataFrame) -> None:
    spark = tfspark.spark_session("app")
    assert_type(spark, SparkSession)
    assert_type(tfspark.score(df, "models/m", keep=["id"]), DataFrame)
    assert_type(tfspark.score(df, {"a": "models/a", "b": "models/b"}), DataFrame)
    segments = tfspark.Segments("country", {"DE": "models/de"}, default="models/rest")
    assert_type(tfspark.score(df, segments, {"x": ["a", "b"]}, plan="jvm"), DataFrame)
    assert_type(tfspark.explain(df, "models/m"), str)
    rank = tfspark.score_udf(spark, "models/m")
    assert_type(rank, ScoreFunction)
    assert_type(rank("age", df["country"]), Column)
    contract = load_contract("schemas/passengers.yaml")
    assert_type(contract, Contract)
    source = Source(path="raw", format="delta")
    summary = tfspark.score_table(spark, source, "m", "scored", "2026-11-20", contract=contract)
    assert_type(summary, Summary)
    assert_type(summary.rows_in, int)
    stream = tfspark.score_stream(spark, "events", "m", "scored", checkpoint="checkpoint")
    assert_type(stream, ScoreStream)
    assert_type(stream.wait(), StreamSummary)


def tfrecord(spark: SparkSession, df: DataFrame, table: pa.Table) -> None:
    register(spark)
    write_tfrecord(df, "folder", mode="overwrite", narrow={"price": "float"})
    layout = layout_of(table.schema, narrow={"price": "float"})
    assert_type(layout, Layout)
    assert_type(write_file("part.tfrecord", table.to_batches(), layout), Written)
    assert_type(read_file("part.tfrecord", columns=["id"]), Reading)
    assert_type(count_records("part.tfrecord"), Counted)
    assert_type(convert(spark, "parquet", "records", compression="gzip"), Written)
    assert_type(verify("records"), Verified)
    assert_type(verify("records").named, list[str])


def rest() -> None:
    assert_type(load_settings("conf/passengers.yaml"), Settings)
    dataset = find_dataset("warehouse/datasets/passengers")
    assert_type(dataset, Dataset)
    assert_type(dataset.files("train"), list[str])
    assert_type(write_manifest("models/m", {"name": "m"}), dict[str, Any])
    try:
        pass
    except StorageError as error:
        assert_type(error.exit_code, int)
    caught: type[StorageError] = ModelFailed
    assert_type(caught.exit_code, int)
