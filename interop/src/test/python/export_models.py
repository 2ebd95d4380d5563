"""The SavedModels of the Scala tests: `python export_models.py FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[4]
sys.path.insert(0, str(ROOT))

import tensorflow as tf  # noqa: E402

from tests import saved_models as models  # noqa: E402
from tfspark.registry import write_manifest  # noqa: E402

Spec = tf.TensorSpec
KINDS = (
    *("float16", "bfloat16", "float32", "float64"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("bool", "string"),
)


def kinds(folder: Path) -> None:
    """An input of every dtype, given back: one value, and lists of two."""

    def serve(*values: tf.Tensor) -> dict[str, tf.Tensor]:
        names = [f"{kind}_{form}" for form in ("one", "two") for kind in KINDS]
        return {f"out_{name}": tf.identity(v) for name, v in zip(names, values, strict=True)}

    signature = [
        Spec([None, *shape], kind, name=f"{kind}_{form}")
        for form, shape in (("one", []), ("two", [2]))
        for kind in KINDS
    ]
    models.save(folder, signature, serve)


def nested(folder: Path) -> None:
    """grid [n, 2, 3] int32, open [n, any] float32 → twice, open_sum, flat."""

    def serve(grid: tf.Tensor, open: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"twice": grid * 2, "open_sum": tf.reduce_sum(open, axis=1), "same": open}

    signature = [
        Spec([None, 2, 3], tf.int32, name="grid"),
        Spec([None, None], tf.float32, name="open"),
    ]
    models.save(folder, signature, serve)


def pixels(folder: Path) -> None:
    """image (bytes of 2x2x3 uint8) → mean, in-graph decoding."""

    def serve(image: tf.Tensor) -> dict[str, tf.Tensor]:
        raw = tf.io.decode_raw(image, tf.uint8, fixed_length=12)
        return {"mean": tf.reduce_mean(tf.cast(raw, tf.float32), axis=1)}

    models.save(folder, [Spec([None], tf.string, name="image")], serve)


def writer(folder: Path) -> None:
    """A model that writes a file: it must not be opened."""

    def serve(x: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([tf.io.write_file("/tmp/tfspark-never", "x")]):  # noqa: S108
            return {"y": tf.identity(x)}

    models.save(folder, [Spec([None], tf.float32, name="x")], serve)


def grid(folder: Path) -> None:
    """grid [n, 2, 3] int32 → twice."""

    def serve(grid: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"twice": grid * 2}

    models.save(folder, [Spec([None, 2, 3], tf.int32, name="grid")], serve)


def declare(
    folder: Path, make: Any, name: str, dtype: str, shape: list[int | None], **rules: Any
) -> None:
    """A model with a manifest that declares its one input."""
    make(folder)
    inputs = {name: {"dtype": dtype, "shape": shape, "null": None, **rules}}
    write_manifest(str(folder), {"inputs": inputs})


def main(folder: Path) -> None:
    models.linear(folder / "linear" / "3")
    inputs = {"x": {"dtype": "float32", "shape": [2], "null": None}}
    write_manifest(
        str(folder / "linear" / "3"), {"name": "linear", "version": "3", "inputs": inputs}
    )
    declare(folder / "padded", models.tokens, "ids", "int64", [None], null=0, pad=-1)
    declare(folder / "padded_grid", grid, "grid", "int32", [2, 3], pad=9)
    declare(folder / "strict", models.mlp, "features", "float32", [4], nan="refuse")
    kinds(folder / "kinds")
    nested(folder / "nested")
    pixels(folder / "pixels")
    writer(folder / "writer")
    models.mlp(folder / "mlp")
    models.mixed(folder / "mixed")
    models.picky(folder / "picky")
    models.hopeless(folder / "hopeless")
    models.tokens(folder / "tokens")
    models.fixed_batch(folder / "fixed_batch")
    models.lookup(folder / "lookup", folder / "words.txt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
