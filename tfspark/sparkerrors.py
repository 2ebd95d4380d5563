"""Spark's errors as ours, with the line that tells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from tfspark.errors import (
    ConfigError,
    ContractViolation,
    ModelFailed,
    SourceMissing,
    StorageError,
    StoreBusy,
)
from tfspark.wording import STORES

_MISSING = {
    "PATH_NOT_FOUND",
    "TABLE_OR_VIEW_NOT_FOUND",
    "DELTA_TABLE_NOT_FOUND",
    "DELTA_MISSING_DELTA_TABLE",
    "DELTA_PATH_DOES_NOT_EXIST",
    "DELTA_TABLE_ONLY_OPERATION",
}
_NOT_PARQUET = (
    "; of other files name the format: source.format: csv (or json), --source.format csv, "
    'Source(format="csv", path=...)'
)
# Raised in a task: by a Python worker, or by the Scala module.
_MODEL_FAILED = re.compile(r"^(?:tfspark\.errors|Caused by: tfspark)\.ModelFailed: ", re.M)

_OF_THE_TABLE = re.compile(r"^tfspark\.errors\.ContractViolation: ", re.M)


@contextmanager
def reading(table: str) -> Iterator[None]:
    """Spark's many words for `not there` and `cannot be read` as our errors."""
    from pyspark.errors import PySparkException

    from tfspark.compat.spark import JavaError

    try:
        yield
    except (PySparkException, JavaError) as error:
        condition = (error.getCondition() or "") if isinstance(error, PySparkException) else ""
        said = f"{condition} {error}"
        if condition.split(".")[0] in _MISSING:
            raise SourceMissing(
                f"{table}: is not there (yet); check the path, or try again when it has arrived"
            ) from None
        if condition == "PARSE_SYNTAX_ERROR":
            raise ConfigError(f"{table}: is neither a folder nor a table name") from None
        if "FAILED_JDBC" in said or "java.sql." in said:
            raise SourceMissing(f"{table}: cannot be reached: {first_line(error)}") from None
        if "UNABLE_TO_INFER_SCHEMA" in said:
            raise ContractViolation(f"{table}: holds no file of this format with rows") from None
        if "CSV header does not conform" in said:
            raise ContractViolation(
                f"{table}: files with different headers: {first_line(error)}"
            ) from None
        if _OF_THE_TABLE.search(said):
            raise ContractViolation(first_line(error)) from None
        hint = _NOT_PARQUET if "is not a Parquet file" in said else ""
        raise failed(f"{table}: cannot be read: {first_line(error)}{hint}", error) from None


def failed(said: str, error: Exception) -> StorageError:
    """What Spark raised as one of ours; a `StoreBusy` where a store may have it later."""
    text = str(error)
    if isinstance(error, StoreBusy) or "tfspark.errors.StoreBusy: " in text:
        return StoreBusy(said)
    lines = "\n".join(line for line in text.split("\n") if not line.lstrip().startswith("at "))
    later = f"{STORES['busy']}|{STORES['expired']}"
    busy = re.search(STORES["of"], text) and re.search(later, lines)
    return StoreBusy(f"{said}; try again later") if busy else StorageError(said)


def first_line(error: Exception) -> str:
    """The telling line of one of Spark's long messages: of a Python worker's its last exception."""
    if raised := _raised(str(error)):
        return raised
    java = getattr(error, "java_exception", None)
    text = str(java.toString()) if java is not None else str(error)
    causes = re.findall(r"Caused by: (.+)", str(error))
    ours = [line for line in causes if line.startswith("tfspark.")]  # of the Scala module
    line = (ours or causes or [text])[-1].strip().split("\n")[0]
    return re.sub(r"^(?:tfspark\.\w+|(?:[a-z]+\.)+[\w$]+(?:Exception|Error)): ", "", line)[:500]


@contextmanager
def running(what: str, target: str) -> Iterator[None]:
    """Spark's errors of a run as one of ours, with the line that tells.

    Raises:
        StorageError: whatever Spark raised; a `StoreBusy` where a later try may do it.
    """
    from tfspark.compat.spark import ERRORS

    try:
        yield
    except ERRORS as error:
        said = f"{what} failed: {first_line(error)}; {target} is unchanged"
        if _MODEL_FAILED.search(str(error)):
            raise ModelFailed(said) from error
        raise failed(said, error) from error


def _raised(text: str) -> str | None:
    """What the last exception of a Python worker's traceback says, where the text holds one."""
    _, found, trace = text.rpartition("Traceback (most recent call last)")
    raised = re.findall(r"^(?:[A-Za-z_][\w.]*: )(.+)$", trace, re.M) if found else []
    return str(raised[0])[:500] if raised else None
