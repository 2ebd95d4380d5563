"""A driver to be killed: trains a spec on two ranks, and prints what it hears as JSON lines."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from tfspark.config import Distributed
from tfspark.session import spark_session
from tfspark.training.ranks.launch import launch
from tfspark.training.ranks.stage import slots


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("spec", type=Path)
    parser.add_argument("--master", default="local[2]")
    parser.add_argument("--least", type=int)
    parser.add_argument("--hold", type=int, help="wait for a line of stdin when this epoch ended")
    given = parser.parse_args()
    conf = {
        "spark.master": given.master,
        "spark.ui.enabled": "false",
        "spark.executor.memory": "512m",
        "spark.executor.cores": "1",
    }

    def hear(report: dict[str, Any]) -> None:
        print(json.dumps(report), flush=True)
        if report["kind"] == "epoch" and report["epoch"] == given.hold:
            sys.stdin.readline()

    settings = Distributed(ranks=2, least_ranks=given.least, slots_seconds=15)
    session = spark_session("driver", **conf)
    while slots(session.sparkContext) < 2:  # the first try has both
        time.sleep(0.2)
    launch(json.loads(given.spec.read_text()), settings, hear, lambda: session)
    session.stop()
    sys.exit(0)


if __name__ == "__main__":
    main()
