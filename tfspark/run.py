"""What each job calls: from settings to the library's one function and its summary."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tfspark import clusters, places
from tfspark.config import Settings, Source, require_date
from tfspark.config.settings import Score, Stream
from tfspark.console import Steps
from tfspark.errors import ConfigError
from tfspark.session import Tasks, open_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tfspark.contracts.contract import Quarantine
    from tfspark.scoring.kinds.share import Share
    from tfspark.scoring.worker.sink import Counter


def prepare(
    settings: Settings, steps: Steps, before_commit: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Raw table → dataset.

    Args:
        before_commit: see `tfspark.prepare.prepare`.
    """
    from tfspark.prepare import prepare as run

    require_date(settings)
    return run(_session("prepare", settings, steps), settings, steps, before_commit)


def train(settings: Settings, steps: Steps) -> dict[str, Any]:
    """Dataset → model version."""
    from tfspark.training.train import train as run

    return run(settings, steps, lambda: _session("train", settings, steps))


def tune(settings: Settings, steps: Steps) -> dict[str, Any]:
    """Dataset → the best recipe of `tune.space`."""
    from tfspark.tuning import tune as run

    return run(settings, steps, lambda: _session("tune", settings, steps))


def score(
    settings: Settings,
    steps: Steps,
    before_commit: Callable[[], None] | None = None,
    counter: Counter | None = None,
    canary: Share | None = None,
    quarantine: str | None = None,
) -> dict[str, Any]:
    """Table and model → one day of the scored table.

    Without `score.input` the configuration's own source is scored, checked by its contract.

    Args:
        before_commit, counter: see `score_table`.
        canary: scores in place of the model that the settings name.
        quarantine: the table of bad rows; default: the warehouse's.
    """
    from tfspark.contracts import load_contract
    from tfspark.scoring import score_table
    from tfspark.scoring.kinds.resolve import from_settings
    from tfspark.scoring.table.source import in_place_of
    from tfspark.scoring.table.target import refuse_lost

    day, asked = require_date(settings), settings.score
    source = in_place_of(settings.source, asked.input) if asked.input else settings.source
    if source == Source():
        raise ConfigError("score: no table: give --input TABLE, or a source with --config FILE")
    if not asked.model and not settings.name:
        raise ConfigError("score: no model: give --model FOLDER or models:/name@alias")
    if not asked.output and not settings.name:
        raise ConfigError("score: no output: give --output TABLE")
    contract = load_contract(settings.contract) if settings.contract else None
    model = canary or from_settings(
        asked.model or f"models:/{settings.name}@champion",
        asked.segment_column,
        asked.segment_default,
    )
    spark = _session("score", settings, steps)
    refuse_lost(spark, settings.scored)
    _in_office(settings, asked.model)
    summary = score_table(
        spark,
        source,
        model,
        settings.scored,
        day,
        inputs=_inputs(asked, _threshold(asked)),
        keep=asked.keep or None,
        plan=asked.plan,
        contract=contract,
        quarantine=quarantine or (settings.quarantine if settings.name else None),
        limit=_limit(asked),
        outputs=_outputs(asked),
        tracking_uri=settings.tracking_uri,
        signature=_signature(asked),
        evolve=asked.evolve,
        steps=steps,
        before_commit=before_commit,
        counter=counter,
    )
    return summary.to_dict()


def stream(settings: Settings, steps: Steps) -> dict[str, Any]:
    """Delta table that grows and model → scored table, each row once."""
    from tfspark import storage
    from tfspark.scoring import score_stream
    from tfspark.scoring.table.target import refuse_lost

    asked = settings.stream
    for what in ("input", "model", "output", "checkpoint"):
        if not getattr(asked, what) and (what == "input" or not settings.name):
            raise ConfigError(f"stream.{what}: is not set; give --{what}")
    spark = _session("stream", settings, steps)
    refuse_lost(spark, asked.output or settings.scored)
    _in_office(settings, asked.model)
    running = score_stream(
        spark,
        asked.input,
        asked.model or f"models:/{settings.name}@champion",
        asked.output or settings.scored,
        asked.checkpoint or storage.join(settings.warehouse, "checkpoints", settings.name),
        _inputs(asked),
        asked.keep or None,
        every=asked.every or None,
        options=asked.options,
        limit=_limit(asked),
        outputs=_outputs(asked),
        tracking_uri=settings.tracking_uri,
        signature=asked.signature or None,
        run_id=steps.run_id,
    )
    with steps.step("stream", rate=True) as info:
        summary = running.wait().to_dict()
        info |= {"batches": summary["batches"], "rows": summary["rows_in"]}
    return summary


def _in_office(settings: Settings, model: str | dict[str, str]) -> None:
    """Have every `models:/NAME@champion` mean the champion of the table of promotions.

    Raises:
        StorageError: the registry's alias says otherwise, and cannot be set.
    """
    from tfspark.champions import repair
    from tfspark.scoring.kinds.resolve import uris

    for uri in uris(model or f"models:/{settings.name}@champion"):
        if found := re.fullmatch(r"models:/([^/@]+)@champion", uri):
            repair(settings, found[1])


def _signature(asked: Score) -> str | None:
    from tfspark.registry.export import CLASSES, CLASSES_AT

    if asked.classes:
        return CLASSES if asked.threshold is None else CLASSES_AT
    return asked.signature or None


def _threshold(asked: Score) -> dict[str, Any]:
    from tfspark.registry.export import THRESHOLD

    return {} if asked.threshold is None else {THRESHOLD: asked.threshold}


def _inputs(asked: Score | Stream, more: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    given = {**asked.constants, **(more or {})}
    constants = {name: {"constant": value} for name, value in given.items()}
    return {**asked.inputs, **constants} or None


def _limit(asked: Score | Stream) -> Quarantine | None:
    from tfspark.contracts.contract import Quarantine

    most = asked.max_bad_rows
    return None if most is None else Quarantine(max_share=None, max_rows=most)


def _outputs(asked: Score | Stream) -> dict[str, Any] | None:
    made: dict[str, Any] = {name: {"name": column} for name, column in asked.outputs.items()}
    for name in asked.binary:
        made.setdefault(name, {})["type"] = "binary"
    return made or None


def _session(job: str, settings: Settings, steps: Steps) -> SparkSession:
    with steps.step("start Spark"):
        app = f"tfspark {job} {settings.name}".strip()
        spark = open_session(app, settings.spark, stores=places.on_s3(settings))
        places.check(spark, settings, job)
    steps.tasks = Tasks(spark)
    if settings.name and job not in ("train", "tune"):  # these look for slots first
        clusters.probe(spark, settings.warehouse)
    return spark
