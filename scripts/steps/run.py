"""The order of set-up. What another step can do while Horovod compiles is done then."""

import fcntl
import os
import time

from steps import classes, horovod, jars, java, logstore, packages, ui
from steps.paths import JAVA_LOCK, JRE, LOCK, PYTHON, ROOT, SCRIPTS, SPARK_JARS


def setup(check_only: bool = False) -> None:
    if check_only:
        check()
        return
    started = time.monotonic()
    # On the folder itself, so that no file stays: of two set-ups here, one waits.
    here = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(here, fcntl.LOCK_EX)

    ui.say(f"Setting up {ROOT / '.venv'}  (caches: {packages.user_cache()})")
    build = horovod.Build()
    if not build.wheel():
        build.check_tools()
    packages.check_disk()
    packages.make_venv()
    packages.install_uv()
    packages.install_first()
    java_command, from_wheel = java.prepare()
    build.start()
    spark_classes = None
    try:
        packages.sync(LOCK, *([JAVA_LOCK] if from_wheel else []))
        jars.install(java_command)
        logstore.install(java_command)
        spark_classes = classes.Build(java_command)
        spark_classes.start()
        wheel = build.finish()
        packages.install("Horovod (installing)", wheel)
        packages.install("tfspark", "--editable", ".")
        check()
    except BaseException:
        build.drop()
        if spark_classes:
            spark_classes.drop()
        raise
    spark_classes.finish()
    ui.say(f"\nready in {time.monotonic() - started:.0f} s. Next: make demo, or: make help")


def check() -> None:
    """Import everything in the new environment and print the versions."""
    env = dict(os.environ)
    if (JRE / "bin" / "java").exists():
        env["JAVA_HOME"] = str(JRE)
    env["TFSPARK_JARS"] = str(sum((SPARK_JARS / jar.file).exists() for jar in jars.locked()))
    # -P: steps/horovod.py is not the horovod to import.
    ui.say(ui.run("Checking", [PYTHON, "-P", SCRIPTS / "steps" / "check.py"], env=env, cwd=ROOT))
