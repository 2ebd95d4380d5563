"""`score`: a DataFrame with predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from tfspark.errors import ConfigError, SignatureError
from tfspark.registry.resolve import ModelFolder, resolve_model
from tfspark.scoring.binding import Binding, Inputs, bind, check_outputs
from tfspark.scoring.columns import as_text, columns_for
from tfspark.scoring.predict import Feed
from tfspark.scoring.udf import ERROR, arrow_plan, output_column, pandas_plan, scorer_for
from tfspark.tables import quote

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

PLANS = ("auto", "arrow", "pandas")
TABLE_PLANS = (*PLANS, "scan")
RESULT = "_tfspark_result"
REASON = "_tfspark_reason"


def score(
    df: DataFrame,
    model: str,
    inputs: Inputs | None = None,
    keep: Sequence[str] | None = None,
    plan: str = "auto",
    *,
    tracking_uri: str | None = None,
    signature: str | None = None,
) -> DataFrame:
    """The kept columns of a DataFrame and one column per output of a model.

    A row that cannot be scored fails the query when it is reached; the error names the row by its
    kept columns and says why. (`score_table` quarantines such rows instead.)

    Args:
        df: any DataFrame.
        model: the folder of a SavedModel, or an MLflow URI such as `models:/name@champion`.
        inputs: input of the model → column, or → list of columns that become one tensor; an input
            that is not named takes the column of its name.
        keep: columns to keep; None: all.
        plan: how to run it: `auto` (which is `arrow`), `arrow` or `pandas`.
        tracking_uri: the MLflow server; default: MLflow's own.
        signature: default: the manifest's, else `serving_default`.

    Raises:
        ModelNotFound, IntegrityError, UnsafeModelError: of the model.
        SignatureError: the columns do not fit the inputs, or an output takes a kept name.
        ConfigError: an unknown plan.

    Example:
        tfspark.score(df, "models/passengers/3", keep=["PassengerId"])
        tfspark.score(df, "models/mlp", inputs={"features": ["f0", "f1", "f2"]})
    """
    plan = "arrow" if check_plan(plan) == "auto" else plan
    found = resolve_model(model, tracking_uri, signature)
    kept = kept_columns(df, keep)
    check_outputs(found, kept)
    run = with_result(df, found, bindings(df, found, inputs), kept, plan)
    message = F.concat(
        F.lit(f"model {found.path}: row "),
        F.substring(as_text(df.schema, kept), 1, 500),
        F.lit(" cannot be scored: "),
        run.error,
        F.lit("; leave such rows out, or use score_table, which quarantines them"),
    )
    outputs = [
        F.when(run.error.isNotNull(), F.raise_error(message)).otherwise(value).alias(name)
        for name, value in run.outputs.items()
    ]
    return run.df.select(*[F.col(quote(name)) for name in kept], *outputs)


@dataclass(frozen=True)
class Run:
    """A DataFrame in which every row has its result: not yet separated into good and bad.

    Attributes:
        df: the kept columns and the results.
        outputs: output → its expression, null in a bad row.
        error: the reason why a row could not be scored, null in a good row.
    """

    df: DataFrame
    outputs: dict[str, Column]
    error: Column


def check_plan(plan: str, plans: Sequence[str] = PLANS) -> str:
    """The plan.

    Raises:
        ConfigError: there is none of that name, or not for a DataFrame.
    """
    if plan not in plans:
        raise ConfigError(
            f"plan {plan!r}: there is no such plan; plans: {', '.join(plans)}"
            + ("; 'scan' is score_table's" if plan in TABLE_PLANS else "")
        )
    return plan


def kept_columns(df: DataFrame, keep: Sequence[str] | None) -> list[str]:
    """The names of the columns to keep, as the table spells them.

    Raises:
        SignatureError: one is not there, or two columns of the table have one name.
    """
    names = df.columns
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SignatureError(f"the table has two columns of one name: {', '.join(twice)}; rename")
    if keep is None:
        return list(names)
    keep = [keep] if isinstance(keep, str) else keep
    lower = {name.lower(): name for name in names}
    missing = [name for name in keep if name not in names and name.lower() not in lower]
    if missing:
        raise SignatureError(
            f"keep: no column {', '.join(missing)} in the table; there are: {', '.join(names[:30])}"
        )
    return [name if name in names else lower[name.lower()] for name in dict.fromkeys(keep)]


def bindings(df: DataFrame, model: ModelFolder, inputs: Inputs | None) -> list[Binding]:
    """Which columns of a DataFrame become which inputs."""
    sensitive = df.sparkSession.conf.get("spark.sql.caseSensitive", "false") == "true"
    return bind(model, df.schema, inputs, sensitive)


def feeds_of(bound: Sequence[Binding]) -> list[Feed]:
    """The same bindings as the executors need them."""
    return [
        Feed(
            b.name,
            b.spec,
            len(b.columns),
            b.stacked,
            tuple(b.about(place) for place in range(len(b.columns))),
        )
        for b in bound
    ]


def with_result(
    df: DataFrame, model: ModelFolder, bound: Sequence[Binding], kept: Sequence[str], plan: str
) -> Run:
    """Score every row once; the rows stay where they are, in the same number."""
    scorer = scorer_for(df.sparkSession, model, feeds_of(bound))
    before: Column | None = None
    if plan == "arrow":
        arguments = [F.col(quote(name)) for binding in bound for name in binding.columns]
        function = arrow_plan(scorer, model)
    else:
        prepared = [columns_for(binding, df.schema) for binding in bound]
        arguments = [column for columns, _, _ in prepared for column in columns]
        function = pandas_plan(scorer, [kind for _, kinds, _ in prepared for kind in kinds], model)
        if reasons := [reason for _, _, reasons in prepared for reason in reasons]:
            before = reduce(lambda a, b: F.coalesce(a, b), reasons)
    result = df.select(
        *[F.col(quote(name)) for name in kept],
        function(*arguments).alias(RESULT),
        *([] if before is None else [before.alias(REASON)]),
    )
    error = F.col(RESULT).getField(ERROR)
    if before is not None:
        error = F.coalesce(F.col(REASON), error)
    outputs = {
        name: output_column(F.col(RESULT), number, spec, plan)
        for number, (name, spec) in enumerate(model.signature.outputs.items())
    }
    return Run(result, outputs, error)
