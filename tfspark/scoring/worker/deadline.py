"""A call into the model that does not come back ends its Spark worker: Spark runs the task again.

Nothing else can end it, as the call is in C++. The second attempt scores in a child process and
finds the row (`guard.py`).
"""

from __future__ import annotations

import os
import threading
import time

EXIT_CODE = 75


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
                said = (
                    f"tfspark: model {self.model}: a call gave no answer within {self.seconds:g} "
                    f"s (spark.tfspark.deadline); process {os.getpid()} ends, so that Spark runs "
                    "the task again and the row is found\n"
                )
                os.write(2, said.encode())
                os._exit(EXIT_CODE)
