"""Checkpoints of a training: everything that its next step depends on, in one file.

    <folder>/checkpoint-<epoch>-<step>.npz

The weights, the optimizer, the state of dropout's random numbers, how far early stopping is, and
the position (epoch, step) that with the seed decides which rows come next. So a training that was
killed and goes on from its checkpoint ends as one that was not.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from contextlib import suppress
from typing import Any

import numpy as np

from tfspark import storage
from tfspark.errors import StorageError
from tfspark.tensors import Array

_NAME = re.compile(r"checkpoint-(\d+)-(\d+)\.npz")


def save(
    folder: str, arrays: dict[str, list[Array]], progress: dict[str, Any], keep: int = 2
) -> None:
    """Write the checkpoint of `progress["epoch"]` and `["step"]`; of older ones `keep` - 1 stay.

    A reader sees the whole file or none.
    """
    flat = {f"{group}/{i}": a for group, some in arrays.items() for i, a in enumerate(some)}
    flat["progress"] = np.frombuffer(json.dumps(progress).encode(), "uint8")
    buffer = io.BytesIO()
    np.savez(buffer, **flat)  # type: ignore[arg-type]
    name = f"checkpoint-{progress['epoch']:06}-{progress['step']:09}.npz"
    storage.write_bytes(storage.join(folder, name), buffer.getvalue())
    for old in storage.names(folder):
        if old in _found(folder)[keep:] or old.endswith(".partial"):
            with suppress(OSError, StorageError):  # the next one does it
                storage.delete_file(storage.join(folder, old))


def load(folder: str) -> tuple[dict[str, list[Array]], dict[str, Any]] | None:
    """The newest checkpoint of a folder that is whole; None where there is none."""
    for name in _found(folder):
        try:
            # Each array's checksum is checked as it is read.
            with np.load(
                io.BytesIO(storage.read_bytes(storage.join(folder, name))), allow_pickle=False
            ) as flat:
                progress = json.loads(flat["progress"].tobytes())
                arrays: dict[str, list[Array]] = {}
                for key in flat.files:
                    if "/" in key:
                        arrays.setdefault(key.split("/")[0], []).append(flat[key])
                return arrays, progress
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile):
            continue
    return None


def _found(folder: str) -> list[str]:
    """Names of checkpoints, the newest first."""
    return [name for name in reversed(storage.names(folder)) if _NAME.fullmatch(name)]
