"""Imports what set-up installed and prints every version; run by .venv's Python."""

import importlib
import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

# module to import, name of the distribution
PACKAGES = [
    ("tensorflow", "tensorflow"),
    ("keras", "keras"),
    ("horovod.tensorflow", "horovod"),
    ("pyspark", "pyspark"),
    ("delta", "delta-spark"),
    ("pyarrow", "pyarrow"),
    ("numpy", "numpy"),
    ("pandas", "pandas"),
    ("mlflow", "mlflow"),
    ("deltalake", "deltalake"),
    ("duckdb", "duckdb"),
    ("pydantic", "pydantic"),
    ("tensorboard", "tensorboard"),
    ("tfspark", "tfspark"),
]


def main() -> int:
    rows = [("python", platform.python_version(), sys.executable), java_row()]
    failed = False
    for module, distribution in PACKAGES:
        note = ""
        try:
            loaded = importlib.import_module(module)
            if distribution == "horovod":
                note = horovod_note(loaded)
            elif distribution == "delta-spark":
                note = f"{os.environ.get('TFSPARK_JARS', '?')} jars beside Spark's"
        except Exception as error:
            failed, note = True, f"FAILED: {type(error).__name__}: {error}"
        rows.append((distribution, version(distribution), note))
    # Its import needs the compatibility layer of tfspark.
    rows.append(("petastorm", version("petastorm"), ""))
    print("\n".join(f"  {name:<14} {number:<12} {note}".rstrip() for name, number, note in rows))
    return 1 if failed or rows[1][1] == "missing" else 0


def java_row() -> tuple[str, str, str]:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if not java or not Path(java).exists():
        return "java", "missing", "FAILED: no java"
    out = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    return "java", out.split('"')[1] if '"' in out else "?", java


def horovod_note(hvd: object) -> str:
    if not hvd.gloo_built():  # type: ignore[attr-defined]
        raise RuntimeError("built without Gloo")
    return "with TensorFlow and Gloo"


if __name__ == "__main__":
    # TensorFlow's notes about this processor are no fault; faults are in the table.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.exit(main())
