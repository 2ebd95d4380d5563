"""Checkpoints of a training: everything that the next epoch depends on, in one file.

The weights, the optimizer, the state of dropout's random numbers, and how far early stopping
is. The order of rows needs no state: (seed, epoch) decides it. So a training that was killed
and goes on from its checkpoint ends with the bits of one that was not.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np

from tfspark import storage
from tfspark.tensors import Array

FILE = "checkpoint.npz"


def save(folder: str, arrays: dict[str, list[Array]], progress: dict[str, Any]) -> None:
    """Write a checkpoint in the place of the one before; a reader sees the one or the other."""
    flat = {f"{group}/{i}": a for group, some in arrays.items() for i, a in enumerate(some)}
    flat["progress"] = np.frombuffer(json.dumps(progress).encode(), "uint8")
    buffer = io.BytesIO()
    np.savez(buffer, **flat)  # type: ignore[arg-type]
    storage.write_bytes(storage.join(folder, FILE), buffer.getvalue())


def load(folder: str) -> tuple[dict[str, list[Array]], dict[str, Any]] | None:
    """The checkpoint of a folder; None where there is none, or a torn one."""
    path = storage.join(folder, FILE)
    if not storage.exists(path):
        return None
    try:
        with np.load(io.BytesIO(storage.read_bytes(path)), allow_pickle=False) as flat:
            progress = json.loads(flat["progress"].tobytes())
            arrays: dict[str, list[Array]] = {}
            for key in flat.files:
                if "/" in key:
                    arrays.setdefault(key.split("/")[0], []).append(flat[key])
            return arrays, progress
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile):
        return None
