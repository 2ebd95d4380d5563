"""Models that only compute pass; models that could do more are refused, with op, node, function."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tests import saved_models as models
from tests.old.make import HERE, MODELS
from tfspark.errors import UnsafeModelError
from tfspark.registry.allowlist import allowed_ops
from tfspark.registry.fields import saved_model_fields
from tfspark.registry.safety import allowed, check_ops

NEVER = """
ReadFile WriteFile MatchingFiles PyFunc PyFuncStateless EagerPyFunc SaveV2 RestoreV2 MapDataset
TFRecordDatasetV2 IteratorGetNext PrintV2 Abort XlaCallModule DebugIdentityV3 DecodeProtoV2
ImmutableConst RpcClient Skipgram QueueDequeueV2 _Recv LoadAndRemapMatrix WholeFileReaderV2
InitializeTableFromTextFileV2 CreateSummaryFileWriter
"""
TEXT = [tf.TensorSpec([None], tf.string, name="x")]


def edit(folder: str, change: Callable[[Any], None]) -> None:
    """Change a SavedModel's first meta graph, as an attacker would."""
    file = Path(folder) / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    change(model.meta_graphs[0])
    file.write_bytes(model.SerializeToString())


def test_the_list_is_what_the_rule_gives() -> None:
    assert sorted(allowed()) == allowed_ops()


def test_the_table_of_fields_is_what_the_rule_gives() -> None:
    table = files("tfspark.registry").joinpath("saved_model_fields.txt").read_text("utf-8")
    assert table.splitlines() == saved_model_fields()


@pytest.mark.parametrize("op", NEVER.split())
def test_what_must_never_be_listed(op: str) -> None:
    assert op not in allowed()


def test_plain_models_pass(tmp_path: Path) -> None:
    for build in (models.mlp, models.mixed, models.picky, models.tokens, models.quoted):
        check_ops(build(tmp_path / build.__name__))
    check_ops(models.lookup(tmp_path / "lookup", tmp_path / "words.txt"))


def test_preprocessing_of_keras_passes(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("a\nb\n")
    text, number = keras.Input((1,), dtype="string", name="t"), keras.Input((1,), name="n")
    ids = keras.layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=4)(text)
    recurrent = keras.layers.LSTM(2)(keras.layers.Embedding(8, 2)(ids))
    parts = [
        recurrent,
        keras.layers.GRU(2)(keras.layers.Embedding(8, 2)(ids)),
        keras.layers.StringLookup(vocabulary=str(words), output_mode="one_hot")(text),
        keras.layers.Hashing(4, output_mode="one_hot")(text),
        keras.layers.Discretization([0.0, 1.0], output_mode="one_hot")(number),
        keras.layers.Normalization(mean=1.0, variance=2.0)(number),
        keras.layers.HashedCrossing(4, output_mode="one_hot")((text, text)),
    ]
    joined = keras.layers.Dropout(0.1)(keras.layers.Concatenate()(parts))
    out = keras.layers.Dense(1)(keras.layers.BatchNormalization()(joined))
    keras.Model([text, number], out).export(str(tmp_path / "m"), verbose=False)
    check_ops(str(tmp_path / "m"))


def test_images_and_text_in_the_graph_pass(tmp_path: Path) -> None:
    def serve(x):  # type: ignore[no-untyped-def]
        def one(content: tf.Tensor) -> tf.Tensor:
            image = tf.io.decode_image(content, channels=3, expand_animations=False)
            jpeg = tf.io.decode_jpeg(content, channels=3)
            sized = tf.image.resize(tf.ensure_shape(image, [None, None, 3]), [4, 4])
            return tf.reduce_mean(sized) + tf.reduce_mean(tf.cast(jpeg, tf.float32))

        tf.print("scoring", tf.shape(x))
        words = tf.strings.regex_replace(tf.strings.lower(x), "[^a-z]", "")
        return {
            "mean": tf.map_fn(one, x, fn_output_signature=tf.float32),
            "words": tf.strings.split(words).to_tensor(),
        }

    check_ops(models.save(tmp_path / "m", TEXT, serve))


def read_file(x: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"y": tf.map_fn(tf.io.read_file, x)}


def write_file(x: tf.Tensor) -> dict[str, tf.Tensor]:
    tf.io.write_file("/tmp/owned", x[0])
    return {"y": x}


def python(x: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"y": tf.ensure_shape(tf.py_function(lambda v: v, [x], tf.string), [None])}


def numpy(x: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"y": tf.ensure_shape(tf.numpy_function(lambda v: v, [x], tf.string), [None])}


def branch(x: tf.Tensor) -> dict[str, tf.Tensor]:
    hidden = tf.function(lambda: tf.reshape(tf.io.read_file("/etc/passwd"), [1]))
    return {"y": tf.cond(tf.size(x) > 1000, hidden, lambda: x)}


def pipeline(x: tf.Tensor) -> dict[str, tf.Tensor]:
    data = tf.data.Dataset.from_tensor_slices(x).map(tf.io.read_file)
    return {"y": tf.reshape(data.reduce(tf.constant(""), lambda a, b: a + b), [1])}


def matching(x: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"y": tf.io.matching_files(x)}


def print_to_file(x: tf.Tensor) -> dict[str, tf.Tensor]:
    tf.print(x, output_stream="file:///tmp/owned")
    return {"y": x}


