"""Every Arrow type that a contract can name, to the tensor and back."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfspark.contracts import Contract, parse_contract
from tfspark.errors import ContractFileError, SignatureError
from tfspark.tensors import (
    INT_NULL,
    BadRows,
    RaggedRows,
    TensorSpec,
    arrow_type,
    batch_to_tensors,
    default_null,
    misfit,
    to_arrow,
    to_numpy,
)

NAN = math.nan
LIST2 = [[1, 2], [7, 7]]
ONES = [[[1.0, 1.0], [1.0, 1.0]]]
PADDED = [[1, 9, 9], [9, 9, 9], [2, 3, 9]]
NESTED = [[[1, 0], [2, 3]], [[0, 0], [0, 0]]]
FOUR = [[4, 0], [0, 0]]


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


def test_raw_pixels_are_not_copied() -> None:
    array = pa.array([bytes(range(12))] * 100)[3:]
    tensor = to_numpy(array, TensorSpec("uint8", (2, 2, 3)))
    assert tensor.shape == (97, 2, 2, 3)
    assert tensor.ctypes.data == array.buffers()[2].address + 36
    assert tensor[96].tobytes() == bytes(range(12))
    # A value that begins between two numbers has to be.
    shifted = pa.array([b"x", b"\1\0\0\0"])[1:]
    assert to_numpy(shifted, TensorSpec("int32", (1,))).tolist() == [[1]]


@given(st.lists(st.lists(st.lists(st.integers(0, 99), max_size=3), max_size=3), max_size=6))
def test_padding_as_a_loop_would_do_it(rows: list[list[list[int]]]) -> None:
    array = pa.array(rows, pa.list_(pa.list_(pa.int16())))
    padded = [[row + [-1] * (3 - len(row)) for row in item] for item in rows]
    padded = [item + [[-1] * 3] * (3 - len(item)) for item in padded]
    tensor = to_numpy(array, TensorSpec("int32", (3, 3), None, -1))
    assert tensor.tolist() == padded
    outer = max((len(item) for item in rows), default=0)
    inner = max((len(row) for item in rows for row in item), default=0)
    open_ = to_numpy(array, TensorSpec("int32", (None, None), None, -1))
    assert open_.shape == (len(rows), outer, inner)
    assert same(open_, tensor[:, :outer, :inner])


def test_specs_there_and_back() -> None:
    spec = TensorSpec("float32", (None, 3), NAN, 0.5, True)
    told = spec.to_json()
    assert told == {
        "dtype": "float32", "shape": [None, 3], "null": "NaN", "pad": 0.5, "nan": "refuse",
    }  # fmt: skip
    again = TensorSpec.from_json(json.loads(json.dumps(told)))
    assert again == spec
    assert hash(again) == hash(spec)
    assert again == replace(spec, null=float("nan"))
    assert again != replace(spec, null=0.0)
    old = {"dtype": "int64", "shape": [], "null": None}
    assert TensorSpec.from_json(old) == TensorSpec("int64")
    assert TensorSpec("int64").to_json() == old


def test_a_contract_declares_them() -> None:
    def columns(ids: str, pixels: str) -> Contract:
        text = f"""
kind: DataContract
id: images
version: 1
schema:
  - name: images
    properties:
      - {{name: id, physicalType: bigint, required: true, primaryKey: true}}
      - {{name: ids, physicalType: array<bigint>{ids}}}
      - {{name: pixels, physicalType: binary{pixels}}}
      - {{name: x, physicalType: float, tensor: {{nan: refuse}}}}
