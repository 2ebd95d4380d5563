"""Build tfspark/storage/log_store.jar: Delta's log on S3, one class of the Scala module.

The jar is in the repository, so that users need no compiler. Its comment is the sum of the source;
a test compares them. Run this after a change of the source; Spark ships Scala's compiler.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "interop/src/main/scala/tfspark/delta/ConditionalLogStore.scala"
JAR = ROOT / "tfspark" / "storage" / "log_store.jar"
NEEDS = ("scala-library", "delta-storage", "hadoop-client-api")


def source_sum() -> str:
    return hashlib.sha256(SOURCE.read_bytes()).hexdigest()


def build(jar: Path) -> None:
    """Compile against the jars of this environment's Spark, for Java 17."""
    import pyspark

    spark = Path(pyspark.__file__).parent / "jars"
    compiler = os.pathsep.join(sorted(map(str, spark.glob("scala-*.jar"))))
    needs = os.pathsep.join(str(next(spark.glob(f"{name}-*.jar"))) for name in NEEDS)
    with tempfile.TemporaryDirectory() as made:
        command = ["java", "-XX:TieredStopAtLevel=1", "-cp", compiler, "scala.tools.nsc.Main"]
        command += ["-classpath", needs, "-Xunchecked-java-output-version:17", "-Werror"]
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
