"""One folder for what a run, its processes and their Java leave in the system's: it goes too."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

_OURS = "TESTS_TMPDIR"


def folder() -> str:
    """The run's folder; a process that another of the run has started gets the same."""
    if _OURS not in os.environ:
        # What a failed test has written stays, where pytest always puts it.
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
        made = tempfile.mkdtemp(prefix="tfspark-run-")
        os.environ[_OURS] = os.environ["TMPDIR"] = tempfile.tempdir = made
        atexit.register(shutil.rmtree, made, ignore_errors=True)
    return os.environ[_OURS]
