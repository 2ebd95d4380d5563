"""Make the SavedModels of this folder, which are in the repository: forms that TensorFlow 2 does
not write any more, and some that it opens no longer.

    python -m tests.old.make
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

v1 = tf.compat.v1
HERE = Path(__file__).parent
FILE = "saved_model.pb"
WEIGHTS = np.array([[1.5], [-0.25]], "float32")
Info = v1.saved_model.build_tensor_info


def edited(folder: Path, change: Callable[[Any], None]) -> None:
    """Change the SavedModel of a folder."""
    file = folder / FILE
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    change(model)
    file.write_bytes(model.SerializeToString(deterministic=True))


def _signature(inputs: dict[str, Any], outputs: dict[str, Any]) -> Any:
    return v1.saved_model.build_signature_def(
        {name: Info(tensor) for name, tensor in inputs.items()},
        {name: Info(tensor) for name, tensor in outputs.items()},
        "tensorflow/serving/predict",
    )


def _linear(resource: bool, slots: bool = True) -> tuple[Any, Any]:
    """x [n, 2] → y [n, 1], beside what training leaves behind."""
    x = v1.placeholder(tf.float32, [None, 2], name="x")
    weights = v1.get_variable("weights", initializer=WEIGHTS, use_resource=resource)
    bias = v1.get_variable("bias", initializer=[3.0], use_resource=resource)
    y = tf.matmul(x, weights) + bias
    if slots:
        v1.train.AdamOptimizer().minimize(tf.reduce_sum(y), v1.train.get_or_create_global_step())
        v1.train.Saver()  # a second one, whose ops nobody runs
    return x, y


def _saved(folder: Path, build: Callable[[], dict[str, Any]], **more: Any) -> None:
    """Export a graph: `build` gives its signatures; `more` may name what initialises it."""
    with tf.Graph().as_default(), v1.Session() as session:
        signatures = build()
        init = [v1.global_variables_initializer(), v1.local_variables_initializer()]
        session.run([*init, v1.tables_initializer()])
        builder = v1.saved_model.Builder(str(folder))
        given = {name: make() for name, make in more.items()}
        assets = v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS)
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            signatures,
            assets_collection=assets or None,
            strip_default_attrs=True,
            **given,
        )
        builder.save()


def reference(folder: Path) -> None:
    """`simple_save` with variables that are references, Adam's slots beside them."""
    with tf.Graph().as_default(), v1.Session() as session:
        x, y = _linear(resource=False)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder), {"x": x}, {"y": y})


def resource(folder: Path) -> None:
    """The same with variables that are resources."""
    with tf.Graph().as_default(), v1.Session() as session:
        x, y = _linear(resource=True)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder), {"x": x}, {"y": y})


def _file(folder: Path) -> str:
    """A file of words, which becomes an asset."""
    words = folder.with_suffix(".txt")
    words.write_text("red\ngreen\nblue\n")
    return str(words)


def _words(folder: Path) -> Any:
    """A table of the words of a file."""
    made = tf.lookup.TextFileInitializer(
        _file(folder),
        tf.string,
        tf.lookup.TextFileIndex.WHOLE_LINE,
        tf.int64,
        tf.lookup.TextFileIndex.LINE_NUMBER,
    )
    return v1.lookup.StaticHashTable(made, -1)


def table(folder: Path) -> None:
    """A table from an asset, filled by a `legacy_init_op`; one of constants beside it."""

    def build() -> dict[str, Any]:
        word = v1.placeholder(tf.string, [None], name="word")
        place = _words(folder).lookup(word)
        keys, values = tf.constant(["red", "blue"]), tf.constant([10, 30], tf.int64)
        other = v1.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), 0)
        return {
            "serving_default": _signature(
                {"word": word}, {"place": place, "worth": other.lookup(word)}
            )
        }

    _saved(folder, build, legacy_init_op=v1.tables_initializer)


def first_ops(folder: Path) -> None:
    """The first kind of tables, which are references, from an asset."""

    def build() -> dict[str, Any]:
        word = v1.placeholder(tf.string, [None], name="word")
        asset = tf.constant(_file(folder), name="words")
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, asset)
        handle = tf.raw_ops.HashTable(
            key_dtype=tf.string, value_dtype=tf.int64, shared_name="words"
        )
        fill = tf.raw_ops.InitializeTableFromTextFile(
            table_handle=handle, filename=asset, key_index=-2, value_index=-1
        )
        v1.add_to_collection(v1.GraphKeys.TABLE_INITIALIZERS, fill)
        place = tf.raw_ops.LookupTableFind(
            table_handle=handle, keys=word, default_value=tf.constant(-1, tf.int64)
        )
        place.set_shape([None])
        return {"serving_default": _signature({"word": word}, {"place": place})}

    _saved(folder, build, main_op=v1.tables_initializer)