"""
        return parse_contract(text.encode(), "images.yaml")

    padded, raw = ", tensor: {shape: [200], padValue: 0}", ", tensor: {dtype: uint8, shape: [2, 3]}"
    specs = columns(padded, raw).tensor_specs()
    assert specs["ids"] == TensorSpec("int64", (200,), None, 0)
    assert specs["pixels"] == TensorSpec("uint8", (2, 3))
    assert specs["x"].refuse_nan
    assert columns(padded, raw).digest() != columns("", raw).digest()
    # Contracts that do not use them have the digests they had before there were such fields.
    said = columns(", tensor: {shape: [200]}", "").model_dump(mode="json", by_alias=True)
    assert said["schema"][0]["properties"][1]["tensor"] == {
        "dtype": None, "shape": [200], "nullValue": None,
    }  # fmt: skip
    with pytest.raises(ContractFileError, match="padValue is for arrays"):
        columns("", ", tensor: {padValue: 0}")
    with pytest.raises(ContractFileError, match="uint8 tensor is raw binary"):
        columns(", tensor: {dtype: uint8}", "")


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
        (pa.array([b"\x01\x02", b"\x03\xff"]), TensorSpec("uint8", (2,)), [[1, 2], [3, 255]]),
        (pa.array([b"ab", None]), TensorSpec("uint8", (2,), 7), [[97, 98], [7, 7]]),
        (pa.array([b"\x01\0\0\x80"], pa.binary(4)), TensorSpec("int16", (2,)), [[1, -(2**15)]]),
        (pa.array([b"\0\x02"], pa.large_binary()), TensorSpec("bool", (2,)), [[False, True]]),
        (pa.array([b"\0\0\x80?" * 4], pa.binary_view()), TensorSpec("float32", (2, 2)), ONES),
        (pa.array([], pa.binary()), TensorSpec("uint8", (2,)), np.empty((0, 2), "uint8")),
        (pa.array([[1], [], [2, 3]]), TensorSpec("int64", (3,), None, 9), PADDED),
        (
            pa.array([[1], [], [2, 3]]),
            TensorSpec("int64", (None,), None, 9),
            [[1, 9], [9, 9], [2, 3]],
        ),
        (pa.array([[1, 2], [3, 4]]), TensorSpec("int64", (2,), None, 9), [[1, 2], [3, 4]]),
        (pa.array([[1], None]), TensorSpec("int64", (2,), 7, 9), [[1, 9], [7, 7]]),
        (pa.array([["a"], []]), TensorSpec("string", (None,), None, "-"), [[b"a"], [b"-"]]),
        (pa.array([[[1], [2, 3]], []]), TensorSpec("int64", (2, 2), None, 0), NESTED),
        (pa.array([[[1], [2, 3]], []]), TensorSpec("int64", (None, None), None, 0), NESTED),
        (
            pa.array([[1, 2, 3], [4]]),
            TensorSpec("int64", (2, 2), None, 0),
            [[[1, 2], [3, 0]], FOUR],
        ),
        (pa.array([[], []], pa.list_(pa.int8())), TensorSpec("int64", (None,), None, 0), [[], []]),
        # A null row of open length is one null, whatever the others have.
        (pa.array([None, [3]]), TensorSpec("int64", (None,), 7), [[7], [3]]),
        (pa.array([None], pa.list_(pa.int8())), TensorSpec("int64", (None,), 7), [[7]]),
        (pa.array([[1, 2], None]), TensorSpec("int64", (None,), 7, 9), [[1, 2], [7, 9]]),
        (pa.array([[[1, 2]], None]), TensorSpec("int64", (None, 2), 7), [[[1, 2]], [[7, 7]]]),
        (pa.array([[[1], [2]], None]), TensorSpec("int64", (2, None), 7), [[[1], [2]], [[7], [7]]]),
        (pa.array([[1, 2], None], pa.list_(pa.int8(), 2)), TensorSpec("int64", (None,), 7), LIST2),
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
        (pa.array([b"abc", b"ab", b"a"]), TensorSpec("uint8", (3,)), [1], "2 bytes, 3 needed"),
        (pa.array([b"abc", None]), TensorSpec("uint8", (3,)), [1], "null"),
        (pa.array([1.0, NAN, None]), TensorSpec("float32", (), 0.0, None, True), [1], "NaN"),
        (pa.array([[1.0], [NAN]]), TensorSpec("float32", (1,), None, None, True), [1], "NaN"),
        (pa.array([b"\0\0\xc0\x7f"]), TensorSpec("float32", (1,), None, None, True), [0], "NaN"),
        (pa.array([[1], [1, 2, 3]]), TensorSpec("int64", (2,), None, 0), [1], "more than 2 values"),
        (pa.array([[1], None]), TensorSpec("int64", (None,), None, 0), [1], "null"),
        (pa.array([[1], [2, None]]), TensorSpec("int64", (3,), None, 0), [1], "null"),
        (
            pa.array([[], [[1], None]]),
            TensorSpec("int64", (2, 1), None, 0),
            [1],
            "null list inside",
        ),
        (pa.array([[], [[1, 2]]]), TensorSpec("int64", (2, 1), None, 0), [1], "more than 1 values"),
        (pa.array([None], pa.list_(pa.int64())), TensorSpec("int64", (None,)), [0], "null"),
    ],
)
def test_bad_rows_are_named(array: pa.Array, spec: TensorSpec, rows: list[int], why: str) -> None:
    with pytest.raises(BadRows, match=why) as caught:
        to_numpy(array, spec)
    assert caught.value.rows == rows
    assert not isinstance(caught.value, RaggedRows)


def test_any_length_is_taken_group_by_group() -> None:
    with pytest.raises(RaggedRows) as caught:
        to_numpy(pa.array([[1, 2, 3], [1, 2], [3, 3], None]), TensorSpec("int64", (None,), 0))
    assert sorted(map(sorted, caught.value.groups)) == [[0], [1, 2], [3]]


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
        (pa.binary(), TensorSpec("uint8", (None, 3))),
        (pa.binary(), TensorSpec("uint8")),
        (pa.string(), TensorSpec("uint8", (3,))),
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
