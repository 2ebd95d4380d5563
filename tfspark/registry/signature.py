"""What a SavedModel takes and gives: its serving signature, read without TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tfspark.errors import SignatureError
from tfspark.registry.constants import value_of
from tfspark.registry.entry import INIT_OP, serving
from tfspark.registry.order import in_order
from tfspark.registry.savedmodel import read_heads
from tfspark.tensors import TensorSpec
from tfspark.wording import say

DEFAULT = "serving_default"
_MOST = 2**31 - 1
"""Values of a tensor: what Java counts to."""
_DTYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: "string",
    8: "complex64",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    17: "uint16",
    18: "complex128",
    19: "float16",
    22: "uint32",
    23: "uint64",
}


@dataclass(frozen=True)
class Signature:
    """One signature of a SavedModel.

    Attributes:
        inputs: name → tensor of one row, in the order of the function's own arguments.
        outputs: column → tensor of one row, in the order of the names that the model gives them.
        name: the signature's name.
        batch: the number of rows that the model takes at a time; None for any number.
        whole: the inputs that are one value for the whole batch.
        defaults: optional input → the value of a row that the model takes for it.
        renamed: column → the model's own name of the output, where it has another one.
    """

    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    name: str = DEFAULT
    batch: int | None = None
    whole: tuple[str, ...] = ()
    defaults: dict[str, Any] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)

    def own(self) -> Signature:
        """The signature with the model's own names of the outputs."""
        outputs = {self.renamed.get(name, name): spec for name, spec in self.outputs.items()}
        return replace(self, outputs=outputs, renamed={})


def read_signature(folder: str, name: str = DEFAULT, meta: Any = None) -> Signature:
    """The signature of a SavedModel folder.

    Args:
        meta: its meta graph, if it is read; without it the inputs are in the order of their names.

    Raises:
        SignatureError: there is no such signature (the message lists those there are), or a
            tensor of it has no rows or is sparse or ragged.
    """
    heads = serving(read_heads(folder), folder) if meta is None else meta
    there = dict(heads.signature_def.items())
    there.pop(INIT_OP, None)
    said = {"folder": folder, "name": name, "names": ", ".join(sorted(there))}
    if not there:
        raise SignatureError(say("no_signatures", **said))
    if name not in there:
        raise SignatureError(say("no_signature", **said))
    found = there[name]
    for part, why in ((found.inputs, "no_inputs"), (found.outputs, "no_outputs")):
        if not part:
            raise SignatureError(say(why, **said))
    batches: set[int] = set()
    inputs = _specs(folder, "input", found.inputs, batches)
    if meta is not None:
        named = {str(key): tensor.name for key, tensor in found.inputs.items()}
        inputs = {key: inputs[key] for key in in_order(meta, named)}
    whole = tuple(key for key in inputs if _is_whole(found.inputs[key]))
    outputs = _specs(folder, "output", found.outputs, batches)
    if len(batches) > 1:
        sizes = ", ".join(map(str, sorted(batches)))
        raise SignatureError(
            f"model {folder}: signature {name} has batches of {sizes} rows at once"
        )
    return Signature(
        inputs,
        outputs,
        name,
        next(iter(batches), None),
        whole,
        _defaults(found.defaults, inputs, whole),
    )


def _defaults(
    given: Mapping[str, Any], inputs: Mapping[str, TensorSpec], whole: tuple[str, ...]
) -> dict[str, Any]:
    """The values of the inputs that may be left out; of a batch's those that are of one row."""
    found = {}
    for name, proto in given.items():
        value = value_of(proto) if name in inputs else None
        if value is None or name in whole:
            pass
        elif value.ndim == len(inputs[name].shape) + 1 and len(value) == 1:
            value = value[0]
        elif value.ndim != len(inputs[name].shape):
            value = None
        if value is not None:
            found[name] = value.tolist()
    return found


def _is_whole(tensor: Any) -> bool:
    return not tensor.tensor_shape.dim and not tensor.tensor_shape.unknown_rank


def _specs(folder: str, what: str, entries: Any, batches: set[int]) -> dict[str, TensorSpec]:
    specs = {}
    for name, tensor in sorted(entries.items()):
        place = f"model {folder}: {what} {name}"
        plain = tensor.WhichOneof("encoding") not in ("coo_sparse", "composite_tensor")
        if not plain or tensor.dtype not in _DTYPES:
            raise SignatureError(
                f"{place} is no plain tensor (sparse, ragged or a resource); "
                "export a signature of dense tensors"
            )
        # An unknown rank is taken as one value a row; another shape is an error when it runs.
        sizes = [dim.size for dim in tensor.tensor_shape.dim]
        if what == "output" and _is_whole(tensor):
            raise SignatureError(
                f"{place} is one value for the whole batch, not one a row; "
                "export a signature in which it has the batch dimension"
            )
        _check_sizes(place, sizes)
        if sizes and sizes[0] >= 0:
            batches.add(sizes[0])
        shape = tuple(None if size < 0 else int(size) for size in sizes[1:])
        specs[str(name)] = TensorSpec(_DTYPES[tensor.dtype], shape)
    return specs


def _check_sizes(place: str, sizes: list[int]) -> None:
    count = math.prod(size for size in sizes if size > 0)
    if count > _MOST:
        raise SignatureError(say("too_large", place=place, count=count, most=_MOST))
    if sizes and sizes[0] == 0:
        raise SignatureError(say("no_rows", place=place))
