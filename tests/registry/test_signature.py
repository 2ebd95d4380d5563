"""Signatures are read as TensorFlow wrote them, without TensorFlow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from tensorflow.core.protobuf import saved_model_pb2

from tests import saved_models as models
from tests.conftest import ROOT
from tests.old.make import HERE
from tfspark.errors import IntegrityError, SignatureError, UnsafeModelError
from tfspark.registry.safety import check_ops
from tfspark.registry.signature import read_signature
from tfspark.tensors import TensorSpec


def test_inputs_and_outputs(tmp_path: Path) -> None:
    signature = read_signature(models.mixed(tmp_path / "m"))
    assert signature.name == "serving_default"
    assert signature.batch is None
    assert signature.inputs == {
        "age": TensorSpec("float32"),
        "paid": TensorSpec("bool"),
        "sex": TensorSpec("string"),
        "siblings": TensorSpec("int64"),
    }
    assert signature.outputs == {
        "label": TensorSpec("string"),
        "p": TensorSpec("float32"),
        "parts": TensorSpec("float32", (2,)),
    }


def test_open_shapes_and_fixed_batches(tmp_path: Path) -> None:
    ids = read_signature(models.tokens(tmp_path / "t"))
    assert ids.inputs == {"ids": TensorSpec("int64", (None,))}
    three = read_signature(models.fixed_batch(tmp_path / "f"))
    assert three.batch == 3
    assert three.inputs == {"x": TensorSpec("float32", (2,))}


def test_an_unknown_signature_lists_those_there_are(tmp_path: Path) -> None:
    folder = models.mlp(tmp_path / "m")
    with pytest.raises(SignatureError, match=r"no signature nope \(there are: serving_default\)"):
        read_signature(folder, "nope")


def test_one_of_another_name_is_named() -> None:
    with pytest.raises(SignatureError, match=r"\(there are: incr\); name one of these: signature"):
        read_signature(str(HERE / "counter"))


def test_a_model_that_counts_takes_no_rows() -> None:
    with pytest.raises(SignatureError, match="incr takes no inputs, so it gives nothing for a row"):
        read_signature(str(HERE / "counter"), "incr")


def test_a_model_without_signatures(tmp_path: Path) -> None:
    tf.saved_model.save(tf.Module(), str(tmp_path / "m"))
    with pytest.raises(SignatureError, match="has no signature; export it with one"):
        read_signature(str(tmp_path / "m"))


def test_an_output_without_rows_is_refused(tmp_path: Path) -> None:
    spec = tf.TensorSpec([None], tf.float32, name="x")
    folder = models.save(tmp_path / "m", [spec], lambda x: {"y": tf.reduce_sum(x)})
    with pytest.raises(SignatureError, match="output y is one value for the whole batch"):
        read_signature(folder)


def test_a_resource_is_no_output(tmp_path: Path) -> None:
    folder = models.mlp(tmp_path / "m")
    file = tmp_path / "m" / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    model.meta_graphs[0].signature_def["serving_default"].outputs["score"].dtype = 20
    file.write_bytes(model.SerializeToString())
    with pytest.raises(SignatureError, match="output score is no plain tensor"):
        read_signature(folder)


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    folder = models.mlp(tmp_path / "m")
    file = tmp_path / "m" / "saved_model.pb"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(IntegrityError, match="cut off"):
        read_signature(folder)
    file.write_bytes(b"")
    with pytest.raises(IntegrityError, match="holds no graph"):
        read_signature(folder)


def test_tensorflow_is_not_imported(tmp_path: Path) -> None:
    folder = models.mlp(tmp_path / "m")
    code = (
        "import sys; from tfspark.registry.resolve import resolve_model; "
        f"print(resolve_model({folder!r}).signature.inputs, 'tensorflow' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "features" in ran.stdout
    assert ran.stdout.strip().endswith("False")


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = Path(models.mixed(tmp_path_factory.mktemp("models") / "m"))
    return (folder / "saved_model.pb").read_bytes()


@given(st.data())
def test_damage_is_an_error_of_ours(
    content: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    damaged = bytearray(content[: data.draw(st.integers(0, len(content)))])
    for place in data.draw(st.lists(st.integers(0, max(len(damaged) - 1, 0)), max_size=8)):
        damaged[place : place + 1] = data.draw(st.binary(min_size=1, max_size=1))
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "saved_model.pb").write_bytes(damaged)
    try:
        read_signature(str(folder))
        check_ops(str(folder))
    except (IntegrityError, SignatureError, UnsafeModelError):
        pass
