"""The driver of `test_stream.py`: ends itself and its JVM at a named place of a stream.

python tests/scoring/stream_driver.py FOLDER MODEL PLACE   # PLACE: refused, written, between, none
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tfspark
from tfspark.scoring.stream.job import ScoreStream
from tfspark.scoring.stream.writer import BatchWriter


def striking(place: str, end: Callable[[], None]) -> tuple[Any, Any]:
    """`BatchWriter.append` and `ScoreStream._take` that call `end` at that place."""
    append, take = BatchWriter.append, ScoreStream._take

    def appended(self: BatchWriter, rows: Any, table: str, *partition: str) -> None:
        append(self, rows, table, *partition)
        if place == ("refused" if table.endswith("_quarantine") else "written"):
            end()

    def taken(self: ScoreStream, df: Any, number: int) -> None:
        if place == "between" and number > 0:
            end()
        take(self, df, number)

    return appended, taken


def killed() -> None:
    """SIGKILL to the whole process group: Python and Spark's JVM at once."""
    (folder / "killed").write_text(place)
    os.killpg(os.getpgid(0), signal.SIGKILL)


if __name__ == "__main__":
    folder, place = Path(sys.argv[1]), sys.argv[3]
    appended, taken = striking(place, killed)
    BatchWriter.append = appended  # type: ignore[method-assign]
    ScoreStream._take = taken  # type: ignore[method-assign]
    spark = tfspark.spark_session("stream", **{"spark.master": "local[1]"})
    source, target, checkpoint = (str(folder / name) for name in ("in", "out", "checkpoint"))
    stream = tfspark.score_stream(
        spark, source, sys.argv[2], target, checkpoint, keep=["id"],
        options={"maxFilesPerTrigger": "1"},
    )  # fmt: skip
    print(json.dumps(stream.wait().to_dict()))
    spark.stop()
