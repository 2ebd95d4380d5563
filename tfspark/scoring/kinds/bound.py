"""A model and the columns of a table: those that feed it, and those that stand beside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfspark.errors import SignatureError
from tfspark.scoring.kinds.model import AnyModel
from tfspark.scoring.model.binding import Binding, Inputs
from tfspark.scoring.worker.many import Scores
from tfspark.scoring.worker.predict import Feed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class BoundModel:
    """A model that is bound to the columns of a table.

    Attributes:
        kept: the columns that stand beside the predictions.
    """

    model: AnyModel
    bindings: tuple[Binding, ...]
    kept: tuple[str, ...]

    @property
    def fed(self) -> tuple[str, ...]:
        """The columns that are the arguments of the scorer, in its order."""
        return tuple(name for binding in self.bindings for name in binding.columns)

    @property
    def used(self) -> list[str]:
        """All columns that are read, each once."""
        return list(dict.fromkeys([*self.kept, *self.fed]))

    def scorer(self, spark: SparkSession) -> Scores:
        """Send the model out, and make what tasks carry."""
        return self.model.scorer(spark, feeds_of(self.bindings))


def feeds_of(bindings: Iterable[Binding]) -> list[Feed]:
    """What a scorer is told of the columns that it gets."""
    return [
        Feed(
            b.name,
            b.spec,
            len(b.columns),
            b.stacked,
            tuple(b.about(place) for place in range(len(b.columns))),
            b.value,
            b.whole,
        )
        for b in bindings
    ]


def bind(df: DataFrame, model: AnyModel, inputs: Inputs | None) -> tuple[Binding, ...]:
    """Which columns of a DataFrame feed a model, by Spark's rule for their case.

    Raises:
        SignatureError: see `AnyModel.bind`.
    """
    sensitive = df.sparkSession.conf.get("spark.sql.caseSensitive", "false") == "true"
    return tuple(model.bind(df.schema, inputs, sensitive))


def kept_columns(df: DataFrame, keep: Sequence[str] | None) -> tuple[str, ...]:
    """The names of the columns to keep, as the table spells them.

    Raises:
        SignatureError: one is not there, or two columns of the table have one name.
    """
    names = df.columns
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SignatureError(f"the table has two columns of one name: {', '.join(twice)}; rename")
    if keep is None:
        return tuple(names)
    keep = [keep] if isinstance(keep, str) else keep
    lower = {name.lower(): name for name in names}
    missing = [name for name in keep if name not in names and name.lower() not in lower]
    if missing:
        raise SignatureError(
            f"keep: no column {', '.join(missing)} in the table; there are: {', '.join(names[:30])}"
        )
    return tuple(name if name in names else lower[name.lower()] for name in dict.fromkeys(keep))
