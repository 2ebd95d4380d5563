"""What `score_table` reads and keeps: the source at one version, its columns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from tfspark import storage, tables
from tfspark.config import Source
from tfspark.contracts import Contract
from tfspark.contracts.contract import with_columns
from tfspark.errors import ConfigError
from tfspark.scoring.kinds.bound import BoundModel, bind, kept_columns
from tfspark.scoring.kinds.model import AnyModel
from tfspark.scoring.model.binding import Inputs
from tfspark.tables import RAW, REASONS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def as_source(table: str | Source | DataFrame) -> Source | DataFrame:
    """A table that is named by a text: its format is what lies there."""
    if not isinstance(table, str):
        return table
    return Source(format="parquet" if tables.is_path(table) else "table", path=table)


def in_place_of(source: Source, table: str) -> Source:
    """A table that is named beside a source: read by the same column of days.

    Where the source names no table itself, its format and options are those of this one.
    """
    if not source.path and source.format != "parquet":
        return source.model_copy(update={"path": table})
    options = {} if source.path else source.options
    kind = "parquet" if tables.is_path(table) else "table"
    day, images = source.day_column, source.images
    return Source(format=kind, path=table, options=options, day_column=day, images=images)


def pinned(spark: SparkSession, source: Source, day: dt.date) -> Source:
    """The source at its version of now. (Of Parquet, Spark lists the files once, when it reads.)"""
    from delta.tables import DeltaTable
    from pyspark.errors import AnalysisException

    path = source.place(day)
    source = tables.as_it_is(source, path)
    if source.format not in ("delta", "table") or "versionAsOf" in source.options:
        return source
    try:
        if source.format == "delta":
            table = DeltaTable.forPath(spark, path)
        else:
            table = DeltaTable.forName(spark, path)
        version = table.history(1).select("version").head()
    except AnalysisException:
        return source  # no Delta table; reading it says so where that is a fault
    options = {**source.options, "versionAsOf": str(version[0])}
    return source.model_copy(update={"options": options})


def for_scoring(contract: Contract, keep: Sequence[str] | None, there: Sequence[str]) -> Contract:
    """The contract without the labels and weights that are not kept, or not there."""
    wanted = set(keep or ()) & set(there)
    columns = tuple(
        c for c in contract.columns if c.role not in ("label", "weight") or c.name in wanted
    )
    return with_columns(contract, columns)


def bound_to(
    df: DataFrame,
    model: AnyModel,
    inputs: Inputs | None,
    keep: Sequence[str] | None,
    contract: Contract | None = None,
    own: Collection[str] = ("day",),
) -> BoundModel:
    """A model bound to a checked table, and which of its columns stand beside the predictions.

    Those that are asked for; else the keys of the contract or of the model's manifest; else what
    the model does not take; else all.

    Args:
        own: columns of the scored table, in whose way the source's would stand.

    Raises:
        SignatureError: see `bind` and `kept_columns`.
    """
    checks = (REASONS, RAW)
    bindings = bind(df.drop(*checks), model, inputs)
    columns = [name for name in df.columns if name not in checks]
    if keep is None:
        keys = list(contract.keys if contract else model.keys)
        if keys and set(keys) <= set(columns):
            keep = keys
        else:
            used = {column for binding in bindings for column in binding.columns}
            rest = [name for name in columns if name.lower() not in own]
            keep = [name for name in rest if name not in used] or rest
    return BoundModel(model, bindings, kept_columns(df.drop(*checks), keep))


def check_own(where: str, bound: BoundModel, own: Iterable[str], option: str) -> None:
    """Refuse names that the scored table has for columns of its own.

    Args:
        where: name of the source, used in messages.
        option: how columns to keep are named, used in messages.

    Raises:
        ConfigError: says which.
    """
    lower = {name.lower() for name in own}
    names = [*bound.kept, *bound.model.signature.outputs]
    if taken := [name for name in names if name.lower() in lower]:
        if made := [name for name in taken if name in bound.model.signature.outputs]:
            renamed = {name: f"model_{name}" for name in made}
            raise ConfigError(
                f"{bound.model.path}: {', '.join(made)}: the scored table has its own column of "
                f"that name; rename the output: outputs={renamed}"
            )
        raise ConfigError(
            f"{where}: {', '.join(taken)}: the scored table has its own column of that name; name "
            f"the columns to keep without it ({option}), or rename it"
        )


def staging_place(spark: SparkSession, target: str) -> tuple[str, str]:
    """Where a target's staging folder lies, and the name of what is staged."""
    if tables.is_path(target):
        parent, _, name = storage.absolute(target).rstrip("/").rpartition("/")
        return parent or "/", f"score-{name}"
    return str(spark.conf.get("spark.sql.warehouse.dir")), f"score-{target}"
