"""Memory of windows: shared with TensorFlow, and used again only when nobody has it."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

from tfspark.training.readers import layout
from tfspark.training.readers.layout import aligned, as_tensor


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Any:
    pool = layout._Free(1 << 20)
    monkeypatch.setattr(layout, "_FREE", pool)
    return pool


def test_memory_is_used_again_after_its_last_user(free: Any) -> None:
    array = aligned((1000,), "float32")
    array[:] = 1
    place, tensor = array.ctypes.data, as_tensor(array)
    part = array[500:]
    del array
    gc.collect()
    assert aligned((1000,), "float32").ctypes.data != place  # the tensor has it
    assert float(tensor.numpy().sum()) == 1000
    del tensor
    gc.collect()
    assert aligned((1000,), "float32").ctypes.data != place  # and so has the slice
    assert part.sum() == 500
    del part
    gc.collect()
    again = [aligned((1000,), "float32") for _ in range(3)]
    assert place in [array.ctypes.data for array in again]
    assert len({array.ctypes.data for array in again}) == 3


def test_what_is_kept_free_is_bounded(free: Any) -> None:
    arrays = [aligned((1 << 19,), "uint8") for _ in range(8)]
    del arrays
    gc.collect()
    assert 0 < free._held <= 1 << 20


@pytest.mark.parametrize("shape", [(3, 5), (0, 4), (7,)])
@pytest.mark.parametrize("dtype", ["int8", "float64", "float32"])
def test_shapes_and_types(shape: tuple[int, ...], dtype: str, free: Any) -> None:
    array = aligned(shape, dtype)
    assert array.shape == shape
    assert array.dtype == dtype
    assert array.ctypes.data % 64 == 0
    array[...] = 3
    frozen = array.copy()
    frozen.flags.writeable = False
    for tensor in (as_tensor(array), as_tensor(frozen), as_tensor(array[1:])):
        np.testing.assert_array_equal(tensor, np.full(tensor.shape, 3, dtype))
