"""Bodies as tensors and tensors as answers: TensorFlow Serving's cases, its texts, its statuses."""

import json

import numpy as np
import pytest

from tfspark.serving.answer import columns, predictions
from tfspark.serving.examples import examples_of
from tfspark.serving.refused import Refused
from tfspark.serving.request import parse, signature_of, tensors_of
from tfspark.tensors import TensorSpec


def read(body, **dtypes):
    """The tensors of a body; one input without a name is of int32."""
    given = body.encode() if isinstance(body, str) else body
    specs = {name: TensorSpec(dtype) for name, dtype in (dtypes or {"default": "int32"}).items()}
    return tensors_of(parse(given), specs)


def test_rows_and_columns_become_the_tensors_of_the_documentation() -> None:
    found, rows = read('{"instances": [[1,2],[3,4],[5,6]]}')
    assert rows
    assert found["default"].dtype == "int32"
    assert found["default"].tolist() == [[1, 2], [3, 4], [5, 6]]
    three = {"tag": "string", "signal": "int64", "sensor": "float32"}
    by_row = read(
        '{"instances": [{"tag": "foo", "signal": [1,2,3,4,5], "sensor": [[1,2],[3,4]]},'
        ' {"tag": "bar", "signal": [3,4,1,2,5], "sensor": [[4,5],[6,8]]}]}',
        **three,
    )[0]
    found, rows = read(
        '{"inputs": {"tag": ["foo", "bar"], "signal": [[1,2,3,4,5],[3,4,1,2,5]],'
        ' "sensor": [[[1,2],[3,4]],[[4,5],[6,8]]], "more": 1}}',
        **three,
    )
    assert not rows
    for name in three:
        assert found[name].dtype == by_row[name].dtype
        assert found[name].tolist() == by_row[name].tolist()
    assert found["tag"].tolist() == [b"foo", b"bar"]
    # One input needs no name; a scalar, bytes, what follows the object.
    assert read('{"inputs": [[[1,2]]]}')[0]["default"].shape == (1, 1, 2)
    assert read('{"inputs": {"default": 5}} X')[0]["default"].shape == ()
    both = '{"inputs": {"s": ["foo", "bar"], "b": {"b64": "aGVsbG8="}}}'
    found, _ = read(both, s="string", b="string")
    assert (found["b"].shape, found["b"].item()) == ((), b"hello")
    body = '{"instances": [{"b64": "aGVsbG8="}, {"b64": "d29ybGQ"}, {"b64": "/w=="}, "ä"]}'
    assert read(body, default="string")[0]["default"].tolist() == [
        *(b"hello", b"world", b"\xff", "ä".encode())
    ]
    body = '{"instances": [{"default": [[{"b64": "aGVsbG8="}], [{"b64": "d29ybGQ="}]]}]}'
    assert read(body, default="string")[0]["default"].tolist() == [[[b"hello"], [b"world"]]]
    assert read('{"inputs": [[], []]}')[0]["default"].shape == (2, 0)
    assert signature_of({"signature_name": "x"}, "d") == "x"
    assert signature_of({"signature_name": ""}, "d") == "d" == signature_of({}, "d")


def test_numbers_are_exact_and_nan_is_a_number() -> None:
    largest = [2**63 - 1, -(2**63), 2**53 + 1]
    found = read(json.dumps({"instances": largest}), default="int64")[0]["default"]
    assert found.tolist() == largest
    assert read(f'{{"instances": [{2**64 - 1}]}}', x="uint64")[0]["x"].tolist() == [2**64 - 1]
    x = read(
        '{"instances": [1, 2.5, NaN, -Infinity, Infinity, 1e308, 1435774380, -0.0]}', x="float32"
    )
    as_double = np.array([1, 2.5, np.nan, -np.inf, np.inf, 1e308, 1435774380, -0.0])
    with np.errstate(over="ignore"):
        assert x[0]["x"].tobytes() == as_double.astype("float32").tobytes()
    assert read('{"instances": [0.662, 1e-320]}', x="float64")[0]["x"].tolist() == [0.662, 1e-320]
    assert read('{"instances": [true, false]}', x="bool")[0]["x"].tolist() == [True, False]

    def text(*values, dtype):
        return predictions({"y": np.array(values, dtype)})

    assert text(0.2, 1, 3e-5, 9e6, np.nan, np.inf, -np.inf, 16777217, dtype="float32") == (
        '{"predictions": [0.2, 1.0, 3e-05, 9e+06, NaN, Infinity, -Infinity, 16777216.0]}'
    )
    assert text(*largest, dtype="int64") == f'{{"predictions": {largest}}}'
    assert text(True, False, dtype="bool") == '{"predictions": [true, false]}'
    for dtype in ("float32", "float64"):  # what is written is read as the same bits
        rng = np.random.default_rng(0)
        bits = rng.integers(0, 2**63, 4000, "uint64").view("uint8")
        values = bits[: 4000 * np.dtype(dtype).itemsize].view(dtype)
        values = values[np.isfinite(values)]
        again = np.array(json.loads(text(*values, dtype=dtype))["predictions"], "float64")
        assert again.astype(dtype).tobytes() == values.tobytes()


