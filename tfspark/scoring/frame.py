"""`score`: a DataFrame with predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from tfspark.errors import ConfigError, SignatureError
from tfspark.scoring.model.binding import Binding, Inputs, check_outputs
from tfspark.scoring.model.many import AnyModel, Models, bind_any, resolve
from tfspark.scoring.plans import jvm
from tfspark.scoring.plans.asread import NotPlain
from tfspark.scoring.plans.columns import as_text, columns_for, judged
from tfspark.scoring.plans.framescan import FrameTask, scanned
from tfspark.scoring.plans.plain import Plain, plain
from tfspark.scoring.plans.udf import ERROR, arrow_plan, output_column, pandas_plan, scorer_for
from tfspark.scoring.refuse import ADVICE, check_on_bad_row
from tfspark.scoring.worker.predict import Feed
from tfspark.tables import quote

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

PLANS = ("auto", "scan", "arrow", "pandas", "jvm")
RESULT = "_tfspark_result"
REASON = "_tfspark_reason"


def score(
    df: DataFrame,
    model: Models,
    inputs: Inputs | None = None,
    keep: Sequence[str] | None = None,
    plan: str = "auto",
    *,
    on_bad_row: str = "fail",
    tracking_uri: str | None = None,
    signature: str | None = None,
) -> DataFrame:
    """The kept columns of a DataFrame and one column per output of a model.

    The plan `scan` fixes the table now, at its files of now; the others when the query runs.

    Args:
        df: any DataFrame.
        model: the folder of a SavedModel, or an MLflow URI such as `models:/name@champion`; or
            several: a name → model mapping, or `Segments`.
        inputs: input of the model → column, or → list of columns that become one tensor; an input
            that is not named takes the column of its name.
        keep: columns to keep; None: all.
        plan: how to run it: `scan` where the DataFrame is plain files, `arrow`, `pandas`, `jvm`
            where the session has the jars of the Scala module; `auto` takes the scan if it
            applies, else `arrow`.
        on_bad_row: `fail`: a row that cannot be scored fails the query when it is reached, and the
            error names the row by its kept columns and says why; `null`: all its outputs are null.
            (`score_table` quarantines such rows instead.)
        tracking_uri: the MLflow server; default: MLflow's own.
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
    asked = ask(df, resolve(model, tracking_uri, signature), inputs, keep, plan)
    if asked.plain is not None:
        return _by_scan(df, asked, asked.plain, fail)
    found, kept = asked.model, asked.kept
    run = with_result(df, found, asked.bound, kept, asked.plan)
    message = F.concat(
        F.lit(f"model {found.path}: row "),
        F.substring(as_text(df.schema, kept), 1, 500),
        F.lit(" cannot be scored: "),
        run.error,
        F.lit(f"; {ADVICE}"),
    )
    outputs = [
        F.when(run.error.isNotNull(), F.raise_error(message) if fail else F.lit(None))
        .otherwise(value)
        .alias(name)
        for name, value in run.outputs.items()
    ]
    return run.df.select(*[F.col(quote(name)) for name in kept], *outputs)


@dataclass(frozen=True)
class Asked:
    """What `score` will do.

    Attributes:
        kept: the names of the columns to keep.
        plan: the plan that was chosen.
        why: the reason why it was chosen.
        plain: the files of the plan `scan`.
    """

    model: AnyModel
    bound: list[Binding]
    kept: list[str]
    plan: str
    why: str
    plain: Plain | None


def ask(
    df: DataFrame, model: AnyModel, inputs: Inputs | None, keep: Sequence[str] | None, plan: str
) -> Asked:
    """Bind the columns and choose the plan; nothing is scored.

    Raises:
        SignatureError, ConfigError: see `score`.
    """
    check_plan(plan)
    if plan == "jvm":
        jvm.check_module(df.sparkSession, model)
    kept = kept_columns(df, keep)
    check_outputs(model, kept)
    bound = bindings(df, model, inputs)
    if plan in ("arrow", "pandas", "jvm"):
        return Asked(model, bound, kept, plan, "asked for", None)
    used = list(dict.fromkeys([*kept, *(c for b in bound for c in b.columns)]))
    try:
        files = plain(df, used)
    except NotPlain as reason:
        if plan == "scan":
            raise ConfigError(
                f"plan 'scan' does not apply to the DataFrame: {reason}; use plan 'auto'"
            ) from None
        return Asked(model, bound, kept, "arrow", f"no scan: {reason}", None)
    return Asked(model, bound, kept, "scan", "the DataFrame is plain files", files)


def _by_scan(df: DataFrame, asked: Asked, files: Plain, fail: bool) -> DataFrame:
    task = FrameTask(
        scorer_for(df.sparkSession, asked.model, feeds_of(asked.bound)),
        files.bare(),
        tuple(name for binding in asked.bound for name in binding.columns),
        tuple(asked.kept),
        fail,
        asked.model.path,
    )
    return scanned(
        df.sparkSession,
        task,
        files.shares(df.sparkSession),
        [df.schema[name] for name in asked.kept],
        asked.model.signature.outputs,
    )


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
        ConfigError: there is none of that name.
    """
    if plan not in plans:
        raise ConfigError(f"unknown plan {plan!r}; use one of {', '.join(plans)}")
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


def bindings(df: DataFrame, model: AnyModel, inputs: Inputs | None) -> list[Binding]:
    """Which columns of a DataFrame become which inputs."""
    sensitive = df.sparkSession.conf.get("spark.sql.caseSensitive", "false") == "true"
    return bind_any(model, df.schema, inputs, sensitive)


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
    df: DataFrame, model: AnyModel, bound: Sequence[Binding], kept: Sequence[str], plan: str
) -> Run:
    """Score every row once; the rows stay where they are, in the same number."""
    if plan == "jvm":
        return _run(jvm.results(df, model, bound, kept, RESULT), model, plan)
    before: Column | None = None
    fed = [judged(binding, df.schema) for binding in bound] if plan == "pandas" else bound
    scorer = scorer_for(df.sparkSession, model, feeds_of(fed))
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
    return _run(result, model, plan, before)


def _run(result: DataFrame, model: AnyModel, plan: str, before: Column | None = None) -> Run:
    """The outputs and the errors of a column of results.

    Args:
        before: the reason of a row that was bad before it was scored.
    """
    error = F.col(RESULT).getField(ERROR)
    if before is not None:
        error = F.coalesce(F.col(REASON), error)
    outputs = {
        name: output_column(F.col(RESULT), number, spec, plan)
        for number, (name, spec) in enumerate(model.signature.outputs.items())
    }
    return Run(result, outputs, error)
