"""Whether what is to be scored is a DataFrame of Spark's, with an end."""

from __future__ import annotations

from typing import Any

from tfspark.errors import ConfigError


def check_frame(given: Any, what: str) -> None:
    """Refuse what is no DataFrame, and one without an end.

    Args:
        what: the function that was called, and what else it takes.

    Raises:
        ConfigError: says what to do.
    """
    from pyspark.sql import DataFrame

    if not isinstance(given, DataFrame):
        kind = type(given)
        todo = "give one of Spark's: spark.createDataFrame(...)"
        if isinstance(given, str):
            todo = f"give spark.read.parquet({given!r}), or score_table, which takes a folder"
        raise ConfigError(
            f"{what} takes a DataFrame of Spark's, not {kind.__module__}.{kind.__qualname__}; "
            f"{todo}"
        )
    if given.isStreaming:
        raise ConfigError(
            f"{what} takes no streaming DataFrame: write the stream to a Delta table and score "
            "that: tfspark.score_stream"
        )
