"""What the Python side and the JVM both score: models, and tables of several row groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from bench import models as exported
from tests import saved_models as models
from tests.sizes import size

MANY, SOME = size(30_000, soak=1_000_000), 5_000
GROUP, IMAGES, PIXELS = size(5_000, soak=50_000), 250, 32 * 32 * 3
PEOPLE = """
SELECT id,
  IF(id % 10 = 0, NULL, rand(1) * 80) AS age,
  IF(id % 1000 = 5, 1e300D, rand(5) * 100) AS fare,
  IF(id % 7 = 0, NULL, IF(id % 2 = 0, 'male', 'fémale')) AS sex,
  elt(id % 4 + 1, 'S', 'C', 'Q', 'X') AS port,
  IF(id % 1000 = 3, NULL, CAST(id % 9 AS int)) AS siblings,
  IF(id % 1000 = 4, NULL, id % 3 = 0) AS paid
FROM range({rows})
"""
LISTS = f"""
SELECT id,
  array(rand(2), rand(3), rand(4), IF(id % 1000 = 5, 1e300D, rand(5))) AS features,
  elt(id % 4 + 1, 'red', 'green', 'blue', 'pink') AS word,
  sequence(1, id % 3 + 1) AS ids
FROM range({SOME})
"""
# Words that the model knows, others, capitals, commas; sometimes no text at all.
TEXT = f"""
SELECT id, IF(id % 1000 = 0, NULL, array_join(transform(sequence(1, id % 12 + 1), i ->
  concat(IF(i % 3 = 0, 'Word', 'word'), pmod(hash(id, i), {exported.WORDS + 500}),
  IF(i % 5 = 0, ',', ''))), ' ')) AS text
FROM range({MANY})
"""


@dataclass(frozen=True)
class Case:
    """A model and a table.

    Attributes:
        export: makes the model's folder.
        write: makes the table's.
        bad: how many of its rows cannot be scored.
    """

    export: Callable[[Path], object]
    write: Callable[[SparkSession, str], None]
    rows: int
    bad: int


def _sql(query: str) -> Callable[[SparkSession, str], None]:
    def write(spark: SparkSession, folder: str) -> None:
        spark.sql(query).repartition(4, "id").write.parquet(folder)

    return write


def _images(spark: SparkSession, folder: str) -> None:
    """Rows of few images: a row group holds each of its own 250 many times; one is too short."""
    Path(folder).mkdir(parents=True)
    groups = np.split(np.arange(MANY), MANY // GROUP)
    for number, group in enumerate(groups):
        made = np.random.default_rng(number).integers(0, 256, (IMAGES, PIXELS), "uint8")
        distinct = pa.array([made[0].tobytes()[1:], *(image.tobytes() for image in made[1:])])
        pixels = pa.DictionaryArray.from_arrays((group % IMAGES).astype("int32"), distinct)
        table = pa.table({"id": group, "pixels": pixels})
        pq.write_table(table, f"{folder}/{number:02d}.parquet", store_schema=False)


CASES = {
    "mixed": Case(
        lambda to: exported.mixed(str(to)), _sql(PEOPLE.format(rows=MANY)), MANY, MANY * 3 // 1000
    ),
    "image": Case(models.cnn, _images, MANY, MANY // IMAGES),
    "text": Case(lambda to: exported.text(str(to)), _sql(TEXT), MANY, 0),
    "outputs": Case(models.mixed, _sql(PEOPLE.format(rows=SOME)), SOME, 10),
    "mlp": Case(models.mlp, _sql(LISTS), SOME, 5),
    "lookup": Case(lambda to: models.lookup(to, to.with_suffix(".txt")), _sql(LISTS), SOME, 0),
    "tokens": Case(models.tokens, _sql(LISTS), SOME, 0),
}
