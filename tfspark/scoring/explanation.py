"""`explain`: how a DataFrame would be scored, and why; nothing is scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfspark.registry.resolve import ModelFolder
from tfspark.scoring.frame import Asked, ask
from tfspark.scoring.model.binding import Binding, Inputs, Route
from tfspark.scoring.model.many import AnyModel, BySegment, Models, SideBySide, resolve
from tfspark.scoring.plans.filters import Filter
from tfspark.scoring.plans.plain import Plain
from tfspark.scoring.worker.settings import scorer_settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def explain(
    df: DataFrame,
    model: Models,
    inputs: Inputs | None = None,
    keep: Sequence[str] | None = None,
    plan: str = "auto",
    *,
    tracking_uri: str | None = None,
    signature: str | None = None,
) -> str:
    """What `score` with the same arguments would do, as text for people.

    Which plan and why, the model and its digest, which column becomes which input, what is read,
    and the settings of batches and threads.

    Raises:
        As `score`.

    Example:
        print(tfspark.explain(df, "models/passengers/3"))
    """
    asked = ask(df, resolve(model, tracking_uri, signature), inputs, keep, plan)
    lines = [f"plan      {asked.plan}: {asked.why}"]
    lines += _models(asked.model)
    lines += [f"input     {_input(binding)}" for binding in asked.bound]
    kept = ", ".join(asked.kept) or "no column"
    lines += [f"gives     {kept}; {', '.join(asked.model.signature.outputs)}"]
    lines += _reading(df.sparkSession, asked)
    settings = scorer_settings(df.sparkSession)
    if asked.plan == "jvm":  # a task of the JVM can neither be watched nor isolated
        settings = {name: settings[name] for name in ("threads", "batch_bytes", "batch_rows")}
    said = ", ".join(f"{name} {value}" for name, value in settings.items())
    return "\n".join([*lines, f"settings  {said}"]) + "\n"


def _models(model: AnyModel) -> list[str]:
    if isinstance(model, ModelFolder):
        return [f"model     {_model(model)}"]
    if isinstance(model, SideBySide):
        pairs = list(zip(model.names, model.members, strict=True))
    elif isinstance(model, BySegment):
        pairs = [
            (f"{model.column} = {text}", model.members[number])
            for text, number in zip(model.segments, model.of, strict=True)
        ]
        if model.default is not None:
            pairs.append(("others", model.members[model.default]))
    else:
        pairs = [("", member) for member in model.members]
    return [f"model     {name}: {_model(member)}" for name, member in pairs]


def _model(model: ModelFolder) -> str:
    version = f" version {model.version}" if model.version else ""
    return f"{model.name}{version}, {model.path}, digest {model.digest}"


def _input(binding: Binding) -> str:
    if isinstance(binding, Route):
        return f"{binding.columns[0]} chooses the model"
    columns = ", ".join(binding.columns)
    return f"{binding.name} ({binding.spec.dtype}, shape {list(binding.spec.shape)}) <- {columns}"


def _reading(spark: SparkSession, asked: Asked) -> list[str]:
    files = asked.plain
    if files is None:
        names = dict.fromkeys([*asked.kept, *(c for b in asked.bound for c in b.columns)])
        return [f"reads     {', '.join(names)}, by Spark"]
    return _files(spark, files)


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
