"""The driver of `test_scan.py`: a Python worker is killed while it writes its file.

python tests/scoring/killed_scan.py FOLDER     # FOLDER: in/, m/
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import tfspark
from tfspark.scoring.plans import plan
from tfspark.scoring.worker.sink import TableTask


class KilledOnce(TableTask):
    """Ends its process after its second batch has reached the file; pickled by value."""

    def _score(self, batch: Any, good: Any, bad: Any) -> None:
        super()._score(batch, good, bad)
        flag = Path(self.staging).parent.parent / "killed"
        if good.rows == 2000 and not flag.exists():
            good._flush()
            good._stream.flush()
            assert Path(good.path).stat().st_size
            flag.write_text(Path(good.path).name)
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    plan.TableTask = KilledOnce  # type: ignore[misc]
    spark = tfspark.spark_session("killed", **{"spark.master": "local[2,3]"})
    paths = [str(folder / name) for name in ("in", "m", "out")]
    tfspark.score_table(spark, *paths, "2026-11-20", keep=["id"], plan="scan")
    mine = (folder / "killed").read_text()
    files = [path.name for path in (folder / "out" / "day=2026-11-20").iterdir()]
    print(json.dumps({"killed": mine, "files": files}))
    spark.stop()
