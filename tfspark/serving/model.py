"""A model that answers requests: verified as for scoring, called in a process behind the wall."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from tfspark.errors import SignatureError, StorageError, TfsparkError
from tfspark.registry.entry import INIT_OP, serving
from tfspark.registry.resolve import ModelFolder
from tfspark.registry.savedmodel import read_heads
from tfspark.registry.signature import Signature, read_signature
from tfspark.scoring.model.pack import packed_of
from tfspark.scoring.worker.parent import Child, Ended, Late
from tfspark.serving.answer import classifications, columns, predictions, regressions
from tfspark.serving.examples import examples_of
from tfspark.serving.refused import INTERNAL, LATE, UNIMPLEMENTED, Refused, http_status
from tfspark.serving.request import signature_of, tensors_of
from tfspark.serving.scorer import PROBE, TensorScorer, from_columns, to_columns
from tfspark.serving.values import NAMES
from tfspark.tensors import Array

_METHODS = {"classify": "classification", "regress": "regression"}
_PREFIX = "tensorflow/serving/"
_DTYPES = ("float32", "float64", "string", "bool", "int8", "int16", "int32", "int64")
_SERVED = (*_DTYPES, "uint8", "uint32", "uint64")
_NUMBERS = dict(
    enumerate(
        (
            *("INVALID", "FLOAT", "DOUBLE", "INT32", "UINT8", "INT16", "INT8", "STRING"),
            *("COMPLEX64", "INT64", "BOOL", "QINT8", "QUINT8", "QINT32", "BFLOAT16", "QINT16"),
            *("QUINT16", "UINT16", "COMPLEX128", "HALF", "RESOURCE", "VARIANT", "UINT32", "UINT64"),
        )
    )
)
"""TensorFlow's dtypes by their numbers."""


