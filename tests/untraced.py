"""Coverage is of our code: its tracer makes the Python of TensorFlow and MLflow half as slow again.

It rests while these two save, load and log, where nothing of ours runs.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

import pytest


def pytest_collection_finish(session: pytest.Session) -> None:
    if not getattr(session.config.option, "cov_source", None):
        return
    if tensorflow := sys.modules.get("tensorflow"):
        for name in ("save", "load"):
            _rest(tensorflow.saved_model, name)
    if mlflow := sys.modules.get("mlflow"):
        for name, method in list(vars(mlflow.MlflowClient).items()):
            if inspect.isfunction(method) and not name.startswith("_"):
                _rest(mlflow.MlflowClient, name)


def _rest(owner: Any, name: str) -> None:
    """Let nothing be traced while a function runs."""
    setattr(owner, name, untraced(getattr(owner, name)))


def untraced(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        tracer = sys.gettrace()
        sys.settrace(None)
        try:
            return function(*args, **kwargs)
        finally:
            sys.settrace(tracer)

    return call
