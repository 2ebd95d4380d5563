"""Values of the right type that cannot become the contract's tensor, as scoring refuses them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.rowchecks.arrays import some
from tfspark.tensors import NAN, NO_NULL, Array, BadRows, RaggedRows, TensorSpec, to_numpy


def unfit(values: pa.Array, spec: TensorSpec, any_length: bool) -> Iterator[tuple[pa.Array, str]]:
    """Masks of rows, and what scoring would say of them. Nulls are another rule's concern.

    Args:
        any_length: lists of any length are right, those within a list too.
    """
    if any_length:
        yield from _inside(values, spec)
        return
    valid = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
    waiting = [valid] if len(valid) else []
    while waiting:
        rows = waiting.pop()
        try:
            to_numpy(values.take(pa.array(rows)), spec)
        except BadRows as bad:
            if isinstance(bad, RaggedRows) and len(bad.groups) > 1:
                waiting += [rows[group] for group in bad.groups]
                continue
            wrong = rows[bad.rows] if bad.rows else rows
            yield _mask(wrong, len(values)), bad.reason
            rest = np.setdiff1d(rows, wrong)
            waiting += [rest] if len(rest) else []


def _inside(values: pa.Array, spec: TensorSpec) -> Iterator[tuple[pa.Array, str]]:
    """Nulls and NaN in lists, however deep."""
    rows, size = np.arange(len(values)), len(values)
    while pa.types.is_list(values.type):
        rows = rows[pc.list_parent_indices(values).to_numpy(zero_copy_only=False)]
        values = values.flatten()
        if spec.null is None and values.null_count:
            nulls = values.is_null().to_numpy(zero_copy_only=False)
            yield _mask(rows[nulls], size), NO_NULL
    may = spec.refuse_nan and pa.types.is_floating(values.type)
    if may and (nan := some(pc.is_nan(values))) is not None:
        yield _mask(rows[nan.to_numpy(zero_copy_only=False)], size), NAN


def _mask(rows: Array, size: int) -> pa.Array:
    mask = np.zeros(size, bool)
    mask[rows] = True
    return pa.array(mask)
