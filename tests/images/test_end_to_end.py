"""conf/cifar2.yaml on small images, good and bad: prepared, trained, scored."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from deltalake import DeltaTable

from tests.conftest import ROOT
from tests.images import pictures
from tests.serving.equal import served
from tests.sizes import size
from tfspark.config import load_settings
from tfspark.console import Steps
from tfspark.contracts import load_contract
from tfspark.dataset import find_dataset
from tfspark.prepare import prepare
from tfspark.registry.savedmodel import FILE, parse
from tfspark.scoring import score, score_table
from tfspark.training.train import train

# score_table takes `arrow` for a source of images.
PLANS = size(("jvm",), soak=("scan", "arrow", "pandas", "jvm"))


@pytest.mark.usefixtures("whole_jobs")
def test_images_from_a_zip_to_a_scored_table(spark: Any, tmp_path: Path) -> None:
    good = pictures.good(size(44, soak=2_000))
    bad = {name: content for name, (content, _) in pictures.bad().items()}
    doubled = next(iter(good))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the name that is there twice
        packed = pictures.zipped(
            tmp_path / "t.zip",
            [*good.items(), *bad.items(), (doubled, good[doubled]), ("read me.txt", b"x")],
        )
    warehouse = tmp_path / "warehouse"
    given = {
        "contract": str(_contract(tmp_path, share=0.5)),
        "source.path": str(packed),
        "warehouse": str(warehouse),
        "training.epochs": 2,
        "training.batch_size": 8,
        "model.params": {"filters": [4, 8]},
        "distributed.ranks": 1,
        "registry.gate": {"accuracy": 0.0},
        "prepare.split.test": 0.2,
        "prepare.split.validation": 0.2,
    }
    settings = load_settings(str(ROOT / "conf" / "cifar2.yaml"), given)
    prepared = prepare(spark, settings, Steps("prepare"))
    assert prepared["quarantined"] == len(bad) + 2
    reasons = _reasons(warehouse)
    for name, (_, said) in pictures.bad().items():
        assert any(said in why for why in reasons[name]), (name, reasons.get(name))
    assert reasons.pop(doubled) == ["path: there 2 times"] * 2
    assert reasons.keys() == bad.keys()
    dataset = find_dataset(str(warehouse / "datasets" / "cifar2"))
    assert sum(dataset.manifest["rows"].values()) == len(good) - 1

    train(settings, Steps("train"))
    folder = warehouse / "models" / "cifar2" / "1"
    ops = {node.op for node in _nodes(folder)}
    assert "DecodeImage" in ops
    assert not {op for op in ops if "Random" in op or op == "ReverseV2"}  # in training alone

    summary = score_table(
        spark,
        settings.source,
        str(folder),
        settings.scored,
        "2026-11-20",
        contract=load_contract(settings.contract),
        quarantine=settings.quarantine,
    )
    assert summary.rows_in == len(good) + len(bad) + 1
    scored = DeltaTable(settings.scored).to_pyarrow_table()
    found = dict(zip(scored["path"].to_pylist(), scored["probability"].to_pylist(), strict=True))
    names = sorted(set(good) - {doubled})
    call = tf.saved_model.load(str(folder)).signatures["serving_default"]
    expected = call(image=tf.constant([good[name] for name in names]))["probability"].numpy()[:, 0]
    assert found.keys() == {*names, "top.jpg"}  # nobody needs the label of what is scored
    np.testing.assert_allclose([found[name] for name in names], expected, atol=1e-6)

    told = served(str(folder), {"image": [good[name] for name in names]})
    np.testing.assert_allclose([one[0] for one in told], expected, atol=1e-6)

    rows = [(n, bytearray(good[n])) for n in names] + [("bad", bytearray(b"hello"))]
    table = str(tmp_path / "rows.parquet")
    spark.createDataFrame(rows, "path string, image binary").write.parquet(table)
    for plan in PLANS:
        df = score(spark.read.parquet(table), str(folder), plan=plan, on_bad_row="null")
        by_path = {row["path"]: row["probability"] for row in df.collect()}
        assert by_path["bad"] is None
        np.testing.assert_allclose([by_path[n] for n in names], expected, atol=1e-6, err_msg=plan)


def _contract(folder: Path, share: float) -> Path:
    text = (ROOT / "schemas" / "cifar2.yaml").read_text("utf-8")
    path = folder / "contract.yaml"
    path.write_text(text.replace("maxShare: 0.01", f"maxShare: {share}"), "utf-8")
    return path


def _reasons(warehouse: Path) -> dict[str, list[str]]:
    """Path → what is said of it, of the quarantine."""
    table = DeltaTable(str(warehouse / "quarantine")).to_pyarrow_table()
    found: dict[str, list[str]] = {}
    for row in table.to_pylist():
        found.setdefault(json.loads(row["raw"])["path"], []).extend(row["reasons"])
    return found


def _nodes(folder: Path) -> list[Any]:
    graph = parse((folder / FILE).read_bytes(), "model").meta_graphs[0].graph_def
    return [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
