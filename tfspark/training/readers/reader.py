"""What a reader is, whatever files it reads."""

from __future__ import annotations

from typing import Any, Protocol


class Reader(Protocol):
    """The rows of one split for one rank of a training.

    Duties: every epoch is a permutation of all rows over all ranks, each row exactly once (unless
    rows are resampled); a step's global batch does not depend on the number of ranks; every rank
    has the same number of steps; all of it is decided by (seed, epoch).
    """

    rows: int
    """Of the whole split."""

    steps: int
    """Of an epoch: ceil(rows / global batch), the same on every rank."""

    weighted: bool
    """Whether the elements have a weight: the same on every rank."""

    fills: bool
    """Whether this rank is without a row in some step of an epoch; see `batches`."""

    element_spec: Any
    """tf.TensorSpecs of an element of `batches`."""

    def batches(self, epoch: int, step: int = 0) -> Any:
        """An endless tf.data.Dataset: the rest of `epoch` from `step`, then all later epochs.

        Elements are (inputs, label) or (inputs, label, weight): a dict of tensors [rows, ...] by
        column, float32 [rows, units], float32 [rows]. `rows` is this rank's part of the step's
        global batch. A rank without a row in a step gives one that does not count (`share` is 0).
        What comes after (epoch, step) is what an iteration from (0, 0) gives there.

        Raises:
            TrainingError: the split has no rows.
            tf.errors.OpError: while iterating, where reading failed; see `raise_error`.
        """

    def once(self) -> Any:
        """A tf.data.Dataset of this rank's part of the split, one pass in file order; may be empty.

        Over all ranks it has every row once, without fillers and without resampling. Elements are
        as those of `batches`, of up to a global batch of rows each.
        """

    def share(self, step: int) -> float:
        """This rank's share of the rows of a step's global batch; 1 in sum over the ranks.

        0.0 where the rank has only a filler.
        """

    def raise_error(self) -> None:
        """Raise what made reading fail, if anything did: TensorFlow gives only its text.

        Raises:
            IntegrityError: a file is damaged or missing, or has another number of rows.
            TrainingError: rows that cannot become tensors.
        """

    def close(self) -> None:
        """Close files and end the thread that reads ahead; no dataset of this reader works then."""
