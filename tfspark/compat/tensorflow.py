"""TensorFlow's private modules."""

from __future__ import annotations

import sys
from typing import Any


def started() -> bool:
    """Whether this process has TensorFlow's threads; an import alone starts none."""
    if "tensorflow" not in sys.modules:
        return False
    from tensorflow.python.eager import context

    there = context.context_safe()
    return there is not None and bool(there._initialized)


def argument_name(name: str) -> str:
    """A name as TensorFlow writes it for an argument of a function."""
    from tensorflow.core.function.polymorphism.function_type import sanitize_arg_name

    return str(sanitize_arg_name(name))


def variable_def() -> Any:
    """What TensorFlow 1 keeps of a variable in a collection: the message's descriptor."""
    from tensorflow.core.framework import variable_pb2

    return variable_pb2.VariableDef.DESCRIPTOR


def registered_ops() -> tuple[list[Any], set[tuple[str, str]]]:
    """Every op (`OpDef`) of the TensorFlow that is installed, and every kernel as (op, device)."""
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session
    from tensorflow.python.framework import kernels

    known = op_def_pb2.OpList()
    known.ParseFromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    there = kernels.get_all_registered_kernels().kernel
    return list(known.op), {(kernel.op, kernel.device_type) for kernel in there}
