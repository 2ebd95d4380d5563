"""What a model version was trained on, in counts: made once a version, then read from a file.

<warehouse>/watch/<name>-<version>-<digest>.json
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tfspark import storage
from tfspark.config import Settings
from tfspark.dataset import Dataset, open_dataset
from tfspark.errors import ConfigError, IntegrityError, TfsparkError
from tfspark.registry.resolve import ModelFolder, resolve_model
from tfspark.training.readers.open import open_source
from tfspark.training.readers.source import Block, arrow_schema, read_whole
from tfspark.watch.bins import by_statistics, of_classes, of_scores, watched
from tfspark.watch.counted import Counted, Counts, added, count_batches

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FORMAT = 1
_MOST_SCORED = 500_000  # rows of the validation split whose scores are taken


@dataclass(frozen=True)
class Reference:
    """What a day is compared with.

    Attributes:
        columns: that the model is fed, with the counts of the training split.
        scores: of the model's first output, with the counts of the validation split; None: there
            are none, and `no_scores` says why.
        bad, rows: rows that prepare refused, and all that it read.
    """

    columns: tuple[Counted, ...]
    scores: Counted | None
    no_scores: str
    bad: int
    rows: int

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "columns": [one.to_json() for one in self.columns],
            "scores": self.scores and self.scores.to_json(),
            "no_scores": self.no_scores,
            "bad": self.bad,
            "rows": self.rows,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Reference:
        columns = tuple(Counted.from_json(one) for one in value["columns"])
        scores = value["scores"] and Counted.from_json(value["scores"])
        return cls(columns, scores, value["no_scores"], value["bad"], value["rows"])


def resolved(settings: Settings, named: ModelFolder | str) -> ModelFolder:
    """A model that is named by its folder or an MLflow URI, or has been resolved."""
    return resolve_model(named, settings.tracking_uri) if isinstance(named, str) else named


def place(settings: Settings, model: ModelFolder) -> str:
    """The file of a version's reference."""
    name = f"{model.name}-{model.version}-{model.digest[:12]}.json"
    return storage.join(settings.warehouse, "watch", name)


def reference(spark: SparkSession, settings: Settings, model: ModelFolder) -> Reference:
    """The reference of a model version, made if nobody has made it yet.

    Raises:
        ConfigError: the model says no dataset, or that is not there.
        IntegrityError: the dataset is not the one it was trained on, or cannot be read.
    """
    path = place(settings, model)
    if storage.exists(path):
        found = storage.read_json(path)
        if isinstance(found, dict) and found.get("format") == FORMAT:
            return Reference.from_json(found)
    dataset = _dataset(settings, model)
    told, open_ones = by_statistics(
        watched(dataset.contract, model.signature.inputs),
        dataset.statistics,
        dataset.manifest.get("narrow") or {},
    )
    counted = _counted(spark, dataset, open_ones)
    made = [replace(one, reference=tuple(counted[one.name].tolist())) for one in open_ones]
    by_name = {one.name: one for one in [*told, *made]}
    columns = tuple(by_name[c.name] for c in dataset.contract.columns if c.name in by_name)
    bad = int(dataset.manifest.get("quarantined", 0))
    scores, why = None, ""
    try:
        scores = _scores(spark, settings, dataset, model)
    except TfsparkError as error:
        why = str(error)
    rows = bad + sum(dataset.manifest["rows"].values())
    result = Reference(columns, scores, why, bad, rows)
    if not why:  # what failed is tried again
        storage.write_json(path, result.to_json())
    return result


def _dataset(settings: Settings, model: ModelFolder) -> Dataset:
    """The dataset that a model says it was trained on."""
    said = (model.manifest or {}).get("dataset")
    if not isinstance(said, dict):
        raise ConfigError(
            f"model {model.path}: its manifest names no dataset, so there is nothing to compare "
            "a day with"
        )
    path = storage.join(settings.warehouse, "datasets", str(said["name"]), str(said["version"]))
    dataset = open_dataset(path)
    if dataset.digest != said.get("digest"):
        raise IntegrityError(f"dataset {path}: is not the one that model {model.path} was made of")
    return dataset


def _counted(spark: SparkSession, dataset: Dataset, columns: Sequence[Counted]) -> Counts:
    """The counts of the training split, for columns whose statistics do not tell them."""
    if not columns:
        return {}
    source = open_source(dataset, "train")
    blocks = source.blocks
    source.close()
    schema = arrow_schema(dataset.contract, [one.name for one in columns])

    def run(inside: Iterable[Block]) -> Iterator[Counts]:
        source = open_source(dataset, "train")
        tables = (read_whole(source, block, schema) for block in inside)
        yield count_batches(columns, (batch for table in tables for batch in table.to_batches()))
        source.close()

    sent = spark.sparkContext.parallelize(blocks, min(max(1, len(blocks)), 64))
    return added(sent.mapPartitions(run).collect())


def _scores(
    spark: SparkSession, settings: Settings, dataset: Dataset, model: ModelFolder
) -> Counted:
    """How the model scores the validation split, which it was not fitted to."""
    from tfspark.scoring import score

    schema = arrow_schema(dataset.contract, [c.name for c in dataset.contract.columns])
    source, tables, rows = open_source(dataset, "validation"), [], 0
    for block in source.blocks:
        tables.append(read_whole(source, block, schema))
        rows += block.rows
        if rows >= _MOST_SCORED:
            break
    source.close()
    if not rows:
        raise ConfigError(f"dataset {dataset.path}: its validation split has no rows")
    frame = spark.createDataFrame(pa.concat_tables(tables))
    asked = settings.score
    given: dict[str, Any] = dict(asked.inputs)
    given |= {name: {"constant": value} for name, value in asked.constants.items()}
    output = next(iter(model.signature.outputs))
    scored = score(frame, model.path, given or None, [], on_bad_row="null")
    column = scored.select(scored[output]).toArrow().column(0).combine_chunks().drop_null()
    if pa.types.is_list(column.type):
        values = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1)
        if values.shape[1] > 1:
            return of_classes(output, values.argmax(1), values.shape[1])
        column = column.flatten()
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise ConfigError(f"model {model.path}: its output {output} is no number")
    numbers = column.to_numpy(zero_copy_only=False)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        raise ConfigError(f"model {model.path}: no row of the validation split has a score")
    return of_scores(output, numbers)
