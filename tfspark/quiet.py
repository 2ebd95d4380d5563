"""TensorFlow without what it writes while it starts; training and scoring import it so."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Without the lines that TensorFlow writes while it is imported, before any log level counts.

    Whoever set TF_CPP_MIN_LOG_LEVEL gets what they asked for.
    """
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2") not in ("2", "3"):
        yield
        return
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