@pytest.mark.parametrize(
    ("function", "op"),
    [
        (read_file, "ReadFile"),
        (write_file, "WriteFile"),
        (python, "EagerPyFunc"),
        (numpy, "PyFunc"),
        (branch, "ReadFile"),
        (pipeline, "Dataset"),
        (matching, "MatchingFiles"),
        (print_to_file, "prints to a file"),
    ],
)
def test_what_does_more_than_compute_is_refused(tmp_path: Path, function: Any, op: str) -> None:
    folder = models.save(tmp_path / "m", TEXT, function)
    with pytest.raises(UnsafeModelError, match=op) as caught:
        check_ops(folder)
    assert "node" in str(caught.value)
    assert "function" in str(caught.value)


def test_the_savers_ops_are_for_the_saver_alone(tmp_path: Path) -> None:
    folder = models.mlp(tmp_path / "m")
    check_ops(folder)

    def hide(meta: Any) -> None:
        serving = next(
            f for f in meta.graph_def.library.function if "signature_wrapper" in f.signature.name
        )
        save = next(f for f in meta.graph_def.library.function if "traced_save" in f.signature.name)
        for node in serving.node_def:
            if "Call" in node.op:
                node.attr["f"].func.name = save.signature.name

    edit(folder, hide)
    with pytest.raises(UnsafeModelError, match="SaveV2"):
        check_ops(folder)


def test_a_saver_among_the_objects_is_refused(tmp_path: Path) -> None:
    folder = models.mlp(tmp_path / "m")

    def name_it(meta: Any) -> None:
        functions = [f.signature.name for f in meta.graph_def.library.function]
        save = next(name for name in functions if "traced_save" in name)
        meta.object_graph_def.concrete_functions[save].bound_inputs.append(0)

    edit(folder, name_it)
    with pytest.raises(UnsafeModelError, match="is not allow-listed"):
        check_ops(folder)


def test_a_text_table_reads_assets_only(tmp_path: Path) -> None:
    folder = models.lookup(tmp_path / "m", tmp_path / "words.txt")

    def rebind(meta: Any) -> None:
        objects = meta.object_graph_def
        for node in objects.nodes:
            if node.HasField("asset"):
                node.constant.operation = "Const"

    edit(folder, rebind)
    with pytest.raises(UnsafeModelError, match="reads a file that is no asset"):
        check_ops(folder)


def test_a_text_table_of_a_constant_path_is_refused(tmp_path: Path) -> None:
    def serve(x):  # type: ignore[no-untyped-def]
        table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64)
        tf.raw_ops.InitializeTableFromTextFileV2(
            table_handle=table, filename="/etc/passwd", key_index=-2, value_index=-1
        )
        return {
            "y": tf.raw_ops.LookupTableFindV2(
                table_handle=table, keys=x, default_value=tf.constant(-1, tf.int64)
            )
        }

    folder = models.save(tmp_path / "m", TEXT, serve)
    with pytest.raises(UnsafeModelError, match="InitializeTableFromTextFileV2"):
        check_ops(folder)


def test_an_asset_outside_the_folder_is_refused(tmp_path: Path) -> None:
    folder = models.lookup(tmp_path / "m", tmp_path / "words.txt")

    def climb(meta: Any) -> None:
        meta.asset_file_def[0].filename = "../../../etc/passwd"

    edit(folder, climb)
    with pytest.raises(UnsafeModelError, match="not in the model's folder"):
        check_ops(folder)


def test_a_function_that_is_not_there_is_refused(tmp_path: Path) -> None:
    folder = models.mlp(tmp_path / "m")

    def rename(meta: Any) -> None:
        for node in meta.graph_def.node:
            if "Call" in node.op:
                node.attr["f"].func.name = "ReadFile"

    edit(folder, rename)
    with pytest.raises(UnsafeModelError, match="calls ReadFile, which the model does not hold"):
        check_ops(folder)


def test_a_second_form_of_the_model_is_refused(tmp_path: Path) -> None:
    folder = models.mlp(tmp_path / "m")
    (tmp_path / "m" / "saved_model.cpb").write_bytes(b"another graph")
    with pytest.raises(UnsafeModelError, match=r"saved_model\.cpb"):
        check_ops(folder)


@pytest.mark.parametrize("make", MODELS, ids=lambda make: str(make.__name__))
def test_an_old_model_passes(make: Callable[[Path], None]) -> None:
    check_ops(str(HERE / make.__name__), tensorflow=True)


def test_an_input_may_have_a_default(tmp_path: Path) -> None:
    folder = models.mlp(tmp_path / "m")

    def default(meta: Any) -> None:
        name = meta.signature_def["serving_default"].inputs["features"].name.split(":")[0]
        nodes = meta.graph_def.node
        given = next(node for node in nodes if node.name == name)
        nodes.add().CopyFrom(given)
        nodes[-1].op = "PlaceholderWithDefault"
        nodes[-1].input.append("default")
        given.name, given.op = "default", "Const"

    edit(folder, default)
    check_ops(folder)


def test_a_custom_op_is_refused(tmp_path: Path) -> None:
    folder = models.mlp(tmp_path / "m")

    def sneak(meta: Any) -> None:
        meta.graph_def.library.function[0].node_def.add(name="evil", op="MyOwnOp")

    edit(folder, sneak)
    with pytest.raises(UnsafeModelError, match=r"MyOwnOp \(node evil in function"):
        check_ops(folder)
