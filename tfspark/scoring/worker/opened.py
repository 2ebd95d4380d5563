"""The one opened model of a Python process, however many UDFs and batches use it."""

from __future__ import annotations

import gc
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tfspark.compat.keras import without_keras
from tfspark.errors import SignatureError, StorageError, TfsparkError
from tfspark.quiet import quiet
from tfspark.registry.safety import check_ops
from tfspark.registry.signature import Signature
from tfspark.scoring.model.pack import Packed, loaded, repair, unpack
from tfspark.scoring.worker import gpus, wall
from tfspark.scoring.worker.batchsize import Tuner
from tfspark.scoring.worker.deadline import OPENING, Deadline, opening
from tfspark.scoring.worker.session import open_session
from tfspark.tensors import Array, numpy_dtype

after_call: list[Callable[[], None]] = []
"""Run after every call of a model in this process."""
after_open: list[Callable[[str], None]] = [loaded]
"""Run with the digest of every model that this process opens."""
_REUSED = "SPARK_REUSE_WORKER"  # set in Python processes that Spark starts
_LARGEST_ZEROS = 1 << 24
"""Values of an input up to which a row of zeros is tried."""
_lock = threading.Lock()
_open: dict[tuple[str, str], OpenModel] = {}


def open_model(
    packed: Packed,
    signature: Signature,
    threads: int,
    warm_up: bool = True,
    walled: str = "never",
    deadline: float = OPENING,
    folder: Path | None = None,
) -> OpenModel:
    """The model of this process: opened by the first call, the same object afterwards.

    Args:
        threads: TensorFlow's threads in this process. Spark runs one Python process a core, so more
            than the cores of a task make the processes of a machine wait for each other.
        warm_up: run a row of zeros through it.
        walled: whether behind the wall, see `wall.run`.
        deadline: seconds after which a task of Spark's gives up, and at least `OPENING`.
        folder: its files, where another process has unpacked them.

    Raises:
        StorageError: it cannot be opened.
    """
    key = (packed.digest, signature.name)
    with _lock:
        if key in _open:
            wall.insist(walled)
        else:
            gpu = set_up_tensorflow(threads)
            longest = max(deadline, OPENING)
            unpacked = folder or unpack(packed)

            def opened() -> OpenModel:
                seen = folder or wall.shown(walled, unpacked, gpu)
                opens = partial(_opened, seen, signature, warm_up, packed.model)
                with opening(packed.model, longest) if gpus.task() else nullcontext():
                    return wall.run(walled, opens, gpu)

            try:
                model = opened()
            except Exception:  # is it the model, or what this machine has kept of it?
                if folder or not repair(packed):
                    raise
                model = opened()
            model.walled = walled
            alone = threads == 1 and not model.on_gpu
            model.clock = time.process_time if alone else time.perf_counter
            for done in after_open:
                done(packed.digest)
            _open[key] = model
        return _open[key]


def _opened(folder: Path, signature: Signature, warm_up: bool, name: str) -> OpenModel:
    check_ops(str(folder), tensorflow=True)
    try:
        return OpenModel(str(folder), signature, warm_up)
    except TfsparkError:
        raise
    except Exception as error:
        raise StorageError(not_opened(name, telling(error))) from error


def not_opened(model: str, why: str) -> str:
    return f"model {model}: cannot be opened: {why}; take another version of it"


