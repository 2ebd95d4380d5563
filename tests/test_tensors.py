"""Every Arrow type that a contract can name, to the tensor and back."""

from __future__ import annotations

import datetime as dt
import decimal
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfspark.contracts import INT_NULL, TensorSpec, default_null
from tfspark.errors import SignatureError
from tfspark.tensors import (
    BadRows,
    RaggedRows,
    arrow_type,
    batch_to_tensors,
    misfit,
    to_arrow,
    to_numpy,
)

NAN = math.nan


def same(actual: Any, expected: Any) -> bool:
    return bool(np.array_equal(actual, expected, equal_nan=True))


@pytest.mark.parametrize(
    ("kind", "dtype", "values"),
    [
        (pa.float32(), "float32", st.floats(width=32)),
        (pa.float64(), "float64", st.floats()),
        (pa.int64(), "int64", st.integers(-(2**63), 2**63 - 1)),
        (pa.int32(), "int32", st.integers(-(2**31), 2**31 - 1)),
        (pa.int16(), "uint8", st.integers(0, 255)),
        (pa.bool_(), "bool", st.booleans()),
        (pa.string(), "string", st.text()),
    ],
)
def test_every_dtype_goes_there_and_back(kind: pa.DataType, dtype: str, values: Any) -> None:
    @given(st.lists(values, max_size=12), st.sampled_from([(), (1,), (2,), (2, 3)]), st.booleans())
    def check(items: list[Any], shape: tuple[int, ...], sliced: bool) -> None:
        spec = TensorSpec(dtype, shape)
        size = math.prod(shape)
        rows = len(items) // size
        flat = pa.array(items[: rows * size], kind)
        array: pa.Array = flat
        for step in () if shape == (1,) else reversed(shape):
            offsets = pa.array(range(0, len(array) + 1, step), pa.int32())
            array = pa.ListArray.from_arrays(offsets, array)
        if sliced:
            array = array[rows // 2 :]
        tensor = to_numpy(array, spec)
        assert tensor.shape == (len(array), *shape)
        back = to_arrow(tensor, spec)
        assert back.type == arrow_type(spec)
        assert str(back.to_pylist()) == str(array.to_pylist())

    check()


@given(st.lists(st.none() | st.floats(width=32, allow_nan=False), max_size=20))
def test_nulls_become_the_declared_value(values: list[float | None]) -> None:
    tensor = to_numpy(pa.array(values, pa.float32()), TensorSpec("float32", (), NAN))
    assert same(tensor, np.array([NAN if v is None else v for v in values], "float32"))


def test_a_plain_column_is_not_copied() -> None:
    array = pa.array(np.arange(1000, dtype="float32"))
    tensor = to_numpy(array, TensorSpec("float32"))
    assert tensor.ctypes.data == array.buffers()[1].address


def test_nan_stays_nan_and_is_not_null() -> None:
    assert same(to_numpy(pa.array([NAN, 1.0]), TensorSpec("float32")), [NAN, 1.0])


@pytest.mark.parametrize(
    ("array", "spec", "expected"),
    [
        (pa.array([1, None], pa.int32()), TensorSpec("int64", (), INT_NULL), [1, INT_NULL]),
        (pa.array([True, None]), TensorSpec("int64", (), INT_NULL), [1, INT_NULL]),
        (pa.array([1, None]), TensorSpec("float32", (), NAN), [1, NAN]),
        (pa.array([dt.date(1970, 1, 3)]), TensorSpec("int64"), [2]),
        (pa.array([dt.datetime(1970, 1, 1, 0, 0, 1)]), TensorSpec("int64"), [1_000_000]),
        (pa.array([decimal.Decimal("1.25")]), TensorSpec("float64"), [1.25]),
        (pa.array([0.1], pa.float64()), TensorSpec("float32"), np.array([0.1], "float32")),
        (pa.array(["a", None]), TensorSpec("string", (), ""), [b"a", b""]),
        (pa.array([b"\xff", b"b"]), TensorSpec("string"), [b"\xff", b"b"]),
        (pa.array(["x", "y", "x"]).dictionary_encode(), TensorSpec("string"), [b"x", b"y", b"x"]),
        (pa.nulls(2), TensorSpec("float32", (), NAN), [NAN, NAN]),
        (pa.array([3.0]), TensorSpec("float32", (1,)), [[3.0]]),
        (pa.array([[1, None]]), TensorSpec("float32", (2,), NAN), [[1, NAN]]),
        (pa.array([[1, 2], None]), TensorSpec("float32", (2,), 0.0), [[1, 2], [0, 0]]),
        (pa.array([[1, 2], [3, 4]]), TensorSpec("int64", (None,)), [[1, 2], [3, 4]]),
        (pa.array([[1, 2, 3, 4]]), TensorSpec("float32", (2, 2)), [[[1, 2], [3, 4]]]),
        (pa.chunked_array([[1.0], [2.0]]), TensorSpec("float64"), [1.0, 2.0]),
        (
            pa.array([[1, 2]], pa.list_(pa.float32(), 2)),
            TensorSpec("float32", (2,)),
            [[1, 2]],
        ),
    ],
)
def test_types(array: Any, spec: TensorSpec, expected: Any) -> None:
    tensor = to_numpy(array, spec)
    assert tensor.shape == (len(array), *(np.shape(expected)[1:]))
    if spec.dtype == "string":
        assert tensor.tolist() == expected
    else:
        assert tensor.dtype == spec.dtype
        assert same(tensor, np.array(expected, spec.dtype))


@pytest.mark.parametrize(
    ("array", "spec", "rows", "why"),
    [
        (pa.array([1.0, None]), TensorSpec("float32"), [1], "null"),
        (pa.array(["a", None]), TensorSpec("string"), [1], "null"),
        (pa.array([1, 2**40, -(2**40)]), TensorSpec("int32"), [1, 2], "range of int32"),
        (pa.array([1, -1]), TensorSpec("uint8"), [1], "range of uint8"),
        (pa.array([1e300, math.inf]), TensorSpec("float32"), [0], "range of float32"),
        (pa.array([[1, 2], [1]]), TensorSpec("float32", (2,)), [1], "another length than 2"),
        (pa.array([[1, 2], None]), TensorSpec("int64", (2,)), [1], "null"),
        (pa.array([[1], None, [1, 2]]), TensorSpec("int64", (1,), 0), [2], "length than 1"),
        (pa.array([[1, None], [3, 4]]), TensorSpec("int64", (2,)), [0], "null"),
        (pa.array([[[1], [2, 3]]]), TensorSpec("int64", (2, None)), [0], "inner lists"),
        (pa.array([[[1], None]]), TensorSpec("int64", (2, 1)), [0], "null list inside"),
        (pa.array([None], pa.list_(pa.int64())), TensorSpec("int64", (None,), 0), [0], "how long"),
    ],
)
def test_bad_rows_are_named(array: pa.Array, spec: TensorSpec, rows: list[int], why: str) -> None:
    with pytest.raises(BadRows, match=why) as caught:
        to_numpy(array, spec)
    assert caught.value.rows == rows
    assert not isinstance(caught.value, RaggedRows)


def test_any_length_is_taken_group_by_group() -> None:
    with pytest.raises(RaggedRows) as caught:
        to_numpy(pa.array([[1], [1, 2], [3], None]), TensorSpec("int64", (None,), 0))
    assert sorted(map(sorted, caught.value.groups)) == [[0, 2, 3], [1]]


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        (pa.string(), TensorSpec("float32")),
        (pa.float64(), TensorSpec("int64")),
        (pa.int64(), TensorSpec("string")),
        (pa.int64(), TensorSpec("bool")),
        (pa.timestamp("us"), TensorSpec("float32")),
        (pa.float32(), TensorSpec("float32", (2,))),
        (pa.list_(pa.float32()), TensorSpec("float32")),
        (pa.list_(pa.float32()), TensorSpec("float32", (None, 3))),
        (pa.struct([("a", pa.int64())]), TensorSpec("float32")),
        (pa.float32(), TensorSpec("complex64")),
    ],
)
def test_misfits_are_known_from_the_type(kind: pa.DataType, spec: TensorSpec) -> None:
    assert misfit(kind, spec)
    with pytest.raises(TypeError):
        to_numpy(pa.array([], kind), spec)


