"""Whether tasks may write a target's own files: Python and the JVM say the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import types as T

from tfspark.dayfiles.target import NotByFiles, check_target

SCHEMA = T.StructType(
    [
        T.StructField("id", T.LongType()),
        T.StructField("y", T.FloatType()),
        T.StructField("day", T.DateType()),
    ]
)
TARGETS = {
    "": "id bigint, y float, day date",
    "the target has y: comment": "id bigint, y float COMMENT 'of the model', day date",
    "the target has delta.appendOnly, delta.constraints.positive, id: comment": (
        "id bigint COMMENT 'a key', y float, day date"
    ),
    "the target has columns that take no null": "id bigint NOT NULL, y float, day date",
}


@pytest.mark.parametrize(("said", "columns"), TARGETS.items())
def test_both_sides_say_the_same(
    spark: SparkSession, tmp_path: Path, said: str, columns: str
) -> None:
    target = str(tmp_path / "target")
    spark.sql(f"CREATE TABLE delta.`{target}` ({columns}) USING delta PARTITIONED BY (day)")
    if "constraints" in said:
        spark.sql(f"ALTER TABLE delta.`{target}` ADD CONSTRAINT positive CHECK (id > 0)")
        spark.sql(f"ALTER TABLE delta.`{target}` SET TBLPROPERTIES (delta.appendOnly = true)")
    assert of_python(target) == of_jvm(spark, target) == said


def of_python(target: str) -> str:
    try:
        check_target(target, SCHEMA)
    except NotByFiles as error:
        return str(error)
    return ""


def of_jvm(spark: SparkSession, target: str) -> str:
    jvm: Any = spark._jvm  # type: ignore[attr-defined]
    schema = jvm.org.apache.spark.sql.types.DataType.fromJson(json.dumps(SCHEMA.jsonValue()))
    session: Any = spark._jsparkSession  # type: ignore[attr-defined]
    why = jvm.tfspark.job.Target.why(session, target, schema)
    return str(why.get()) if why.isDefined() else ""
