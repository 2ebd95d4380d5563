"""A process that scores sees the GPU that Spark gave its task; the cluster's GPUs are invented."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.sizes import size
from tfspark.scoring.worker import landlock


@pytest.mark.parametrize("gpus", size([1], soak=[1, 0]))
def test_each_process_sees_its_own(tmp_path: Path, cluster: str, gpus: int) -> None:
    command = [sys.executable, str(ROOT / "tests/scoring/gpu_driver.py"), cluster]
    ran = subprocess.run(
        [*command, str(tmp_path), str(gpus)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    found = json.loads(ran.stdout.strip().splitlines()[-1])
    assert len(found) == 2
    for task in found:
        assert task["roots"] == [2.0, 3.0]
        # TensorFlow sees no GPU, as these are invented.
        assert task["wall"] == bool(landlock.version())
        assert len(task["given"]) == gpus
        assert task["seen"] == (task["given"] or ["-1"])[0]
        assert task["child"] == [task["seen"]]
    assert {address for task in found for address in task["given"]} <= {"0", "1"}
