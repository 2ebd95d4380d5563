"""A SavedModel as TensorFlow's own session runs it: restored, initialised, one signature of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfspark.registry.entry import serving
from tfspark.registry.savedmodel import FILE
from tfspark.registry.signature import Signature
from tfspark.scoring.model.prune import pruned
from tfspark.tensors import Array


def open_session(
    folder: str, signature: Signature, own_threads: bool = False
) -> Callable[..., dict[str, Array]]:
    """A function from inputs to outputs by name; it holds the session and the variables.

    Args:
        own_threads: run ops in threads that this one starts, whoever calls the function; else in
            the thread that calls, as in the Scala module.
    """
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    v1 = tf.compat.v1
    content = Path(folder, FILE).read_bytes()
    meta = serving(saved_model_pb2.SavedModel.FromString(content).meta_graphs, folder)
    del content
    part = pruned(meta, signature.name, folder)
    asked = meta.signature_def[signature.name]
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(part.graph, name="")
    config = v1.ConfigProto(
        intra_op_parallelism_threads=tf.config.threading.get_intra_op_parallelism_threads(),
        allow_soft_placement=True,
    )
    if own_threads:
        config.session_inter_op_thread_pool.add().num_threads = 1
        config.experimental.disable_thread_spinning = True  # it waits for Arrow
    else:
        config.inter_op_parallelism_threads = -1
    config.gpu_options.allow_growth = True
    session = v1.Session(graph=graph, config=config)
    if part.restore:
        session.run(part.restore, {part.filename: f"{folder}/variables/variables"})
    if part.init:
        paths = {tensor: f"{folder}/assets/{name}" for tensor, name in part.assets.items()}
        session.run(part.init, paths)
    outputs = {name: asked.outputs[name].name for name in signature.outputs}
    feeds = [asked.inputs[name].name for name in signature.inputs]
    call: Any = session.make_callable(outputs, feeds)
    return call  # type: ignore[no-any-return]