class OpenModel:
    """A SavedModel in memory.

    Attributes:
        successes: batches that it has scored.
        failures: rows that it failed for, one by one.
        tuner: tuner of its batch size, once a batch has come.
        deadline: deadline of its calls; None outside of Spark's own processes.
        walled: which wall its calls need, see `wall.run`.
        clock: what calls cost. One thread's seconds are its own, however busy the machine is.
    """

    tuner: Tuner | None = None
    deadline: Deadline | None = None
    walled = "never"

    def __init__(self, folder: str, signature: Signature, warm_up: bool = True) -> None:
        import tensorflow as tf

        self.clock: Callable[[], float] = time.perf_counter
        self.on_gpu = bool(tf.config.list_logical_devices("GPU"))
        self.signature = signature
        # Where the wall is around the thread that opens the model, threads of its own inherit it.
        self._call = open_session(folder, signature, own_threads=wall.around_a_thread())
        self.successes = self.failures = 0
        if warm_up:
            self._warm_up()

    def __call__(
        self, tensors: dict[str, Array], constants: Callable[[int], dict[str, Array]] | None = None
    ) -> dict[str, Array]:
        """Outputs by name, [rows, ...] each, of inputs by name, [rows, ...] each.

        Args:
            constants: the inputs that are not among the tensors, for so many rows.

        Raises:
            SignatureError: the model does not give a row for a row.
        """
        rows = len(next(iter(tensors.values())))
        size = self.signature.batch
        if size is not None and rows != size:
            return self._in_batches_of(size, tensors, rows, constants)
        given = {**tensors, **constants(rows)} if constants else tensors
        outputs = self.run([given[name] for name in self.signature.inputs])
        for name, output in outputs.items():
            if np.ndim(output) == 0 or len(output) != rows:
                raise SignatureError(
                    f"output {name} has shape {np.shape(output)} for {rows} rows: the model does "
                    "not give one result a row, so it cannot score a table"
                )
        return outputs

    def run(self, fed: Sequence[Array]) -> dict[str, Array]:
        """One call, of the inputs in their order: whatever it gives."""
        if self.deadline:
            self.deadline.since = time.monotonic()
        try:
            outputs = self._call(*fed)
        finally:
            if self.deadline:
                self.deadline.since = 0.0
        for done in after_call:
            done()
        return outputs

    def _in_batches_of(
        self,
        size: int,
        tensors: dict[str, Array],
        rows: int,
        constants: Callable[[int], dict[str, Array]] | None,
    ) -> dict[str, Array]:
        """For a model exported with a fixed batch: the last one is filled up with its last row."""
        parts = []
        for start in range(0, rows, size):
            part = {name: tensor[start : start + size] for name, tensor in tensors.items()}
            missing = size - min(size, rows - start)
            if missing:
                part = {
                    name: np.concatenate([tensor, np.repeat(tensor[-1:], missing, axis=0)])
                    for name, tensor in part.items()
                }
            parts.append((self(part, constants), size - missing))
        return {
            name: np.concatenate([part[name][:count] for part, count in parts])
            for name in self.signature.outputs
        }

    def _warm_up(self) -> None:
        """One row through the model, so that the first batch does not pay for the set-up."""
        shapes = (spec.shape for spec in self.signature.inputs.values())
        if any(math.prod(size or 1 for size in shape) > _LARGEST_ZEROS for shape in shapes):
            return
        tensors: dict[str, Any] = {}
        whole: dict[str, Any] = {}
        for name, spec in self.signature.inputs.items():
            shape = [1 if size is None else size for size in spec.shape]
            fill = b"" if spec.dtype == "string" else 0
            if name in self.signature.whole:
                whole[name] = np.full(shape, fill, numpy_dtype(spec.dtype))
            else:
                tensors[name] = np.full([1, *shape], fill, numpy_dtype(spec.dtype))
        if not tensors:
            return
        try:
            self(tensors, lambda _: whole)
        except SignatureError:
            raise
        except Exception:  # noqa: S110 - a model may refuse a row of zeros; real rows will tell
            pass


def set_up_tensorflow(threads: int) -> bool:
    """Import TensorFlow for this process, without its threads; whether it sees a GPU."""
    gpus.claim()
    first = "tensorflow" not in sys.modules
    with quiet(), without_keras():
        import tensorflow as tf

        devices = tf.config.list_physical_devices("GPU")
    if first and _REUSED in os.environ:
        gc.freeze()  # after each task Spark's worker collects garbage, through all that is there
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        for device in devices:
            tf.config.experimental.set_memory_growth(device, True)
    except RuntimeError:
        pass  # other code of this process used TensorFlow first; its settings stay
    return bool(devices)


def telling(error: Exception) -> str:
    """The line of an error that says what happened; TensorFlow wraps it in many others."""
    skip = (
        "Graph execution error",
        "Detected at node",
        "Node: '",
        "<stack traces",
        "[[",
        "Function call",
    )
    text = str(getattr(error, "message", None) or error)
    lines = [line.strip() for line in text.splitlines()]
    said = [
        line for line in lines if line and not line.startswith(skip) and "root error" not in line
    ]
    told = (said[0] if said else type(error).__name__)[:300]
    denied = wall.stands() and type(error).__name__ == "PermissionDeniedError"
    return f"{told} ({wall.BEYOND})" if denied else told
