"""Every row to every model.

tfspark.score(df, {"champion": "models:/m@champion", "challenger": "models:/m/7"})
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfspark.registry.resolve import ModelFolder
from tfspark.scoring.kinds.model import TEXT
from tfspark.scoring.kinds.one import One
from tfspark.scoring.kinds.several import Several, add_output, common
from tfspark.scoring.worker.many import SideBySideScorer
from tfspark.scoring.worker.predict import Feed
from tfspark.tensors import TensorSpec

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class SideBySide(Several):
    """Every row goes to every model.

    Outputs are `NAME_OUTPUT` of each model, then `NAME_error` of each: why it could not score a
    row that another one could, null where it did. A row that none could score is a bad row.

    Attributes:
        names: the members' names.
    """

    names: tuple[str, ...]

    @classmethod
    def of(cls, found: Mapping[str, One]) -> SideBySide:
        """Models by name.

        Raises:
            SignatureError: two outputs have one name.
        """
        outputs: dict[str, TensorSpec] = {}
        for name, model in found.items():
            for output, spec in model.signature.outputs.items():
                add_output(outputs, f"{name}_{output}", spec)
        for name in found:
            add_output(outputs, f"{name}_error", TEXT)
        return cls(*common(found, outputs), members=tuple(found.values()), names=tuple(found))

    def about(self) -> dict[str, str]:
        """As of one model, with the name of each before them."""
        return {
            f"{name}_{column}": value
            for name, member in zip(self.names, self.members, strict=True)
            for column, value in member.about().items()
        }

    def scorer(self, spark: SparkSession, feeds: Sequence[Feed]) -> SideBySideScorer:
        return SideBySideScorer(self.names, self._scorers(spark, feeds), self.signature)

    def pinned(self) -> dict[str, Any]:
        pairs = zip(self.names, self.members, strict=True)
        return {"models": {name: member.pinned_uri for name, member in pairs}}

    def each(self) -> list[tuple[str, ModelFolder]]:
        pairs = zip(self.names, self.members, strict=True)
        return [(name, member.folder) for name, member in pairs]
