"""Spark's classes as Java maps them into memory, checked once: Spark starts sooner by a third.

Java's own class data sharing (JEP 350). The archive is good for the Java and the jars that it was
made with, at their paths; where that is no longer so Java starts without it. scripts/env.sh has the
options that use it.
"""

import hashlib
import os
import subprocess
from pathlib import Path

from steps import ui
from steps.paths import JARS_LOCK, LOCK, LOGS, PYTHON, ROOT, SITE, VENV

JOB = Path(__file__).with_name("spark_job.py")
ARCHIVE = VENV / "spark.jsa"
MADE_FOR = VENV / "spark.jsa.key"
PART = VENV / "spark.jsa.part"
OPTIONS = (f"-XX:ArchiveClassesAtExit={PART}", "-XX:TieredStopAtLevel=1", "-Xlog:disable")


class Build:
    """The archive, made by a small job beside other steps."""

    def __init__(self, java: Path) -> None:
        self.java = java
        self.process: subprocess.Popen[bytes] | None = None
        version = subprocess.run([java, "-version"], capture_output=True, check=True).stderr
        digest = hashlib.sha256(version + str(VENV).encode())
        for file in (LOCK, JARS_LOCK, JOB):
            digest.update(file.read_bytes())
        self.key = digest.hexdigest()

    def start(self) -> None:
        if ARCHIVE.exists() and MADE_FOR.exists() and MADE_FOR.read_text("utf-8") == self.key:
            return
        PART.unlink(missing_ok=True)
        LOGS.mkdir(parents=True, exist_ok=True)
        submit = [SITE / "pyspark" / "bin" / "spark-submit", "--master", "local[2]"]
        submit += ["--properties-file", ROOT / "conf" / "spark-defaults.conf"]
        submit += ["--conf", "spark.ui.enabled=false", "--conf", "spark.driver.host=127.0.0.1"]
        env = os.environ | {
            "JAVA_HOME": str(self.java.parent.parent),
            "PYSPARK_PYTHON": str(PYTHON),
            "PYSPARK_DRIVER_PYTHON": str(PYTHON),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_HOME": str(SITE / "pyspark"),
            "SPARK_CONF_DIR": str(SITE / "pyspark" / "conf"),
            "SPARK_SUBMIT_OPTS": " ".join(OPTIONS),
        }
        with (LOGS / "spark-classes.log").open("wb") as log:
            self.process = subprocess.Popen(
                [*submit, JOB], env=env, cwd=LOGS, stdout=log, stderr=log
            )

    def finish(self) -> None:
        if self.process is None:
            return
        code = self.process.wait()
        if code or not PART.exists():
            ui.say(f"  Spark's classes: not made (see {LOGS / 'spark-classes.log'}); Spark starts")
            ui.say("  without them, and takes half as long again")
            return
        PART.replace(ARCHIVE)  # a part of an archive would crash Java
        MADE_FOR.write_text(self.key, encoding="utf-8")

    def drop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            PART.unlink(missing_ok=True)