def test_one_output_has_no_name_and_several_have() -> None:
    y, names = np.array([[1.5, 2.0], [3.0, 4.0]], "float32"), np.array([b"a", "ä".encode()], object)
    assert predictions({"y": y}) == '{"predictions": [[1.5, 2.0], [3.0, 4.0]]}'
    assert columns({"y": y}) == '{"outputs": [[1.5, 2.0], [3.0, 4.0]]}'
    assert json.loads(predictions({"y": y, "name": names})) == {
        "predictions": [{"y": [1.5, 2.0], "name": "a"}, {"y": [3.0, 4.0], "name": "ä"}]
    }
    assert json.loads(columns({"y": y, "raw_bytes": names})) == {
        "outputs": {"y": y.tolist(), "raw_bytes": [{"b64": "YQ=="}, {"b64": "w6Q="}]}
    }
    assert columns({"y": np.zeros((2, 0), "float32")}) == '{"outputs": [[], []]}'
    assert columns({"y": np.float32(2)}) == '{"outputs": 2.0}'
    for outputs, said in (
        ({"y": np.float32(2)}, "Tensor name: y has no shape information "),
        ({"y": y, "z": y[:1]}, "Tensor name: z has inconsistent batch size: 1 expecting: 2"),
        ({"y": np.array([b"\xff"], object)}, "Tensor name: y holds bytes that are no text"),
        ({"y": np.zeros(1, "float16")}, "Failed to write JSON value for tensor type: half"),
    ):
        with pytest.raises(Refused, match=said):
            predictions(outputs)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "JSON Parse error: The document is empty"),
        (" ", "JSON Parse error: The document is empty"),
        ("instances = [1, 2]", "JSON Parse error: Invalid value. at offset: 0"),
        ('{"instances": [1, 2', "JSON Parse error: .* at offset: 19"),
        ("[1]", "Is not object"),
        (b'{"instances": ["\xff"]}', "JSON Parse error: Invalid encoding in string. at offset: 16"),
        (f'{{"instances": [{"9" * 5000}]}}', "JSON Parse error: "),
        ('{"instances": [1e999]}', "JSON Parse error: Number too big to be stored in double."),
        ('{"instances": [1], "instances": [2]}', "an object has a key twice"),
        ('{"instances": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('{"instances": [[1]], "inputs": [[1]]}', "Not formatted correctly expecting only one of"),
        ('{"instances": 1}', "Expecting 'instances' to be an list/array"),
        ('{"instances": []}', "No values in 'instances' array"),
        ('{"x": []}', "Missing 'inputs' or 'instances' key"),
        (
            '{"instances": [[1,2],[3,4],[5,6,7]]}',
            "element: 2 of .*Expecting tensor size: 2 but got: 3",
        ),
        ('{"instances": [[1,2],[3,4],[[5,6]]]}', r"Expecting shape \[2\] but got: \[1,2\]"),
        ('{"instances": [1, [1]]}', r"Expecting shape \[\] but got: \[1\]"),
        (
            '{"instances": [[1,2],["a", "b"]]}',
            'Value: "a" Type: String is not of expected type: int32',
        ),
        ('{"instances": [1.0]}', "JSON Value: 1.0 Type: Number is not of expected type: int32"),
        ('{"instances": [true]}', "Type: True is not of expected type: int32"),
        ('{"instances": [null]}', "Type: Null is not of expected type: int32"),
        ('{"instances": [2147483648]}', "Type: Number is not of expected type: int32"),
        (
            '{"instances": [[[1], 2]]}',
            "found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        ),
        ('{"instances": [[1, [2]]]}', "Encountered list at unexpected level: 1 expected < 1"),
        (
            '{"inputs": [[1,2],[3]]}',
            "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
        ),
        ('{"instances": [{"other": 1}]}', "key: other .*does not have named input: other"),
        ('{"instances": [{"default": 1}, 2]}', "Expecting object but got list at item 1"),
        ('{"instances": [1, {"default": 2}]}', "Expecting value/list but got object at item 1"),
        ('{"inputs": {"other": 1}}', "Missing named input: default in 'inputs' object."),
    ],
)
def test_what_is_wrong_with_a_body_is_said_as_there(body: str | bytes, said: str) -> None:
    with pytest.raises(Refused, match=said) as refused:
        read(body)
    assert refused.value.status == 400


