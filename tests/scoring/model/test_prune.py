"""What is left of a model for one signature."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tests import saved_models as models
from tests.old.make import FILE, HERE, edited
from tfspark.registry.entry import serving
from tfspark.registry.signature import read_signature
from tfspark.scoring.model.prune import Pruned, pruned
from tfspark.scoring.worker.session import open_session

X = np.arange(6, dtype="float32").reshape(3, 2)
Y = X @ [[1.5], [-0.25]] + 3.0


def of(folder: Path | str, signature: str = "serving_default") -> Pruned:
    content = Path(folder, FILE).read_bytes()
    graphs = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    return pruned(serving(graphs, str(folder)), signature)


def keys(part: Pruned) -> list[bytes]:
    """What is read of the checkpoint."""
    for node in part.graph.node:
        if node.name == "tfspark_restore/keys":
            return list(tf.make_ndarray(node.attr["value"].tensor))
    return []


def score(folder: Path | str, *given: Any, signature: str = "serving_default") -> dict[str, Any]:
    return open_session(str(folder), read_signature(str(folder), signature))(*given)


@pytest.mark.parametrize("name", ["reference", "resource"])
def test_slots_and_savers_are_left_out(name: str) -> None:
    part = of(HERE / name)
    assert set(keys(part)) == {b"weights", b"bias"}
    ops = {node.op for node in part.graph.node}
    assert not ops & {"SaveV2", "MergeV2Checkpoints", "ResourceApplyAdam", "ApplyAdam"}


def test_slots_of_keras_are_left_out() -> None:
    part = of(HERE / "slots")
    assert keys(part) == [b"embedding/.ATTRIBUTES/VARIABLE_VALUE"]
    named = {f.signature.name.rstrip("0123456789") for f in part.graph.library.function}
    assert not any("traced" in name for name in named)


def test_the_parts_of_a_split_variable_are_read_as_parts() -> None:
    part = of(HERE / "estimator", "predict")
    assert keys(part) == [b"embedding", b"embedding"]


def test_without_variables_nothing_is_restored() -> None:
    assert of(HERE / "table").restore == ""
    assert not any(node.op == "RestoreV2" for node in of(HERE / "table").graph.node)


def test_a_restore_that_does_more_is_kept(tmp_path: Path) -> None:
    """A table that was saved: its rows come from the checkpoint."""
    table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
    table.insert(tf.constant(["a", "b"]), tf.constant([10, 20], tf.int64))

    def serve(module: Any, word: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"worth": module.table.lookup(word)}

    spec = [tf.TensorSpec([None], tf.string, name="word")]
    folder = models.save(tmp_path / "m", spec, serve, table=table)
    assert not of(folder).restore.startswith("tfspark")
    words = np.array([b"b", b"c", b"a"], object)
    assert score(folder, words)["worth"].tolist() == [20, -1, 10]


def test_devices_and_places_of_the_training_are_gone(tmp_path: Path) -> None:
    """A parameter server's device is none here; nodes stand beside ones that are left out."""
    shutil.copytree(HERE / "reference", tmp_path / "m")

    def trained_elsewhere(model: Any) -> None:
        for node in model.meta_graphs[0].graph_def.node:
            node.device = "/job:ps/replica:0/task:0/device:GPU:7"
            if node.name in ("weights", "MatMul"):
                node.attr["_class"].list.s[:] = [b"loc:@weights/Adam", b"loc:@weights"]

    edited(tmp_path / "m", trained_elsewhere)
    assert np.abs(score(tmp_path / "m", X)["y"] - Y).max() <= 1e-6


def test_two_models_of_the_same_names_do_not_meet(tmp_path: Path) -> None:
    """Variables and tables have the same names, and values of their own."""
    made = {}
    for number in (1.0, 2.0):
        variable = tf.Variable([[number], [number]])
        folder = tmp_path / str(number)
        spec = [tf.TensorSpec([None, 2], tf.float32, name="x")]
        models.save(folder, spec, lambda module, x: {"y": x @ module.variable}, variable=variable)
        made[number] = open_session(str(folder), read_signature(str(folder)))
    for number, call in made.items():
        assert call(X)["y"].tolist() == (X.sum(1, keepdims=True) * number).tolist()


def test_an_input_that_is_no_placeholder_is_fed() -> None:
    ages = np.array([[2.0], [1.0]], "float32")
    words = np.array([[b"green"], [b"green"]], object)
    (score_of,) = score(HERE / "estimator", ages, words, signature="predict").values()
    assert score_of[0] == pytest.approx(2 * score_of[1])