def unnamed(folder: Path) -> None:
    """No op is named that initialises it: a table of an asset and a local variable need one."""

    def build() -> dict[str, Any]:
        word = v1.placeholder(tf.string, [None], name="word")
        place = _words(folder).lookup(word)
        local = v1.get_local_variable("most", initializer=tf.constant(1, tf.int64))
        return {"serving_default": _signature({"word": word}, {"place": tf.minimum(place, local)})}

    _saved(folder, build)


def estimator(folder: Path) -> None:
    """As an estimator exports: serialized Examples, a split variable, tables, three signatures."""

    def build() -> dict[str, Any]:
        examples = v1.placeholder(tf.string, [None], name="input_example_tensor")
        columns = {
            "age": tf.io.FixedLenFeature([1], tf.float32, [30.0]),
            "word": tf.io.FixedLenFeature([1], tf.string, [""]),
        }
        parsed = v1.parse_example(examples, columns)
        age, word = tf.identity(parsed["age"], "age"), tf.identity(parsed["word"], "word")
        split = v1.get_variable(
            "embedding",
            [4, 3],
            initializer=v1.random_normal_initializer(seed=7),
            partitioner=v1.fixed_size_partitioner(2),
        )
        place = tf.squeeze(_words(folder).lookup(word), 1)
        hidden = v1.nn.embedding_lookup(split, place + 1, partition_strategy="div")
        score = tf.reduce_sum(hidden, 1, keepdims=True) * age
        keys = tf.constant([0, 1], tf.int64)
        labels = tf.lookup.KeyValueTensorInitializer(keys, tf.constant(["low", "high"]))
        label = v1.lookup.StaticHashTable(labels, "").lookup(tf.cast(score > 0.0, tf.int64))
        return {
            "serving_default": _signature({"examples": examples}, {"score": score, "label": label}),
            "regress": _signature({"inputs": examples}, {"outputs": score}),
            "predict": _signature({"age": age, "word": word}, {"score": score}),
        }

    _saved(folder, build, main_op=v1.tables_initializer)


def producer_21(folder: Path) -> None:
    """Of 2017: a placeholder of unknown shape is written as one of a scalar's."""

    def build() -> dict[str, Any]:
        x, y = _linear(resource=False, slots=False)
        return {"serving_default": _signature({"x": x}, {"y": y})}

    def old(model: Any) -> None:
        meta = model.meta_graphs[0]
        meta.graph_def.versions.producer = 21
        for node in meta.graph_def.node:
            if node.name == "x":
                node.attr["shape"].shape.Clear()
            if node.name == "save/Const":
                node.op = "Const"
                node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto("model"))
                del node.input[:]
                node.attr.pop("shape", None)

    _saved(folder, build)
    edited(folder, old)


class _Slots(tf.Module):
    """An embedding that was trained: its optimizer is an object of the model."""

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.embedding = tf.Variable(tf.random.stateless_normal([rows, width], [7, 7]))
        self.optimizer = v1.train.AdamOptimizer()
        gradient = tf.ones_like(self.embedding)
        self.optimizer.apply_gradients([(gradient, self.embedding)])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="ids")], autograph=False)
    def serve(self, ids: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"score": tf.reduce_sum(tf.gather(self.embedding, ids), 1)}


def slots(folder: Path, rows: int = 16, width: int = 4) -> None:
    """As Keras 2: the slots of the optimizer are objects, and TensorFlow fails to make them."""
    module = _Slots(rows, width)
    tf.saved_model.save(module, str(folder), signatures=module.serve)


def two_graphs(folder: Path) -> None:
    """One to serve, and one to train, which reads files."""
    resource(folder)

    def train(model: Any) -> None:
        added = model.meta_graphs.add()
        added.CopyFrom(model.meta_graphs[0])
        added.meta_info_def.tags[:] = ["train"]
        added.graph_def.node.add(name="read", op="ReadFile", input=["save/Const"])

    edited(folder, train)


def counter(folder: Path) -> None:
    """No inputs: each call counts one more."""

    def build() -> dict[str, Any]:
        count = v1.get_variable("count", initializer=0.0, use_resource=False)
        more = v1.assign_add(count, 1.0)
        return {"incr": _signature({}, {"output": more})}

    _saved(folder, build)


MODELS = (
    reference,
    resource,
    table,
    first_ops,
    unnamed,
    estimator,
    producer_21,
    slots,
    two_graphs,
    counter,
)


def main() -> None:
    for make in MODELS:
        folder = HERE / make.__name__
        shutil.rmtree(folder, ignore_errors=True)
        make(folder)
        folder.with_suffix(".txt").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
