"""Watching a published day: drift of what a model is fed and says, rows, and labels that come late.

    counter = counter_of(spark, settings, model)
    made = score_table(..., counter=counter)
    watched = watch(
        spark, settings, steps, day, settings.scored, model, rows, bad,
        counted=counter and counter.counts,
    )
    labelled = labels(spark, settings, steps, day, settings.scored, model)

Neither ever stops a night: what cannot be computed is `not computed`, with the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfspark import lazy

if TYPE_CHECKING:
    from tfspark.watch.counted import Counter
    from tfspark.watch.job import counter_of, watch
    from tfspark.watch.late import Labelled, labels
    from tfspark.watch.verdict import Watched

__all__ = ["Counter", "Labelled", "Watched", "counter_of", "labels", "watch"]

__getattr__ = lazy.names(
    __name__,
    {
        "counted": ("Counter",),
        "job": ("counter_of", "watch"),
        "late": ("Labelled", "labels"),
        "verdict": ("Watched",),
    },
)
