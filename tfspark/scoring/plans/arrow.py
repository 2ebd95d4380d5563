"""The plan `arrow`: Spark hands Python processes Arrow arrays, with their types and nulls."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.functions import arrow_udf  # type: ignore[attr-defined]

from tfspark.registry.signature import Signature
from tfspark.scoring.kinds.bound import BoundModel
from tfspark.scoring.plans.columns import spark_type
from tfspark.scoring.plans.plan import (
    ERROR,
    RESULT,
    BySpark,
    ByTasks,
    FilesPlan,
    Results,
    TableFiles,
    TableSource,
    needed,
)
from tfspark.scoring.worker.many import Scores
from tfspark.scoring.worker.sink import FilePart
from tfspark.tables import quote

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


class Arrow(FilesPlan):
    name = "arrow"

    def results(self, df: DataFrame, bound: BoundModel, kept: Sequence[str]) -> Results:
        signature = bound.model.signature
        function = _function(bound.scorer(df.sparkSession), signature)
        scored = df.select(
            *[F.col(quote(name)) for name in kept],
            function(*[F.col(quote(name)) for name in bound.fed]).alias(RESULT),
        )
        return Results.of(scored, signature)

    def for_table(self, source: TableSource) -> ByTasks | BySpark:
        way = super().for_table(source)
        return replace(way, checks=source.checks) if isinstance(way, ByTasks) else way

    def write(self, df: DataFrame, files: TableFiles) -> list[FilePart]:
        task = files.task(df.sparkSession)

        def run(rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            yield pa.RecordBatch.from_pydict({"part": [json.dumps(asdict(task(rows)))]})

        sent: Any = needed(df, files).mapInArrow(run, "part string")
        return [FilePart(**json.loads(row["part"])) for row in sent.collect()]


def _function(scorer: Scores, signature: Signature) -> Callable[..., Column]:
    """An Arrow UDF over columns as they are.

    Returns:
        A function of columns that gives a struct of the outputs by number (`o0`, `o1`...) and
        `error`, null where the row was scored.
    """
    specs = list(signature.outputs.values())
    names = [*(f"o{number}" for number in range(len(specs))), ERROR]

    def score(batches: Iterator[tuple[pa.Array, ...]]) -> Iterator[pa.Array]:
        for batch in batches:
            outputs, errors = scorer(batch if isinstance(batch, tuple) else (batch,))
            yield pa.StructArray.from_arrays([*outputs, errors], names)

    returned = [*(spark_type(spec) for spec in specs), T.StringType()]
    fields = [T.StructField(name, kind) for name, kind in zip(names, returned, strict=True)]
    function: Any = arrow_udf(score, T.StructType(fields))
    # Nondeterministic: Spark would push a filter on a prediction below the projection and score
    # every row twice, once for the filter and once for the result.
    result: Callable[..., Column] = function.asNondeterministic()
    return result
