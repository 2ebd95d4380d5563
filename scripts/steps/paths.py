"""Where things are."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"
SITE = VENV / "lib" / "python3.11" / "site-packages"
SPARK_JARS = SITE / "pyspark" / "jars"
JRE = VENV / "jre"  # only where the system has no Java 17+
LOGS = ROOT / "build" / "setup"

LOCK = ROOT / "requirements.lock"
CORE_LOCK = ROOT / "requirements-core.lock"
RUNTIME_LOCK = ROOT / "requirements-runtime.lock"
AIRFLOW_LOCK = ROOT / "requirements-airflow.lock"
JAVA_LOCK = ROOT / "requirements-java.lock"
STORES_WHEELS_LOCK = ROOT / "requirements-stores.lock"
GPU_LOCK = ROOT / "requirements-gpu.lock"
JARS_LOCK = SCRIPTS / "jars.lock"
STORES_LOCK = SCRIPTS / "stores.lock"
HOROVOD_LOCK = SCRIPTS / "horovod.lock"
HOROVOD_PATCH = SCRIPTS / "horovod-0.28.1.patch"
HOROVOD_GPU_PATCH = SCRIPTS / "horovod-0.28.1-gpu.patch"


def user_cache() -> Path:
    """Absolute XDG_CACHE_HOME only, as its specification says."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    return Path(named) if named.startswith("/") else Path.home() / ".cache"


CACHE = user_cache() / "tfspark"
STORES = Path(os.environ.get("TFSPARK_STORES") or CACHE / "stores").absolute()
