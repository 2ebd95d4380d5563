"""`explain`: how a DataFrame would be scored, and why; nothing is scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfspark.plainfiles.files import Plain
from tfspark.plainfiles.filters import Filter
from tfspark.registry.resolve import ModelFolder
from tfspark.scoring.frame import ask
from tfspark.scoring.given import check_frame
from tfspark.scoring.kinds.resolve import Models, resolve
from tfspark.scoring.model.binding import Inputs
from tfspark.scoring.model.outputs import Outputs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def explain(
    df: DataFrame,
    model: Models,
    inputs: Inputs | None = None,
    keep: Sequence[str] | None = None,
    plan: str = "auto",
    *,
    outputs: Outputs | None = None,
    tracking_uri: str | None = None,
    signature: str | None = None,
) -> str:
    """What `score` with the same arguments would do, as text for people.

    Which plan and why, the model and its digest, which column becomes which input, what is read,
    and the settings of batches and threads.

    Args:
        df, model, inputs, keep, plan, outputs, tracking_uri, signature: as for `tfspark.score`.

    Returns:
        A text of several lines.

    Raises:
        As `score`.

    Example:
        print(tfspark.explain(df, "models/passengers/3"))
    """
    check_frame(df, "explain")
    asked = ask(df, resolve(model, tracking_uri, signature, outputs), inputs, keep, plan)
    bound, choice = asked.bound, asked.choice
    lines = [f"plan      {choice.plan.name}: {choice.why}"]
    lines += [f"model     {_named(name)}{_model(one)}" for name, one in bound.model.each()]
    lines += [f"input     {binding.said()}" for binding in bound.bindings]
    kept = ", ".join(bound.kept) or "no column"
    lines += [f"gives     {kept}; {', '.join(bound.model.signature.outputs)}"]
    files = choice.way.files
    by_spark = [f"reads     {', '.join(bound.used)}, by Spark"]
    lines += by_spark if files is None else _files(df.sparkSession, files)
    settings = choice.plan.settings(df.sparkSession)
    said = ", ".join(f"{name} {value}" for name, value in settings.items())
    return "\n".join([*lines, f"settings  {said}"]) + "\n"


def _named(name: str) -> str:
    return f"{name}: " if name else ""


def _model(model: ModelFolder) -> str:
    version = f" version {model.version}" if model.version else ""
    return f"{model.name}{version}, {model.path}, digest {model.digest}"


def _files(spark: SparkSession, files: Plain) -> list[str]:
    tasks = len(files.shares(spark))
    columns = [*files.read.names, *(f"{name} (of the folder)" for name in files.partitions)]
    skipped = f", {files.skipped} more are skipped by the filter" if files.skipped else ""
    filtered = "" if files.where is None else ", before the filter"
    size = sum(group.bytes for group in files.groups)
    lines = [
        f"reads     {', '.join(columns)}",
        f"          {len(files.files)} files, {len(files.groups)} row groups{skipped}, "
        f"{files.rows} rows{filtered}, {size} bytes; {tasks} tasks",
    ]
    return lines + ([] if files.where is None else [f"filter    {_where(files.where)}"])


def _where(node: Filter) -> str:
    if node.op in ("And", "Or"):
        return f"({_where(node.parts[0])} {node.op.upper()} {_where(node.parts[1])})"
    if node.op == "Not":
        if node.parts[0].op == "null":
            return f"{node.parts[0].column} IS NOT NULL"
        return f"NOT {_where(node.parts[0])}"
    if node.op in ("null", "column"):
        return node.column + (" IS NULL" if node.op == "null" else "")
    values = ", ".join(str(value) for value in node.values)
    if node.op == "in":
        return f"{node.column} IN ({values})"
    return f"{node.column} {node.op} {values}"
