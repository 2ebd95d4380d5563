"""What the SavedModel itself gives, as scoring opens it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tfspark.registry.resolve import ModelFolder
from tfspark.scoring.model.pack import packed_of, unpack
from tfspark.scoring.worker.opened import set_up_tensorflow
from tfspark.scoring.worker.session import open_session
from tfspark.tensors import Array


def unpacked(model: ModelFolder) -> Path:
    """The verified files of a model on this machine."""
    return unpack(packed_of(model))


def outputs_of(folder: Path, model: ModelFolder, rows: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of a folder's signature."""
    set_up_tensorflow(1)
    signature = model.signature
    call = open_session(str(folder), signature)
    found = call(*[rows[name] for name in signature.inputs])
    return {name: found[name] for name in signature.outputs}
