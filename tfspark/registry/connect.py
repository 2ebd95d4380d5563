"""Open an MLflow store: quietly, without telemetry, and a SQLite one whole or not at all."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfspark import storage
from tfspark.errors import ConfigError, StorageError


def connect(tracking_uri: str) -> Any:
    """A client of an MLflow store; a SQLite store that is not there yet is made.

    Raises:
        ConfigError: the store is a SQLite file in a place that is no folder of this machine.
        StorageError: the store cannot be opened.
    """
    file = sqlite_file(tracking_uri)
    with warnings.catch_warnings():  # MLflow's own, about the libraries that it uses
        warnings.simplefilter("ignore", DeprecationWarning)
        client_class = import_mlflow()
        with reported(tracking_uri):
            if file and not file.exists():
                _make_store(client_class, file)
            return client_class(tracking_uri, tracking_uri)


def default_uri() -> str:
    """The store of a program that names none: MLflow's, if one is set; else that of the jobs.

    The jobs keep theirs in the warehouse of the working directory.
    """
    from mlflow import get_tracking_uri, is_tracking_uri_set

    if is_tracking_uri_set():
        return str(get_tracking_uri())
    if named := os.environ.get("TFSPARK_REGISTRY__TRACKING_URI"):
        return named
    jobs = Path(os.environ.get("TFSPARK_WAREHOUSE", "warehouse"), "mlflow.db").absolute()
    return f"sqlite:///{jobs}" if jobs.exists() else str(get_tracking_uri())


def sqlite_file(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


@contextlib.contextmanager
def reported(uri: str) -> Iterator[None]:
    """Turn what MLflow and the network raise into one line."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError, OSError) as error:
        first = str(error).strip().split("\n")[0]
        raise StorageError(f"MLflow at {uri}: {first}") from error


def import_mlflow() -> Any:
    """MLflow's client class, imported without its telemetry, its log lines and its prints."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    from mlflow.tracking import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return MlflowClient


def _make_store(client_class: Any, file: Path) -> None:
    """Make the tables under another name: a job killed half-way leaves no half store."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", str(file)):
        raise ConfigError(
            f"sqlite:///{file}: is no file of this machine; set registry.tracking_uri"
        )
    file = file.absolute()
    staging = storage.new_staging(str(file.parent), file.name)
    partial = Path(staging, file.name)
    with _without_sync():
        client_class(f"sqlite:///{partial}", f"sqlite:///{partial}").search_experiments()
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    with contextlib.suppress(FileExistsError):  # another job was faster: its store is the one
        os.link(partial, file)  # unlike a rename, it never replaces
    storage.delete(staging)
    with contextlib.suppress(OSError):  # others may be staging there
        Path(staging).parent.rmdir()


@contextlib.contextmanager
def _without_sync() -> Iterator[None]:
    """Hundreds of migrations, one sync at the end instead of one each."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def relax(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", relax)
    try:
        yield
    finally:
        event.remove(Engine, "connect", relax)
