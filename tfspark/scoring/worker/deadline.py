"""A call into the model that does not come back ends its Spark worker: Spark runs the task again.

Nothing else can end it, as the call is in C++. The second attempt scores in a child process and
finds the row (`guard.py`). A model that is never open ends its worker, too.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

EXIT_CODE = 75
OPENING = 600.0
"""Seconds that a model may take to be opened, at least."""


class Deadline:
    """The calls of one model in this process.

    Attributes:
        since: `time.monotonic()` of the call that is under way; 0 where none is.
    """

    def __init__(self, model: str, seconds: float) -> None:
        self.since = 0.0
        self.model, self.seconds = model, seconds
        threading.Thread(target=self._run, name="tfspark-deadline", daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(min(1.0, self.seconds / 4))
            since = self.since
            if since and time.monotonic() - since > self.seconds:
                _end(
                    f"model {self.model}: a call gave no answer within {self.seconds:g} s "
                    f"(spark.tfspark.deadline); process {os.getpid()} ends, so that Spark runs "
                    "the task again and the row is found"
                )


@contextmanager
def opening(model: str, seconds: float) -> Iterator[None]:
    """A model that is not open after this time ends the process, as a call does."""
    said = (
        f"model {model}: was not open after {seconds:g} s (spark.tfspark.deadline, at least "
        f"{OPENING:g}); process {os.getpid()} ends"
    )
    timer = threading.Timer(seconds, _end, (said,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end(said: str) -> None:
    os.write(2, f"tfspark: {said}\n".encode())
    os._exit(EXIT_CODE)
