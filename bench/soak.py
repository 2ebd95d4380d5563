"""Memory of a JVM that scores 1,000 batches of 1 to 20,000 rows, drawn: docs/scala-memory.png.

    python -m bench soak --plot docs/scala-memory.png

Runs the Scala module's soak test (interop/src/test/scala/tfspark/SoakSuite.scala), which judges,
and reads what it found. The heap is of one size from the start: what could grow is native.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOUND = ROOT / "build" / "scala" / "soak.tsv"


def main(argv: list[str] | None = None) -> int:
    """Run, print and plot; 1 if the memory is not flat."""
    parser = argparse.ArgumentParser(prog="python -m bench soak", description=__doc__)
    parser.add_argument("--plot", help="draw the figures into this file")
    given = parser.parse_args(argv)
    FOUND.unlink(missing_ok=True)
    command = [sys.executable, str(ROOT / "scripts" / "sbt.py"), "testOnly tfspark.SoakSuite"]
    whole = os.environ | {"TESTS_SOAK": "1"}  # not CI's size
    code = subprocess.run(command, cwd=ROOT, env=whole, check=False).returncode
    if not FOUND.exists():
        return code
    lines = [[int(number) for number in line.split("\t")] for line in FOUND.open()]
    rows, resident, _, heap = zip(*lines, strict=True)
    megabytes = [bytes_ / 1e6 for bytes_ in resident]
    early, late = statistics.median(megabytes[100:300]), statistics.median(megabytes[-200:])
    print("\n| batches | rows | resident, batches 100 to 300 | the last 200 | heap in use, MB |")
    print("|--:|--:|--:|--:|--:|")
    in_use = " → ".join(f"{bytes_ / 1e6:.0f}" for bytes_ in heap if bytes_ >= 0)
    print(f"| {len(rows):,} | {sum(rows):,} | {early:,.0f} MB | {late:,.0f} MB | {in_use} |")
    if given.plot:
        plot(megabytes, list(rows), Path(given.plot))
    return code


def plot(megabytes: list[float], rows: list[int], target: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(8, 3.5), layout="constrained")
    axis.plot(megabytes)
    axis.set(xlabel="batch, after the warm-up", ylabel="resident memory, MB")
    axis.set_ylim(0, max(megabytes) * 1.1)
    axis.set_title("A JVM that scores batches of 1 to 20,000 rows, three models in turns")
    right = axis.twinx()
    right.scatter(range(len(rows)), rows, s=2, color="tab:gray", alpha=0.5)
    right.set(ylabel="rows of the batch", ylim=(0, max(rows) * 3), yticks=(0, 10_000, 20_000))
    figure.savefig(target, dpi=120)


if __name__ == "__main__":
    sys.exit(main())
