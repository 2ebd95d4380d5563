"""Several models over one read of a table.

A model that fails does not take the scores of the others with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import types as T

from tfspark.errors import SignatureError
from tfspark.registry.signature import Signature
from tfspark.scoring.kinds.model import AnyModel
from tfspark.scoring.kinds.one import One
from tfspark.scoring.model.binding import Binding, Inputs, unknown_input
from tfspark.scoring.worker.guard import Scorer
from tfspark.scoring.worker.predict import Feed
from tfspark.tensors import TensorSpec

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Several(AnyModel):
    """What is alike where there are several models.

    Attributes:
        members: the models, each once.
    """

    members: tuple[One, ...]

    @property
    def arguments(self) -> list[tuple[str, TensorSpec]]:
        return [argument for member in self.members for argument in member.arguments]

    def bind(
        self, schema: T.StructType, inputs: Inputs | None, case_sensitive: bool = False
    ) -> list[Binding]:
        """The bindings of all, one model after the other."""
        self._check(inputs)
        return self._bound(schema, inputs, case_sensitive)

    def _check(self, inputs: Inputs | None) -> None:
        for name in inputs or {}:
            if name not in self.signature.inputs:
                raise unknown_input(self.path, name, self.signature.inputs)

    def _bound(
        self, schema: T.StructType, inputs: Inputs | None, case_sensitive: bool
    ) -> list[Binding]:
        bound: list[Binding] = []
        for member in self.members:
            own = {n: c for n, c in (inputs or {}).items() if n in member.signature.inputs}
            bound += member.bind(schema, own, case_sensitive)
        return bound

    def _scorers(self, spark: SparkSession, feeds: Sequence[Feed]) -> tuple[Scorer, ...]:
        """Of each member; the feeds come model by model."""
        left, scorers = list(feeds), []
        for member in self.members:
            count = len(member.arguments)
            scorers.append(member.scorer(spark, left[:count]))
            left = left[count:]
        return tuple(scorers)


def common(
    found: Mapping[str, One], outputs: dict[str, TensorSpec]
) -> tuple[Signature, str, str, str, str, tuple[str, ...]]:
    """The attributes of `AnyModel` for several, by what each is called."""
    inputs: dict[str, TensorSpec] = {}
    for model in found.values():
        inputs = {**model.signature.inputs, **inputs}
    said = {
        what: ", ".join(f"{name}: {getattr(model, what)}" for name, model in found.items())
        for what in ("name", "version", "path")
    }
    sums = "\n".join(f"{name}\t{model.digest}" for name, model in found.items())
    digest = hashlib.sha256(sums.encode()).hexdigest()
    keys = {model.keys for model in found.values()}
    return (
        Signature(
            inputs,
            outputs,
            whole=tuple({name for model in found.values() for name in model.signature.whole}),
        ),
        said["name"],
        said["version"],
        said["path"],
        digest,
        keys.pop() if len(keys) == 1 else (),
    )


def add_output(outputs: dict[str, TensorSpec], name: str, spec: TensorSpec) -> None:
    """One more output.

    Raises:
        SignatureError: there is one of that name.
    """
    if name in outputs:
        raise SignatureError(f"several models: two outputs would have the name {name}; rename")
    outputs[name] = spec
