"""Rows that cannot become a tensor, and how they are told."""

from __future__ import annotations

import numpy as np

from tfspark.tensors.kinds import Array

NAN = "NaN, and this input refuses NaN"
NO_NULL = "null, and nothing stands for null in this input"


class BadRows(ValueError):
    """Rows that cannot become the tensor: `rows` are their indices, `reason` says why."""

    def __init__(self, rows: list[int], reason: str) -> None:
        super().__init__(f"{reason} (row {rows[0]}{' and others' if len(rows) > 1 else ''})")
        self.rows = rows
        self.reason = reason


class RaggedRows(BadRows):
    """Rows of different lengths where any one length is taken: `groups` can go one by one."""

    def __init__(self, groups: list[list[int]]) -> None:
        largest = max(groups, key=len)
        odd = sorted(row for group in groups if group is not largest for row in group)
        super().__init__(odd, "lists of different lengths in one batch")
        self.groups = groups


def refuse(wrong: Array, per_row: int, reason: str) -> None:
    """Raise `BadRows` for the rows that hold the wrong elements, if there are any."""
    found = np.flatnonzero(wrong)
    if len(found):
        raise BadRows(np.unique(found // per_row).tolist(), reason)
