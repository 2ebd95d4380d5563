"""TensorFlow and Spark's JVM without what they write while they start."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_NOISE = re.compile(
    rb"^WARNING: Using incubator modules"
    rb"|^Setting (?:default|Spark) log level to |^To adjust logging level use "
    # TensorFlow's, of the workers that Spark starts.
    rb"|^WARNING: All log messages before absl::InitializeLog|oneDNN custom operations are on"
    rb"|cpu_feature_guard|rebuild TensorFlow with the appropriate compiler flags"
    rb"|failed call to cuInit|cuda_(?:executor|diagnostics|platform|dnn|fft|blas)\.cc"
    rb"|Unable to register cu(?:FFT|DNN|BLAS) factory|computation_placer"
)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the lines that TensorFlow writes while it is imported, before any log level counts.

    Whoever set TF_CPP_MIN_LOG_LEVEL gets what they asked for.
    """
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2") not in ("2", "3"):
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with _stderr_is(nowhere):
        yield


@contextmanager
def jvm_filtered() -> Iterator[None]:
    """A JVM that is started here writes to stderr as ever, but for its lines of no news."""
    out, into = os.pipe()
    to = os.dup(2)
    threading.Thread(target=_pump, args=(out, to), daemon=True).start()
    with _stderr_is(into):
        yield


def _pump(out: int, to: int) -> None:
    """Hand lines on until nobody can write any more: the JVM, and what it started, are gone."""
    with os.fdopen(out, "rb") as lines, os.fdopen(to, "wb", buffering=0) as stderr:
        for line in lines:
            if not _NOISE.search(line):
                stderr.write(line)


@contextmanager
def _stderr_is(file: int) -> Iterator[None]:
    """Standard error of this process and of those that it starts; closes the file."""
    sys.stderr.flush()
    kept = os.dup(2)
    os.dup2(file, 2)
    os.close(file)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
