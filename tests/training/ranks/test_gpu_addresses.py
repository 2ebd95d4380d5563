"""GPUs by Spark's resource scheduling, on a real cluster whose GPUs are invented."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.training.ranks.test_launch import driver, of

pytestmark = pytest.mark.usefixtures("process")
GPUS = ["spark.executor.resource.gpu.amount=1", "spark.task.resource.gpu.amount=1"]


def test_each_rank_sees_a_gpu_of_its_own(tmp_path: Path, standalone_cluster: Any) -> None:
    with standalone_cluster(tmp_path / "cluster", workers=1, cores=3, gpus=2) as master:
        code, said = driver("surroundings", master, tmp_path, *GPUS)
        assert code == 0, said
        found = [r["environment"]["CUDA_VISIBLE_DEVICES"] for r in of(said, "surroundings")]
        assert sorted(found) == ["0", "1"]
        # Three cores, but two GPUs: Spark has two slots.
        code, said = driver("too_many", master, tmp_path, *GPUS)
        assert code == 2
        assert "has 2 after 2 s" in said[-1]["message"]
        assert "spark.task.resource.gpu.amount" in said[-1]["message"]