class Served:
    """One version of a model.

    Attributes:
        name, version, labels: by which clients ask for it.
    """

    def __init__(
        self,
        model: ModelFolder,
        name: str,
        version: int,
        labels: Sequence[str] = (),
        *,
        child: Child | None = None,
        deadline: float = 60.0,
        wall: str = "auto",
    ) -> None:
        self.name, self.version, self.labels = name, version, tuple(labels)
        self._model, self._deadline, self._wall = model, deadline, wall
        self._head = serving(read_heads(model.path), model.path)
        self._packed = packed_of(model)
        self._child = child or Child()
        self._lock = threading.Lock()
        self._scorers: dict[str, TensorScorer] = {}

    def open(self) -> None:
        """Open the model in its process.

        Raises:
            StorageError, UnsafeModelError, ConfigError: it cannot be.
        """
        scorer = self._scorer(self._model.signature.name)
        try:
            self._child.score(scorer, PROBE, self._deadline)
        except Ended as ended:
            raise StorageError(f"model {self._model.path}: could not be opened: {ended}") from None

    def close(self) -> None:
        """End its process."""
        self._child.close()

    def status(self) -> str:
        """What `GET /v1/models/NAME` answers."""
        state = {"version": str(self.version), "state": "AVAILABLE"}
        whole = {**state, "status": {"error_code": "OK", "error_message": ""}}
        return json.dumps({"model_version_status": [whole]}, indent=1)

    def metadata(self) -> str:
        """What `GET /v1/models/NAME/metadata` answers."""
        from google.protobuf.json_format import MessageToDict

        signatures = {
            name: _named(
                MessageToDict(
                    signature,
                    preserving_proto_field_name=True,
                    always_print_fields_with_no_presence=True,
                )
            )
            for name, signature in self._head.signature_def.items()
        }
        spec = {"name": self.name, "signature_name": "", "version": str(self.version)}
        whole = {"signature_def": {"signature_def": signatures}}
        return json.dumps({"model_spec": spec, "metadata": whole}, indent=1)

    def answer(self, method: str, asked: Mapping[str, Any]) -> str:
        """What a request of `predict`, `classify` or `regress` is answered.

        Raises:
            Refused: it is answered with an error.
        """
        name = signature_of(asked, self._model.signature.name)
        if method != "predict":
            return self._by_examples(method, name, asked)
        scorer = self._scorer(name)
        tensors, rows = tensors_of(asked, scorer.signature.inputs)
        outputs = self._call(scorer, tensors)
        return predictions(outputs) if rows else columns(outputs)

    def _by_examples(self, method: str, name: str, asked: Mapping[str, Any]) -> str:
        examples = examples_of(asked, method)
        if name not in self._head.signature_def:
            raise Refused(f"No signature was found with the name: {name}")
        found = self._head.signature_def[name].method_name
        if found != _PREFIX + method:
            raise Refused(
                f"Expected {_METHODS[method]} signature method_name to be {_PREFIX}{method}. Was: "
                f"{found}"
            )
        scorer = self._scorer(name)
        takes = scorer.signature.inputs
        if list(takes) != ["inputs"] or takes["inputs"].dtype != "string":
            raise Refused("Expected one input Tensor: `inputs`, of serialised examples")
        outputs = self._call(scorer, {"inputs": examples})
        if method == "classify":
            classes, scores = outputs.get("classes"), outputs.get("scores")
            told = [one for one in (classes, scores) if one is not None]
            if not told or any(one.ndim != 2 or len(one) != len(examples) for one in told):
                raise Refused("Expected Tensor shape: [batch_size num_classes]")
            if len({one.shape for one in told}) > 1:
                raise Refused("Tensors class and score should match in dim_size(1).")
            return classifications(classes, scores)
        values = outputs.get("outputs")
        if values is None or values.size != len(examples):
            raise Refused(
                "Expected output Tensor shape to be either [batch_size] or [batch_size, 1]"
            )
        return regressions(values)

    def _scorer(self, name: str) -> TensorScorer:
        with self._lock:
            if name not in self._scorers:
                self._scorers[name] = self._made(name)
            return self._scorers[name]

    def _made(self, name: str) -> TensorScorer:
        if name not in self._head.signature_def or name == INIT_OP:
            raise Refused(f'Serving signature name: "{name}" not found in signature def')
        try:
            signature = read_signature(self._model.path, name, self._head)
        except SignatureError as error:
            raise Refused(str(error)) from None
        _check(signature)
        return TensorScorer(
            self._packed,
            signature,
            (),
            threads=os.cpu_count() or 1,
            deadline=self._deadline,
            wall=self._wall,
        )

    def _call(self, scorer: TensorScorer, tensors: Mapping[str, Array]) -> dict[str, Array]:
        self._check_shapes(scorer.signature.name, tensors)
        given = to_columns(tensors[name] for name in scorer.signature.inputs)
        try:
            outputs, reasons = self._child.score(scorer, given, self._deadline)
        except Late as late:
            raise Refused(f"{late}; the next request starts another process", LATE) from None
        except Ended as ended:
            raise Refused(f"{ended}; the next request starts another", INTERNAL) from None
        except TfsparkError as error:
            raise Refused(str(error), INTERNAL) from None
        if reasons[0].is_valid:
            code, _, said = reasons[0].as_py().partition(":")
            raise Refused(said, http_status(int(code)))
        return from_columns(outputs, scorer.signature.outputs)

    def _check_shapes(self, name: str, tensors: Mapping[str, Array]) -> None:
        for key, info in self._head.signature_def[name].inputs.items():
            wanted = [dim.size for dim in info.tensor_shape.dim]
            shape = tensors[key].shape
            same = len(wanted) == len(shape) and all(
                size in (-1, found) for size, found in zip(wanted, shape, strict=True)
            )
            if not same and not info.tensor_shape.unknown_rank:
                raise Refused(
                    f"input {key} has the shape {list(shape)}; the signature takes {wanted}"
                )


def _check(signature: Signature) -> None:
    """Whether all that a signature takes and gives has a value of JSON."""
    for name, spec in signature.inputs.items():
        if spec.dtype not in _SERVED:
            kind = NAMES.get(spec.dtype, spec.dtype)
            raise Refused(f"Conversion of JSON Value of {name} to type: {kind}", UNIMPLEMENTED)
    for spec in signature.outputs.values():
        if spec.dtype not in _SERVED:
            kind = NAMES.get(spec.dtype, spec.dtype)
            raise Refused(f"Failed to write JSON value for tensor type: {kind}")


def _named(value: Any) -> Any:
    """Messages with their dtypes by name."""
    if isinstance(value, list):
        return [_named(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: f"DT_{_NUMBERS.get(one, one)}" if key == "dtype" and type(one) is int else _named(one)
        for key, one in value.items()
    }
