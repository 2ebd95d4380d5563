"""One model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyspark.sql import types as T

from tfspark.registry.resolve import ModelFolder, is_uri
from tfspark.scoring.kinds.model import ABOUT, AnyModel
from tfspark.scoring.model import pack
from tfspark.scoring.model.binding import Binding, Inputs, bind
from tfspark.scoring.worker.guard import Scorer
from tfspark.scoring.worker.predict import Feed
from tfspark.scoring.worker.settings import scorer_settings
from tfspark.tensors import TensorSpec

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class One(AnyModel):
    """One model.

    Attributes:
        uri: by which it was asked for.
    """

    folder: ModelFolder
    uri: str = field(compare=False)

    @classmethod
    def of(cls, folder: ModelFolder, uri: str) -> One:
        return cls(
            folder.signature,
            folder.name,
            folder.version,
            folder.path,
            folder.digest,
            tuple((folder.manifest or {}).get("keys") or ()),
            folder,
            uri,
        )

    @property
    def arguments(self) -> list[tuple[str, TensorSpec]]:
        return list(self.signature.inputs.items())

    @property
    def pinned_uri(self) -> str:
        """By which this very version is found again."""
        if self.uri.startswith("models:/") and self.version:
            return f"models:/{self.name}/{self.version}"
        return self.uri if is_uri(self.uri) else self.path

    def about(self) -> dict[str, str]:
        return dict(zip(ABOUT, (self.name, self.version, self.digest), strict=True))

    def bind(
        self, schema: T.StructType, inputs: Inputs | None, case_sensitive: bool = False
    ) -> list[Binding]:
        return bind(self.folder, schema, inputs, case_sensitive)

    def scorer(self, spark: SparkSession, feeds: Sequence[Feed]) -> Scorer:
        packed = pack.broadcast(spark, self.folder)
        return Scorer(packed, self.signature, tuple(feeds), **scorer_settings(spark))

    def pinned(self) -> dict[str, Any]:
        return {"model": self.pinned_uri}

    def each(self) -> list[tuple[str, ModelFolder]]:
        return [("", self.folder)]

    def single(self) -> ModelFolder | None:
        return self.folder
