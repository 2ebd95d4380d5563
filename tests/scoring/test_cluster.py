"""On a real cluster: the model's folder is gone, each Python process opens the model once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import tensorflow as tf

from tests import saved_models as models
from tests.conftest import ROOT
from tfspark.registry.manifest import digest_folder

ROWS = 8000


def test_one_load_a_process_without_the_source_folder(tmp_path: Path, cluster: str) -> None:
    folder = models.mlp(tmp_path / "model")
    digest = digest_folder(folder)
    features = np.random.default_rng(5).normal(size=(ROWS, 4)).astype("float32")
    bare = tf.saved_model.load(folder).signatures["serving_default"](features=tf.constant(features))
    expected = bare["score"].numpy()[:, 0]
    columns = {"id": np.arange(ROWS), **{f"f{i}": features[:, i] for i in range(4)}}
    (tmp_path / "rows").mkdir()
    for part in range(4):
        piece = pa.table(columns).slice(part * ROWS // 4, ROWS // 4)
        pq.write_table(piece, tmp_path / "rows" / f"{part}.parquet")

    command = [sys.executable, str(ROOT / "tests/scoring/on_cluster.py"), cluster, str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert ran.returncode == 0, ran.stderr[-3000:]
    said = json.loads(ran.stdout.strip().splitlines()[-1])

    assert not Path(folder).exists()
    for name in ("first", "second", "udf"):
        files = [str(f) for f in (tmp_path / name).glob("*.parquet")]
        result = pads.dataset(files).to_table().sort_by("id")
        assert result["id"].to_pylist() == list(range(ROWS))
        assert np.abs(result["score"].to_numpy() - expected).max() <= 1e-6
    assert said["summary"]["rows_in"] == said["summary"]["scored"] == ROWS
    assert said["summary"]["plan"] == "scan"
    assert said["executors"] == 2
    # After each task Spark's worker collects garbage: not in what TensorFlow's import has made.
    assert said["frozen"] > 100_000
    # Many tasks of four queries; as many loads as processes, and one unpacked folder.
    loads = Counter((tmp_path / "cache" / f"{digest}.loads").read_text().split("\n")[:-1])
    assert set(loads.values()) == {1}
    assert 1 <= len(loads) <= 4
    folders = [path.name for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    assert [name for name in folders if not name.startswith(".view-")] == [digest]
