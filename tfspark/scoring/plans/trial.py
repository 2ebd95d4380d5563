"""A model on trial: opened in a process behind the wall, before one without a wall opens it.

There is no wall around models in the JVM. What passes the check, and still reaches for files when
it is opened or called with a row of zeros, is refused here. What waits for another row is not: this
is a tripwire, and no wall.
"""

from __future__ import annotations

import atexit
import logging
import math
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tfspark.errors import StorageError, UnsafeModelError
from tfspark.registry.resolve import ModelFolder
from tfspark.scoring.model.pack import packed_of
from tfspark.scoring.worker import landlock, wall
from tfspark.scoring.worker.opened import not_opened
from tfspark.scoring.worker.parent import Child
from tfspark.scoring.worker.predict import Feed, LocalScorer
from tfspark.scoring.worker.settings import scorer_settings
from tfspark.tensors import arrow_type
from tfspark.tensors.spec import TensorSpec

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_IDLE = 60.0
"""Seconds that the process waits for the next model."""
_PATIENT = 60.0
"""Seconds for the row of zeros, at most."""
_LARGEST = 1 << 20
"""Values of an input, at most."""
_logger = logging.getLogger(__name__)
_child = Child()
atexit.register(_child.close)
_passed: set[tuple[str, str]] = set()
_closing: threading.Timer | None = None


def tried(spark: SparkSession, model: ModelFolder) -> None:
    """Open a model behind the wall of this machine, once.

    Not with `spark.tfspark.wall=never`, nor with `always`, by which the JVM refuses to open any.

    Raises:
        StorageError: it reaches for more than its own files.
        ConfigError: a setting is wrong.
    """
    settings = {k: v for k, v in scorer_settings(spark).items() if k != "isolate"}
    key = (model.digest, model.signature.name)
    if settings["wall"] != "auto" or key in _passed:
        return
    if not landlock.version() or find_spec("tensorflow") is None:
        return
    reason = ""
    try:
        specs = model.signature.inputs.values()
        row = [pa.array([_zeros(spec)], arrow_type(spec)) for spec in specs]
        feeds = tuple(Feed(name, spec) for name, spec in model.signature.inputs.items())
        scorer = LocalScorer(packed_of(model), model.signature, feeds, **settings)
        deadline = min(scorer.deadline, _PATIENT)
        reason = _child.score(scorer, row, deadline)[1][0].as_py() or ""
    except UnsafeModelError:
        raise
    except Exception as error:  # executors may have more memory, and say what else is wrong
        if wall.BEYOND in str(error):
            raise
        _logger.warning("model %s: could not be tried behind a wall: %s", model.path, error)
    finally:
        _close_later()
    if wall.BEYOND in reason:
        raise StorageError(not_opened(model.path, reason))
    _passed.add(key)


def _close_later() -> None:
    global _closing
    if _closing is not None:
        _closing.cancel()
    _closing = threading.Timer(_IDLE, _child.close)
    _closing.daemon = True
    _closing.start()


def _zeros(spec: TensorSpec) -> Any:
    """A value of a column for an input; null, which opens the model alone, for a large one."""
    fill = {"string": "", "bool": False}.get(spec.dtype, 0)
    shape = [1 if size is None else size for size in spec.shape]
    if math.prod(shape) > _LARGEST:
        return None
    return fill if shape in ([], [1]) else np.full(shape, fill, object).tolist()
