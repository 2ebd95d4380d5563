"""Build tfspark/storage/log_store.jar: Delta's log on S3 (ConditionalS3LogStore.java).

The jar is in the repository, so that users need no compiler. Its comment is the sum of the source;
a test compares them. Run this after a change of the source.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "tfspark" / "storage" / "ConditionalS3LogStore.java"
JAR = ROOT / "tfspark" / "storage" / "log_store.jar"


def source_sum() -> str:
    return hashlib.sha256(SOURCE.read_bytes()).hexdigest()


def build(jar: Path) -> None:
    """Compile against the jars of this environment's Spark, for Java 17."""
    import pyspark

    spark = Path(pyspark.__file__).parent / "jars" / "*"
    with tempfile.TemporaryDirectory() as made:
        command = ["javac", "--release", "17", "-nowarn", "-g:none", "-cp", str(spark)]
        subprocess.run([*command, "-d", made, str(SOURCE)], check=True)
        with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.comment = source_sum().encode()
            for file in sorted(Path(made).rglob("*.class")):
                name = zipfile.ZipInfo(str(file.relative_to(made)), (1980, 1, 1, 0, 0, 0))
                name.external_attr = 0o644 << 16
                packed.writestr(name, file.read_bytes())


if __name__ == "__main__":
    build(JAR)
    print(JAR.relative_to(ROOT), JAR.stat().st_size, "bytes", file=sys.stderr)
