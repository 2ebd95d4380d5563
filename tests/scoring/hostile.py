"""Models that would read or write files of others, if they were opened unchecked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from tests.saved_models import Spec, save

_X = [Spec([None], tf.float32, name="x")]


class _Doing(tf.lookup.TextFileInitializer):  # type: ignore[misc]
    """What fills a table does something else first: it is done as soon as the model is opened."""

    def __init__(self, words: Path, first: Callable[[], Any]) -> None:
        text, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
        super().__init__(str(words), tf.string, text, tf.int64, number)
        self.first = first

    def initialize(self, table: Any) -> Any:
        # Not now, as the model is made.
        with tf.control_dependencies([] if tf.executing_eagerly() else [self.first()]):
            return super().initialize(table)


def reader(folder: Path, canary: Path) -> str:
    """Its score is how long the canary is."""
    size = lambda: tf.cast(tf.strings.length(tf.io.read_file(str(canary))), tf.float32)  # noqa: E731
    return save(folder, _X, lambda x: {"y": x + size()})


def writer(folder: Path, canary: Path) -> str:
    def serve(x: Any) -> dict[str, Any]:
        with tf.control_dependencies([_write(canary)]):
            return {"y": tf.identity(x)}

    return save(folder, _X, serve)


def table(folder: Path, canary: Path) -> str:
    """Looks a text up in the canary's lines, by a path that is no asset."""

    def serve(x: Any) -> dict[str, Any]:
        handle = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64)
        filled = tf.raw_ops.InitializeTableFromTextFileV2(
            table_handle=handle, filename=str(canary), key_index=-2, value_index=-1
        )
        with tf.control_dependencies([filled]):
            found = tf.raw_ops.LookupTableFindV2(
                table_handle=handle, keys=["canary"], default_value=tf.constant(-1, tf.int64)
            )
        return {"y": x + tf.cast(found, tf.float32)}

    return save(folder, _X, serve)


def at_opening(folder: Path, words: Path, first: Callable[[], Any]) -> str:
    """An honest look-up, and something that is done before its table is filled."""

    def serve(module: Any, x: Any) -> dict[str, Any]:
        return {"y": x + tf.cast(module.table.lookup(tf.constant(["b"])), tf.float32)}

    return save(folder, _X, serve, table=tf.lookup.StaticHashTable(_Doing(words, first), -1))


def _write(path: Path) -> Any:
    return tf.raw_ops.WriteFile(filename=str(path), contents="gone")


def late(folder: Path, canary: Path, how: str) -> str:
    """Scores small numbers, and does something else for large ones: not in its first call."""

    def read() -> Any:
        return tf.cast(tf.strings.length(tf.io.read_file(str(canary))), tf.float32)

    def written() -> Any:
        with tf.control_dependencies([_write(canary)]):
            return tf.constant(0.0)

    def looped() -> Any:
        return tf.while_loop(lambda i: i < 2.0, lambda i: (i + 1.0 + written(),), (0.0,))[0]

    def mapped() -> Any:  # by threads of the pipeline
        files = tf.data.Dataset.from_tensors(str(canary))
        sizes = files.map(lambda f: tf.strings.length(tf.io.read_file(f)), 4).prefetch(1)
        return tf.cast(sizes.reduce(0, tf.add), tf.float32)

    def compiled() -> Any:  # XLA computes what is constant when it compiles
        return tf.function(read, jit_compile=True, autograph=False)()

    evil = {f.__name__: f for f in (read, written, looped, mapped, compiled)}[how]

    def serve(x: Any) -> dict[str, Any]:
        return {"y": x + tf.cond(tf.reduce_any(x > 5.0), evil, lambda: 0.0)}

    return save(folder, _X, serve)


LATE = ("read", "written", "looped", "mapped", "compiled")
