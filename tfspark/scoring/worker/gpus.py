"""The GPUs of a Spark task: the addresses that Spark gave it, and no others."""

from __future__ import annotations

import os
import sys
from typing import Any

_VARIABLE = "CUDA_VISIBLE_DEVICES"
_claimed: dict[str, str] | None = None


def task() -> Any:
    """Spark's `TaskContext` in this process, or None outside of a task."""
    module = sys.modules.get("pyspark.taskcontext")
    return module.TaskContext.get() if module else None


def environment() -> dict[str, str]:
    """What tells CUDA which GPUs there are for the task of now; empty outside of a task.

    A task without GPUs of its own sees none: those of the machine are other tasks'.
    """
    context = task()
    if context is None:
        return {}
    gpu = context.resources().get("gpu")
    return {_VARIABLE: ",".join(gpu.addresses) if gpu else "-1"}


def claim() -> None:
    """Have this process see the GPUs of its task; before TensorFlow starts, which looks once."""
    global _claimed
    if _claimed is None:
        _claimed = environment()
        os.environ.update(_claimed)


def others() -> bool:
    """Whether TensorFlow in this process holds the GPUs of an earlier task, and not of this one."""
    return _claimed is not None and _claimed != environment()
