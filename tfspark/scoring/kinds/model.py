"""What the rest of scoring asks of a model, be it one or several."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import types as T

from tfspark.registry.resolve import ModelFolder
from tfspark.registry.signature import Signature
from tfspark.scoring.model.binding import Binding, Inputs
from tfspark.scoring.worker.many import Scores
from tfspark.scoring.worker.predict import Feed
from tfspark.tensors import TensorSpec

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TEXT = TensorSpec("string")
ABOUT = ("model_name", "model_version", "model_digest")


@dataclass(frozen=True)
class AnyModel(ABC):
    """What is scored.

    Attributes:
        signature: inputs and outputs, of several models those of all.
        name, version, path, digest: as `ModelFolder` has them; of several models in one text.
        keys: the key columns of the table that it was trained on; none where models differ.
    """

    signature: Signature
    name: str
    version: str
    path: str
    digest: str
    keys: tuple[str, ...]

    @property
    def inputs(self) -> dict[str, TensorSpec]:
        """What a call names, in the order in which columns are given by position."""
        return self.signature.inputs

    @property
    @abstractmethod
    def arguments(self) -> list[tuple[str, TensorSpec]]:
        """What the scorer takes, in its order: an input that several models have comes for each."""

    @abstractmethod
    def about(self) -> dict[str, str]:
        """The columns of a scored table that say which model it was, the same in all rows."""

    @abstractmethod
    def bind(
        self, schema: T.StructType, inputs: Inputs | None, case_sensitive: bool = False
    ) -> list[Binding]:
        """Which columns of a table feed the arguments, in their order.

        Raises:
            SignatureError: see `tfspark.scoring.model.binding.bind`.
        """

    @abstractmethod
    def scorer(self, spark: SparkSession, feeds: Sequence[Feed]) -> Scores:
        """Send the model out, and make what tasks carry."""

    @abstractmethod
    def pinned(self) -> dict[str, Any]:
        """What was asked for as JSON, each model by its current version: see `from_json`."""

    @abstractmethod
    def each(self) -> list[tuple[str, ModelFolder]]:
        """The models with what each is called beside the others; "" where there is only one."""

    def single(self) -> ModelFolder | None:
        """The model, if it is one."""
        return None
