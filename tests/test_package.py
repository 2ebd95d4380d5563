"""`pip install .` in an empty environment: then a bare SavedModel scores a bare table."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from tests import saved_models as models
from tests.conftest import ROOT

pytestmark = pytest.mark.usefixtures("package")

# uv, because it links what set-up has downloaded; the lock says which versions. Delta's jars from
# set-up's cache too: where there are none, Spark asks Maven Central for them.
INSTALL = """
import sys
from pathlib import Path
sys.path.insert(0, "scripts")
from steps import jars, java, packages
from steps.paths import CORE_LOCK, ROOT, UV
folder = Path(sys.argv[1])
packages.command("Empty environment", [UV, "venv", "--python", sys.executable, folder])
fresh = ["--constraint", CORE_LOCK, "--refresh-package", "tfspark"]
python = folder / "bin" / "python"
packages.finish(packages.start_uv("pip install .", "install", *fresh, ROOT, python=python))
jars.install(java.find(), next(folder.glob("lib/*/site-packages/pyspark/jars")))
"""
ABOUT = """
import importlib.metadata, importlib.util, tfspark
print(tfspark.__file__)
print(tfspark.__version__ == importlib.metadata.version("tfspark"))
print([importlib.util.find_spec(name) for name in ("horovod", "petastorm", "optuna", "pytest")])
"""


def run(cwd: Path, *command: str | Path) -> str:
    """What it prints; nothing of the environment of these tests reaches it."""
    ours = ("PYTHON", "PYSPARK", "SPARK_HOME", "VIRTUAL_ENV")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    ran = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_installed_it_scores_a_bare_table(tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    run(ROOT, sys.executable, "-c", INSTALL, environment)
    file, same_version, absent = run(
        tmp_path, environment / "bin" / "python", "-c", ABOUT
    ).splitlines()
    assert Path(file).is_relative_to(environment)
    assert same_version == "True"
    assert absent == "[None, None, None, None]"

    table = tmp_path / "table"
    table.mkdir()
    columns = {"id": ["a", "b", "c"], "x": pa.array([4.0, 9.0, 0.25], pa.float32())}
    pq.write_table(pa.table(columns), table / "rows.parquet")
    model = models.picky(tmp_path / "model")
    scored = tmp_path / "scored"
    asked = ["--input", table, "--model", model, "--output", scored, "--keep", "id"]
    run(tmp_path, environment / "bin" / "tfspark", "score", *asked, "--date", "2026-11-20")
    rows = DeltaTable(scored).to_pyarrow_table().select(["id", "root"]).to_pylist()
    assert sorted((row["id"], row["root"]) for row in rows) == [("a", 2.0), ("b", 3.0), ("c", 0.5)]