def test_wrong_values_of_other_dtypes_and_of_several_inputs() -> None:
    for body, dtypes, said in (
        ('{"instances": [300]}', {"x": "uint8"}, "not of expected type: uint8"),
        ('{"instances": [-1]}', {"x": "uint64"}, "not of expected type: uint64"),
        ('{"instances": ["1"]}', {"x": "float32"}, "not of expected type: float"),
        ('{"instances": [1]}', {"x": "string"}, "not of expected type: string"),
        ('{"instances": ["\\ud800"]}', {"x": "string"}, "surrogate pair in string is invalid"),
        ('{"instances": [{"b64": "a"}]}', {"x": "string"}, "Unable to base64 decode"),
        ('{"instances": [[{"b64": "YQ==", "c": 1}]]}', {"x": "string"}, "for base64 data"),
        ('{"instances": [1]}', {"x": "bool"}, "not of expected type: bool"),
        ('{"instances": [1]}', {"x": "int32", "y": "int32"}, "expecting list of objects"),
        ('{"inputs": [1]}', {"x": "int32", "y": "int32"}, "expecting an object as multiple"),
        (
            '{"instances": [{"x": 1}]}',
            {"x": "int32", "y": "int32"},
            r'JSON object: \{"x": 1\} keys must be equal to: x,y',
        ),
    ):
        with pytest.raises(Refused, match=said):
            read(body, **dtypes)
    with pytest.raises(Refused, match="to type: half") as refused:
        read('{"instances": [1]}', x="float16")
    assert refused.value.status == 501
    with pytest.raises(Refused, match="'signature_name' key must be a string value"):
        signature_of({"signature_name": 100}, "")


def test_examples_are_those_of_tensorflow() -> None:
    import tensorflow as tf

    asked = parse(
        b'{"context": {"w": ["a", {"b64": "/w=="}]}, "examples": [{"x": 1.5, "n": [1, -1, true]},'
        b' {"x": [NaN, 2.0], "e": []}]}'
    )
    first, second = (tf.train.Example.FromString(one) for one in examples_of(asked, "classify"))
    for found in (first, second):
        assert list(found.features.feature["w"].bytes_list.value) == [b"a", b"\xff"]
    assert list(first.features.feature["x"].float_list.value) == [1.5]
    assert list(first.features.feature["n"].int64_list.value) == [1, -1, 1]
    assert second.features.feature["x"].float_list.value[1] == 2.0
    assert second.features.feature["e"].WhichOneof("kind") is None
    for body, said in (
        ("{}", "When method is regress, key 'examples' is expected and was not found"),
        ('{"examples": 1}', "Expecting 'examples' value to be an list/array"),
        ('{"examples": []}', "'examples' value is an empty array"),
        ('{"examples": [1]}', "Example must be JSON object but got JSON Number"),
        ('{"examples": [{"x": [1, 2.0]}]}', "in feature: x expecting type: int64"),
        ('{"examples": [{"x": null}]}', "Feature: x has element with unexpected JSON type: Null"),
        ('{"examples": [{"x": [[1]]}]}', "Feature: x has element with unexpected JSON type: Array"),
        (f'{{"examples": [{{"x": {2**63}}}]}}', "has uint64_t element. Only int64_t is supported."),
    ):
        with pytest.raises(Refused, match=said):
            examples_of(parse(body.encode()), "regress")
