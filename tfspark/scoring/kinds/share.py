"""A share of the keys to another model than the rest: a canary.

Share("models:/m/1", "models:/m/2", 0.1, "salt", ("id",))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfspark.errors import ConfigError
from tfspark.registry.resolve import ModelFolder
from tfspark.scoring.kinds.model import TEXT
from tfspark.scoring.kinds.one import One
from tfspark.scoring.kinds.segments import outputs_of, route
from tfspark.scoring.kinds.several import Several, common
from tfspark.scoring.model.binding import Binding, Inputs
from tfspark.scoring.worker.many import ShareScorer
from tfspark.scoring.worker.predict import Feed
from tfspark.tensors import TensorSpec

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql import types as T


@dataclass(frozen=True)
class Share:
    """Which keys another model scores.

    Attributes:
        model: of most keys, and of rows that the other one fails for.
        other: of the share.
        share: of the keys, from 0 to 1.
        salt: another one chooses other keys.
        keys: the columns of a row's key; text, integers, booleans or dates.
    """

    model: str
    other: str
    share: float
    salt: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class ByShare(Several):
    """Every row to one of two models, by a salted hash of its key.

    Outputs are the models' and, of the model that scored the row, its name, version and digest.

    Attributes:
        asked: as it was asked for.
    """

    asked: Share

    @classmethod
    def of(cls, asked: Share, find: Callable[[str], One]) -> ByShare:
        """Find both models.

        Raises:
            ConfigError: no key.
            SignatureError: the models differ in their outputs.
        """
        if not asked.keys:
            raise ConfigError("nightly.canary: no key; name its columns with nightly.canary.key")
        members = (find(asked.model), find(asked.other))
        outputs = outputs_of(members)
        found = dict(zip(("(others)", "canary"), members, strict=True))
        return cls(*common(found, outputs), members=members, asked=asked)

    @property
    def inputs(self) -> dict[str, TensorSpec]:
        """The key's columns, then the models' inputs."""
        keys = dict.fromkeys(self.asked.keys, TEXT)
        return {**keys, **{n: s for n, s in self.signature.inputs.items() if n not in keys}}

    @property
    def arguments(self) -> list[tuple[str, TensorSpec]]:
        return [*((name, TEXT) for name in self.asked.keys), *super().arguments]

    def about(self) -> dict[str, str]:
        """None: they are outputs."""
        return {}

    def bind(
        self, schema: T.StructType, inputs: Inputs | None, case_sensitive: bool = False
    ) -> list[Binding]:
        """The columns of the key, then as of several models.

        Raises:
            SignatureError: see `Several`; or a column is not there, or cannot be of a key.
        """
        self._check(inputs)
        keys = [route("canary", name, schema, case_sensitive) for name in self.asked.keys]
        return [*keys, *self._bound(schema, inputs, case_sensitive)]

    def scorer(self, spark: SparkSession, feeds: Sequence[Feed]) -> ShareScorer:
        asked = self.asked
        first, second = self._scorers(spark, feeds[len(asked.keys) :])
        about = tuple((m.name, m.version, m.digest) for m in self.members)
        keys = len(asked.keys)
        return ShareScorer(keys, asked.share, asked.salt, about, (first, second), self.signature)

    def pinned(self) -> dict[str, Any]:
        first, second = (member.pinned_uri for member in self.members)
        asked = self.asked
        about = {"share": asked.share, "salt": asked.salt, "keys": list(asked.keys)}
        return {"first": first, "second": second, **about}

    def each(self) -> list[tuple[str, ModelFolder]]:
        names = ("others", f"canary, {self.asked.share:.1%}")
        return [(n, member.folder) for n, member in zip(names, self.members, strict=True)]
