"""Where a benchmark of Spark's jobs works, and what its processes are told."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for the time of a benchmark; processes find this checkout, and no GPU."""
    os.environ["PYTHONPATH"] = str(ROOT)  # for the processes that Spark starts
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    folder = Path(tempfile.mkdtemp(prefix="tfspark-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
