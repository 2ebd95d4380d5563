"""`score`: a DataFrame with predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfspark.scoring.given import check_frame
from tfspark.scoring.kinds.bound import BoundModel, bind, kept_columns
from tfspark.scoring.kinds.model import AnyModel
from tfspark.scoring.kinds.resolve import Models, resolve
from tfspark.scoring.model.binding import Inputs, check_outputs
from tfspark.scoring.model.outputs import Outputs
from tfspark.scoring.plans.plan import ForFrame
from tfspark.scoring.plans.registry import Choice, choose, named
from tfspark.scoring.refuse import check_on_bad_row

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def score(
    df: DataFrame,
    model: Models,
    inputs: Inputs | None = None,
    keep: Sequence[str] | None = None,
    plan: str = "auto",
    *,
    on_bad_row: str = "fail",
    outputs: Outputs | None = None,
    tracking_uri: str | None = None,
    signature: str | None = None,
) -> DataFrame:
    """The kept columns of a DataFrame and one column per output of a model.

    The plan `scan` fixes the table now, at its files of now; the others when the query runs.

    Args:
        df: any DataFrame.
        model: the folder of a SavedModel, or an MLflow URI such as `models:/name@champion`; or
            several: a name → model mapping, or `Segments`.
        inputs: input of the model → column, → list of columns that become one tensor, or →
            `{"constant": value}`, the same in all rows; an input that is not named takes the column
            of its name, or, where the model has a default for it, that.
        keep: columns to keep; None: all.
        plan: how to run it: `scan` where the DataFrame is plain files, `arrow`, `pandas`, `jvm`
            where the session has the jars of the Scala module; `auto` takes the scan if it
            applies, else `arrow`.
        on_bad_row: `fail`: a row that cannot be scored fails the query when it is reached, and the
            error names the row by its kept columns and says why; `null`: all its outputs are null.
            (`score_table` quarantines such rows instead.)
        outputs: output → the name of its column, or `{"name": ..., "type": "binary"}`, which leaves
            text as bytes; an output that is not named keeps its name.
        tracking_uri: the MLflow server; default: MLflow's own, else the jobs' in `warehouse`.
        signature: default: the manifest's, else `serving_default`.

    Raises:
        ModelNotFound, IntegrityError, UnsafeModelError: of the model.
        SignatureError: the columns do not fit the inputs, or an output takes a kept name.
        ConfigError: an unknown plan, or one that is asked for and does not apply: the scan, or
            `jvm` without the Scala module or for several models.

    Example:
        tfspark.score(df, "models/passengers/3", keep=["PassengerId"])
        tfspark.score(df, "models/mlp", inputs={"features": ["f0", "f1", "f2"]})
    """
    fail = check_on_bad_row(on_bad_row)
    check_frame(df, "score")
    asked = ask(df, resolve(model, tracking_uri, signature, outputs), inputs, keep, plan)
    return asked.choice.way.score(asked.bound, fail)


@dataclass(frozen=True)
class Asked:
    """What `score` will do."""

    bound: BoundModel
    choice: Choice[ForFrame]


def ask(
    df: DataFrame, model: AnyModel, inputs: Inputs | None, keep: Sequence[str] | None, plan: str
) -> Asked:
    """Bind the columns and choose the plan; nothing is scored.

    Raises:
        SignatureError, ConfigError: see `score`.
    """
    for tried in named(plan):
        tried.check(df.sparkSession, model)
    kept = kept_columns(df, keep)
    check_outputs(model, kept)
    bound = BoundModel(model, bind(df, model, inputs), kept)
    choice = choose(plan, "the DataFrame", lambda tried: tried.for_frame(df, bound.used))
    return Asked(bound, choice)
