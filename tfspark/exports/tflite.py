"""A model for LiteRT, compared with the SavedModel by LiteRT's own runtime."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfspark.errors import ConfigError
from tfspark.exports.reference import outputs_of, unpacked
from tfspark.exports.rows import largest_gap
from tfspark.quiet import quiet
from tfspark.registry.resolve import ModelFolder
from tfspark.tensors import Array

FILE = "model.tflite"
_MOST = 1e-5
_OPS = re.compile(r"(?:TF Select|Custom) ops: ([^\n]+)")


def write(folder: Path, model: ModelFolder, rows: Mapping[str, Array]) -> dict[str, Any]:
    """Write the file into a folder.

    Raises:
        ConfigError: the model has ops that LiteRT does not, or gives something else there.
    """
    source, signature = unpacked(model), model.signature
    expected = outputs_of(source, model, rows)
    content = _converted(source, model)
    (folder / FILE).write_bytes(content)
    try:
        found = _called(content, signature.name, rows)
    except (RuntimeError, ValueError) as error:
        said = str(error).strip().splitlines()[0]
        raise ConfigError(f"model {model.path}: LiteRT cannot run it: {said}") from None

    def told(what: str) -> Exception:
        return ConfigError(
            f"model {model.path}: LiteRT gives something else than TensorFlow: {what}; it is not "
            "exported"
        )

    gap = largest_gap(expected, found, told)
    if not gap <= _MOST:
        raise told(f"its outputs are off by {gap:.2g}, more than {_MOST:g}")
    return {"off by": gap, "bytes": len(content)}


def _converted(source: Path, model: ModelFolder) -> bytes:
    import tensorflow as tf

    name = model.signature.name
    with quiet():
        converter = tf.lite.TFLiteConverter.from_saved_model(str(source), signature_keys=[name])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            return bytes(converter.convert())
        except Exception as error:
            said = str(error)
    ops = sorted({op for found in _OPS.findall(said) for op in re.split(r",\s*", found.strip())})
    what = f"LiteRT has no {', '.join(ops)}" if ops else said.strip().splitlines()[0]
    raise ConfigError(
        f"model {model.path}: {what}. Such models run in TensorFlow alone: export --to serving"
    )


def _called(content: bytes, name: str, rows: Mapping[str, Array]) -> dict[str, Array]:
    from ai_edge_litert.interpreter import Interpreter

    with quiet():
        runner = Interpreter(model_content=content).get_signature_runner(name)
        outputs: dict[str, Array] = runner(**rows)
    return {key: np.asarray(value) for key, value in outputs.items()}
