"""Arrow text to TensorFlow strings: every byte, every type, every length of a length."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfspark.training.readers import strings
from tfspark.training.readers.strings import to_tf_strings

VALUES = st.lists(st.none() | st.binary(max_size=300), max_size=40)


def expected(values: list[bytes | None]) -> list[bytes]:
    return [value or b"" for value in values]


@settings(max_examples=100, deadline=None)
@given(VALUES, st.sampled_from([pa.binary(), pa.large_binary(), pa.binary_view()]), st.data())
def test_any_bytes(values: list[bytes | None], kind: pa.DataType, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(values)))
    array = pa.array(values, kind)
    assert to_tf_strings(array).numpy().tolist() == expected(values)
    assert to_tf_strings(array.slice(start)).numpy().tolist() == expected(values[start:])
    parts = pa.chunked_array([array.slice(0, start), array.slice(start)], kind)
    rows = np.array(data.draw(st.permutations(range(len(values)))), "int64")
    found = to_tf_strings(parts, rows).numpy().tolist()
    assert found == [expected(values)[row] for row in rows]
    if values and kind == pa.binary():
        coded = array.dictionary_encode()
        assert to_tf_strings(coded, rows).numpy().tolist() == found


@given(st.lists(st.none() | st.text(), max_size=20))
def test_any_text(values: list[str | None]) -> None:
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        found = to_tf_strings(pa.array(values, kind)).numpy().tolist()
        assert found == [(value or "").encode() for value in values]


@pytest.mark.parametrize("length", [0, 127, 128, 16_383, 16_384, 3_000_000])
def test_lengths_of_any_size(length: int) -> None:
    values = [b"a", b"\xff" * length, b"b"]
    assert to_tf_strings(pa.array(values)).numpy().tolist() == values


def test_few_values_many_times() -> None:
    values = [None, b"a", b"b", b""] * 1000 + [str(i).encode() for i in range(100)]
    rows = np.arange(len(values))[::-1].copy()
    assert to_tf_strings(pa.array(values), rows).numpy().tolist() == expected(values)[::-1]


def test_a_column_longer_than_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strings, "_MOST_BYTES", 100)
    values = [str(i).encode() * 7 for i in range(200)]
    assert to_tf_strings(pa.array(values)).numpy().tolist() == values


def test_what_is_no_text() -> None:
    with pytest.raises(TypeError, match="int64 is neither text nor binary"):
        to_tf_strings(pa.array([1]))
