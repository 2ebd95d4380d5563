"""Watching a published day: drift of what a model is fed and says, rows, and labels that come late.

    watched = watch(spark, settings, steps, day, settings.scored, manifest, rows=rows)
    labelled = labels(spark, settings, steps, day, settings.scored, manifest)

Neither ever stops a night: what cannot be computed is `not computed`, with the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfspark import lazy

if TYPE_CHECKING:
    from tfspark.watch.job import watch
    from tfspark.watch.late import Labelled, labels
    from tfspark.watch.verdict import Watched

__all__ = ["Labelled", "Watched", "labels", "watch"]

__getattr__ = lazy.names(
    __name__,
    {
        "job": ("watch",),
        "late": ("Labelled", "labels"),
        "verdict": ("Watched",),
    },
)
