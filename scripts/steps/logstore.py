"""Delta's log on S3 for several writers: one class of the Scala module, beside Delta's jars.

Spark ships Scala's compiler, so this needs neither a JDK nor sbt.
"""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from steps import packages
from steps.jars import JARS
from steps.paths import ROOT, SPARK_JARS

SOURCE = ROOT / "interop/src/main/scala/tfspark/delta/ConditionalLogStore.scala"
NEEDS = ("scala-library", "delta-storage", "hadoop-client-api")


def built(java: Path, spark_jars: Path = SPARK_JARS) -> Path:
    """The jar in the cache, compiled where it is not there for the source as it is."""
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]
    jar = JARS / f"tfspark-delta-{digest}.jar"
    if not jar.exists():
        JARS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=JARS) as folder:
            part = Path(folder, jar.name)
            _compile(java, spark_jars, part)
            os.replace(part, jar)  # noqa: PTH105
    return jar


def install(java: Path, spark_jars: Path = SPARK_JARS) -> None:
    jar = built(java, spark_jars)
    for old in spark_jars.glob("tfspark-delta-*.jar"):
        if old.name != jar.name:
            old.unlink()
    if not (spark_jars / jar.name).exists():
        shutil.copy(jar, spark_jars)


def _compile(java: Path, spark_jars: Path, jar: Path) -> None:
    compiler = sorted(map(str, spark_jars.glob("scala-*.jar")))
    needs = [str(next(spark_jars.glob(f"{name}-*.jar"))) for name in NEEDS]
    command = [java, "-XX:TieredStopAtLevel=1", "-cp", os.pathsep.join(compiler)]
    command += ["scala.tools.nsc.Main", "-classpath", os.pathsep.join(needs)]
    # As build.sbt has it, for a Java without a compiler.
    command += ["-Xunchecked-java-output-version:17", "-feature", "-Werror", "-d", jar, SOURCE]
    packages.command("Delta's log on S3", command)