def test_a_batch_names_the_column() -> None:
    batch = pa.record_batch({"a b": [1.0, None], "c": ["x", "y"]})
    specs = {"a b": TensorSpec("float32", (), NAN), "c": TensorSpec("string")}
    assert list(batch_to_tensors(batch, specs)) == ["a b", "c"]
    with pytest.raises(BadRows, match="a b: null"):
        batch_to_tensors(batch, {"a b": TensorSpec("float32")})
    with pytest.raises(TypeError, match="c: string"):
        batch_to_tensors(batch, {"c": TensorSpec("float32")})


@pytest.mark.parametrize("dtype", ["float32", "int64", "string"])
def test_default_nulls_are_values_of_their_dtype(dtype: str) -> None:
    tensor = to_numpy(pa.nulls(1), TensorSpec(dtype, (), default_null(dtype)))
    assert len(tensor) == 1


def test_a_null_value_that_is_no_such_number() -> None:
    with pytest.raises(TypeError, match="is no int32"):
        to_numpy(pa.array([None], pa.int32()), TensorSpec("int32", (), INT_NULL))


@pytest.mark.parametrize(
    ("tensor", "spec", "expected"),
    [
        (np.ones((2, 1), "float32"), TensorSpec("float32", (1,)), [1.0, 1.0]),
        (np.ones((2, 1), "float32"), TensorSpec("float32", (None,)), [[1.0], [1.0]]),
        (np.ones((1, 2, 2), "int64"), TensorSpec("int64", (None, 2)), [[[1, 1], [1, 1]]]),
        (np.zeros((2, 0), "float32"), TensorSpec("float32", (None,)), [[], []]),
        (np.array([b"a", b"b"], object), TensorSpec("string"), ["a", "b"]),
        (np.array([1.5], "float16"), TensorSpec("float16"), [1.5]),
    ],
)
def test_outputs(tensor: Any, spec: TensorSpec, expected: list[Any]) -> None:
    column = to_arrow(tensor, spec)
    assert column.to_pylist() == expected
    assert column.type == arrow_type(spec)


def test_outputs_that_are_not_what_the_signature_says() -> None:
    with pytest.raises(SignatureError, match="one value a row"):
        to_arrow(np.ones((2, 2)), TensorSpec("float64"))
    with pytest.raises(SignatureError, match="the signature says"):
        to_arrow(np.ones((2, 2)), TensorSpec("float64", (3,)))
    with pytest.raises(BadRows, match="bigint"):
        to_arrow(np.array([2**63], "uint64"), TensorSpec("uint64"))
