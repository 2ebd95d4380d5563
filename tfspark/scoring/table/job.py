"""`score_table`: one day of a table, scored into a Delta table by one atomic commit.

    pin the source → count it → score every row once into a staging folder → count that →
    quarantine the bad rows → stop if they are too many → replace the day

A run that is killed anywhere leaves the table as it was or with its new day; run again, it gives
what one clean run gives.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tfspark import storage
from tfspark.config import Source
from tfspark.config.day import as_day
from tfspark.console import Shown, Steps, watched
from tfspark.contracts import Contract
from tfspark.contracts.contract import Quarantine
from tfspark.dayfiles.commit import end
from tfspark.scoring.given import check_frame
from tfspark.scoring.kinds.resolve import Models, resolve
from tfspark.scoring.model.binding import Inputs
from tfspark.scoring.model.outputs import Outputs
from tfspark.scoring.plans.registry import named
from tfspark.scoring.table.asked import TableAsked
from tfspark.scoring.table.run import TableRun
from tfspark.scoring.table.source import as_source, staging_place
from tfspark.scoring.table.target import check_places
from tfspark.scoring.worker.sink import Counter
from tfspark.session import Tasks

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True, repr=False)
class Summary(Shown):
    """What one run of `score_table` did; shown as a table.

    `rows_per_second` is of the step that scores; `seconds` are of the whole run.
    """

    rows_in: int
    scored: int
    quarantined: int
    table: str
    table_version: int
    day: str
    model: str
    model_version: str
    model_digest: str
    plan: str
    plan_reason: str
    run_id: str
    seconds: float
    rows_per_second: float

    def to_dict(self) -> dict[str, Any]:
        """Its fields, as jobs print them."""
        return asdict(self)


def score_table(
    spark: SparkSession,
    source: str | Source | DataFrame,
    model: Models,
    target: str,
    day: dt.date | str,
    inputs: Inputs | None = None,
    keep: Sequence[str] | None = None,
    plan: str = "auto",
    *,
    contract: Contract | None = None,
    quarantine: str | None = None,
    limit: Quarantine | None = None,
    counter: Counter | None = None,
    outputs: Outputs | None = None,
    tracking_uri: str | None = None,
    signature: str | None = None,
    evolve: bool = False,
    run_id: str | None = None,
    steps: Steps | None = None,
    before_commit: Callable[[], None] | None = None,
) -> Summary:
    """Score a table and replace one day of a Delta table with the result.

    The target gets the kept columns, a column per output, `model_name`, `model_version`,
    `model_digest`, `run_id`, `scored_at` and `day`, by which it is partitioned. Rows that break
    the contract or that the model cannot score go to the quarantine table with their reasons.

    Args:
        spark: the session that scores.
        source: folder of Parquet or of a Delta table, a table's name, a `Source`, or a DataFrame,
            which is computed once.
        model: the folder of a SavedModel, or an MLflow URI; or several, as for `tfspark.score`:
            then the columns `model_...` are of each, or of the row's segment.
        target: folder or name of the Delta table; made when it is not there.
        day: the day that is replaced; no other day is touched.
        inputs: as for `tfspark.score`.
        keep: columns to keep; None: the keys of the contract or of the model's manifest, else
            what the model does not take, else all.
        plan: as for `tfspark.score`. Tasks write the table's own files, except with `pandas`.
        contract: check the rows against it first; labels and weights need not be there.
        quarantine: the table of bad rows; default: the target's name and `_quarantine`.
        limit: how many bad rows are too many; default: the contract's, else 1 in 100.
        counter: counts columns of the good rows where tasks write the files, as
            `tfspark.watch.Counter` does.
        outputs: as for `tfspark.score`.
        tracking_uri: the MLflow server; default: MLflow's own, else the jobs' in `warehouse`.
        signature: name of the signature; default: the manifest's, else `serving_default`.
        evolve: columns that the target lacks are added to it, and those that the run lacks are
            null in its rows. Without it only columns that were added so may be missing.
        run_id: the run's name in the tables; default: a new one.
        steps: where the log of the steps goes; default: stderr, where a person reads it (a
            terminal, a notebook), else nowhere.
        before_commit: called when all rows are staged and counted, before bad rows are written and
            before each try to commit; what it raises ends the run, and the target is unchanged.

    Raises:
        SourceMissing: the source is not there, or has no rows of the day.
        ContractViolation: more bad rows than the limit, or a source without any row.
        StorageError: a row was lost on the way, the target has other columns, a write failed.
        ConfigError: the target is the source, or lies in or around it; or it holds files of others;
            or as for `tfspark.score`.
        IntegrityError, UnsafeModelError: as for `tfspark.score`.
        In each of these cases the target is unchanged.
    """
    started = time.monotonic()
    plans = named(plan)
    day = as_day(day)
    if not isinstance(source, str | Source):
        check_frame(source, "score_table")
    if steps is None and watched():
        steps = Steps("score_table", run_id)
        steps.tasks = Tasks(spark)
    found = resolve(model, tracking_uri, signature, outputs)
    for tried in plans:
        tried.check(spark, found)
    asked = TableAsked(
        spark,
        as_source(source),
        found,
        target,
        day,
        inputs,
        keep,
        plan,
        contract,
        quarantine or f"{target.rstrip('/')}_quarantine",
        limit or (contract.table.quarantine if contract else Quarantine()),
        counter,
        run_id or (steps.run_id if steps else uuid.uuid4().hex),
        steps,
        evolve,
        before_commit,
    )
    return _run(asked, started)


def _run(asked: TableAsked, started: float) -> Summary:
    check_places(asked)
    run, model = TableRun(asked), asked.model
    staging = storage.new_staging(*staging_place(asked.spark, asked.target), remove=end)
    try:
        run.stage(staging)
        run.quarantine()
        version = run.commit()
    finally:
        end(staging)
    seconds = time.monotonic() - started
    return Summary(
        rows_in=run.rows,
        scored=run.rows - run.bad,
        quarantined=run.bad,
        table=asked.target,
        table_version=version,
        day=asked.day.isoformat(),
        model=model.name,
        model_version=model.version,
        model_digest=model.digest,
        plan=run.plan,
        plan_reason=run.why,
        run_id=asked.run_id,
        seconds=round(seconds, 2),
        rows_per_second=round(run.rows / max(run.scoring_seconds, 0.001), 1),
    )
