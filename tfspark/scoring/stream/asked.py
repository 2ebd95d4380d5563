"""What `score_stream` is asked for, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tfspark.console import Shown
from tfspark.contracts.contract import Quarantine
from tfspark.scoring.kinds.model import AnyModel
from tfspark.scoring.model.binding import Inputs
from tfspark.scoring.stream.checkpoint import Checkpoint

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(repr=False)
class StreamSummary(Shown):
    """What a stream did since it was started; `again` are batches that the tables had already."""

    source: str
    table: str
    model: str
    model_version: str
    model_digest: str
    run_id: str
    batches: int = 0
    again: int = 0
    rows_in: int = 0
    scored: int = 0
    quarantined: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Its fields, as jobs print them."""
        return asdict(self)


@dataclass(frozen=True)
class StreamAsked:
    """What `score_stream` was asked for, each thing found that was only named.

    Attributes:
        quarantine: the table of bad rows.
        limit: how many bad rows of a batch are too many; None: any number may be bad.
        find: the model of a description, see `AnyModel.pinned`, and the name of its signature.
    """

    spark: SparkSession
    source: str
    model: AnyModel
    target: str
    checkpoint: Checkpoint
    inputs: Inputs | None
    keep: Sequence[str] | None
    quarantine: str
    limit: Quarantine | None
    run_id: str
    signature: str | None
    find: Callable[[dict[str, Any], str | None], AnyModel]
