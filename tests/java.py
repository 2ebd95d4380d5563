"""Java for tests: it lives for seconds or minutes."""

import sys
from pathlib import Path

from tests.temporary import folder

# As scripts/env.sh has it.
_ARCHIVE = Path(sys.prefix) / "spark.jsa"
KEPT = f"-XX:SharedArchiveFile={_ARCHIVE} -Xlog:disable -Xlog:all=error:stderr"
SHORT_LIVED = (
    "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseParallelGC "
    f"-Djava.io.tmpdir={folder()} {KEPT}"
)
"""An optimising compiler would take half of the time. Without it the code cache is 48 MB, which
Spark fills within minutes, and a third of the time goes into sweeping it."""
