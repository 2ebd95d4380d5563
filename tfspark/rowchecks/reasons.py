"""The reasons of a batch's bad rows: collected check by check, told row by row."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.tensors import Array

TYPE = pa.list_(pa.field("element", pa.string()))
_NOT_CUT = "the line does not have the fields of the table"


class Reasons:
    """Texts against rows, in the order in which they are added."""

    def __init__(self, rows: int) -> None:
        self._count = rows
        self._rows: list[Array] = []
        self._texts: list[pa.Array] = []

    def __bool__(self) -> bool:
        return bool(self._rows)

    def add(self, mask: pa.Array, *said: str | pa.Array) -> None:
        """What is said of the rows of a mask: texts, and arrays of a text a row."""
        rows = np.flatnonzero(mask.to_numpy(zero_copy_only=False))
        self._rows.append(rows)
        if all(isinstance(part, str) for part in said):
            self._texts.append(pa.array(["".join(map(str, said))] * len(rows), pa.string()))
        else:
            self._texts.append(pc.binary_join_element_wise(*said, ""))

    def of_rows(self, said: Iterable[tuple[int, str]]) -> None:
        """A text a row."""
        pairs = list(said)
        self._rows.append(np.array([row for row, _ in pairs], "int64"))
        self._texts.append(pa.array([text for _, text in pairs], pa.string()))

    def told(self, not_cut: pa.Array | None) -> tuple[pa.Array | None, pa.Array]:
        """Which rows are bad, None where none is, and the reasons of these rows.

        Args:
            not_cut: lines that were not cut into fields say nothing about their fields.
        """
        if not_cut is not None:
            broken = not_cut.to_numpy(zero_copy_only=False)
            for place, rows in enumerate(self._rows):
                keep = ~broken[rows]
                self._rows[place] = rows[keep]
                self._texts[place] = self._texts[place].filter(pa.array(keep))
            self.add(not_cut, _NOT_CUT)
        if not self._rows:
            return None, pa.array([], TYPE)
        rows = np.concatenate(self._rows)
        order = np.argsort(rows, kind="stable")
        counts = np.bincount(rows, minlength=self._count)
        bad = counts > 0
        offsets = pa.array(np.concatenate([[0], np.cumsum(counts[bad])]), pa.int32())
        texts = pa.concat_arrays(self._texts).take(pa.array(order))
        return pa.array(bad), pa.ListArray.from_arrays(offsets, texts, TYPE)
