"""Nights by a real Airflow, in build/airflow: `make test-airflow`.

Airflow's packages conflict with the library's: it has an environment of its own, from
requirements-airflow.lock. The test is tests/night/test_airflow.py.
"""

import os
import subprocess
import sys

from steps import packages, ui
from steps.paths import AIRFLOW_LOCK, PYTHON, ROOT, UV

HOME = ROOT / "build" / "airflow"


def main() -> int:
    """The exit code of the tests."""
    python = HOME / "bin" / "python"
    if not python.exists():
        packages.command("Airflow's Python", [UV, "venv", "--clear", "--python", PYTHON, HOME])
    hashed = ("--require-hashes", AIRFLOW_LOCK)
    packages.finish(packages.start_uv("Airflow", "sync", *hashed, python=python))
    command = [PYTHON, "-m", "pytest", "-m", "airflow", "tests/night/test_airflow.py"]
    env = os.environ | {"AIRFLOW_PYTHON": str(python)}
    return subprocess.run(command, cwd=ROOT, env=env, check=False).returncode


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ui.SetupError as error:
        ui.fail(str(error), what="setting up Airflow")
    except OSError as error:
        ui.fail(packages.explain_os_error(error), what="setting up Airflow")
    except KeyboardInterrupt:
        ui.fail("interrupted; run `make test-airflow` again", "Airflow")
