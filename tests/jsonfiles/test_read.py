"""JSON read exactly: against the standard library's writer and reader. About 5 s."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sizes import size
from tfspark.errors import ContractViolation
from tfspark.jsonfiles import kernels, read, values
from tfspark.jsonfiles.read import Form, read_json
from tfspark.textblocks import Coding

NAMES = ("a", "b", "ü")
LINES = Form()


def rows_of(path: Path, form: Form = LINES, names: Any = NAMES, **more: Any) -> list[Any]:
    batches = list(read_json(str(path), names, form, **more))
    for batch in batches:
        for column in batch.columns:
            assert len(column) == batch.num_rows
    return [
        tuple(None if v is None else v.decode("utf-8", "backslashreplace") for v in row)
        for batch in batches
        for row in zip(*(c.cast("binary").to_pylist() for c in batch.columns), strict=True)
    ]


def parsed(path: Path, text: str | bytes, form: Form = LINES, names: Any = NAMES) -> list[Any]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [row[1:] for row in rows_of(path, form, names)]


TEXT = st.text(
    st.sampled_from('ab",:{}[]\\\n\r\t ü😀/\0') | st.characters(codec="utf-8"), max_size=6
)
VALUE = st.recursive(
    st.none() | st.booleans() | TEXT | st.integers() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=6,
)


@settings(
    max_examples=size(150, soak=10_000),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows=st.lists(
        st.dictionaries(st.sampled_from([*NAMES, "x", "y"]) | TEXT, VALUE, max_size=5), max_size=6
    ),
    block=st.sampled_from([1, 2, 3, 7, 64, 1 << 20]),
    indent=st.sampled_from([None, 1]),
    ascii=st.booleans(),
    cut=st.integers(0, 40),
    spoil=st.sampled_from(["", ",", "}", "\\", '"', "0", "truth", "\x01", "]"]),
)
def test_what_is_written_is_read(
    rows: list[dict[str, Any]],
    block: int,
    indent: int | None,
    ascii: bool,
    cut: int,
    spoil: str,
    tmp_path: Path,
) -> None:
    """Lines, of which one may be spoiled, and a list of the same; wherever a block ends."""
    before, read._BLOCK = read._BLOCK, block
    try:
        lines = [json.dumps(row, ensure_ascii=ascii) for row in rows]
        whole = (
            "[" + ",\n".join(json.dumps(r, ensure_ascii=ascii, indent=indent) for r in rows) + "]"
        )
        assert parsed(tmp_path / "b", whole, Form(whole=True)) == [expected(one) for one in lines]
        if spoil and lines:
            first = lines[0][:cut] + spoil + lines[0][cut:]
            lines[0] = first if first.strip() else "x"
        found = parsed(tmp_path / "a", "\n".join(lines) + "\r\n\n", Form(whole=False))
        assert found == [expected(line) for line in lines]
    finally:
        read._BLOCK = before


def expected(line: str) -> tuple[Any, ...]:
    """By the standard library alone."""
    there = values.read(line)
    if not isinstance(there, dict) or not there:
        return (*[None] * len(NAMES), line)
    return (*(values.text_of(there.get(name)) for name in NAMES), None)


def test_the_plain_is_read_without_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The digits of numbers, lists without spaces, nulls, names in any order."""
    monkeypatch.setattr(values, "read", lambda text: 1 / 0)
    text = (
        '{"a": 12345678901234567890.1230, "b": [1,[2.50,"x"],[]], "ü": "ü"}\n'
        '  {"b":true , "x": [ 1 ], "a":"", "y": "\\u00e9\\n"}\t\n\n{"ü":-0.10E+5,"a":null}'
    )
    assert parsed(tmp_path / "a", text) == [
        ("12345678901234567890.1230", '[1,[2.50,"x"],[]]', "ü", None),
        ("", "true", None, None),
        (None, None, "-0.10E+5", None),
    ]


@pytest.mark.parametrize(
    "line",
    [
        '{"a": 1}{"a": 2}', '{"a": 1} {"a": 2}', '{"a": 1},', '{"a": 1} garbage', "[1]", "{}", "1",
        "nonsense", '{"a": 1, "a": 2}', '{"a": 1, "\\u0061": 2}', '{"x": 1, "x": 1}', '{"a": 01}',
        '{"a": 1.}', '{"a": .5}', '{"a": +1}', '{"a": truth}', '{"a": "\\q"}', '{"x": "\\u12g4"}',
        '{"a": "x}', '{"x": "\t"}', '{"a" 1}', "{'a': 1}", '{"a": [1,]}', '{"a": [1 2]}', '{"a": }',
        '{"a": {"b": 1, "b": 2}}', '{"a": 1', '{"a": nulls}', '{"a": -}', '{"a": 1e}', "{a: 1}",
    ],
)  # fmt: skip
def test_a_line_that_is_no_object_is_kept_as_its_text(line: str, tmp_path: Path) -> None:
    found = parsed(tmp_path / "a", f'{line}\n{{"a": 7}}')
    assert found == [(None, None, None, line), ("7", None, None, None)]


def test_half_a_surrogate_pair_and_broken_bytes(tmp_path: Path) -> None:
    lines = [
        b'{"a": "\\ud83d\\ude00", "b": "\\ud83d"}',
        b'{"a": "\\udcc3\\udca9", "b": "\xc3", "x": {}}',
        '{"a": "\ufffd"}'.encode(),
    ]
    found = parsed(tmp_path / "a", b"\n".join(lines))
    assert found[0] == ("😀", "\\xed\\xa0\\xbd", None, None)
    assert found[1] == ("\\xed\\xb3\\x83\\xed\\xb2\\xa9", "\\xed\\xb3\\xbf", None, None)
    assert found[2] == ("\ufffd", None, None, None)


def test_lists_packed_files_and_encodings(tmp_path: Path) -> None:
    file = tmp_path / "a.json.gz"
    file.write_bytes(gzip.compress(b'\xef\xbb\xbf [\n{"a": 1},\n{"a": [{"b":\n2}]} , 3]\n') * 2)
    two = [("1", None), ('[{"b":2}]', None), (None, "3")]
    found = [(row[1], row[-1]) for row in rows_of(file)]
    assert found[:3] == two  # a second list in the same file is no part of the first
    text = '{"a": "é€"}\n'
    for encoding in ("windows-1252", "utf-16", "utf-16-le"):
        form = Form(coding=Coding(encoding))
        assert parsed(tmp_path / "b", text.encode(encoding), form) == [("é€", None, None, None)]
    assert parsed(tmp_path / "b", text.encode("utf-16")) == [("é€", None, None, None)]
    form = Form(nulls=("NA", "-1"))
    assert parsed(tmp_path / "b", '{"a": "NA", "b": -1, "ü": 1}', form) == [(None, None, "1", None)]
    assert parsed(tmp_path / "b", "[]") == parsed(tmp_path / "b", " \n") == []
    pretty = '{\n "a": 1\n}\n{\n "a": 2\n}'
    assert [r[0] for r in parsed(tmp_path / "b", pretty, Form(whole=True))] == ["1", "2"]
    assert rows_of(tmp_path / "b", Form(whole=True), wanted=["b"]) == [(None, None)] * 2


def test_a_value_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in (4, 1 << 20):
        monkeypatch.setattr(read, "_BLOCK", block)
        for text in (
            '[{"a": 1},\n{"a": "x},\n{"a": 3}]\n',
            '[{"a": 1},\n',
            '[{"a": 1}\n{"a": 2}\n',
        ):
            with pytest.raises(ContractViolation, match=r"b: line [123]: a value begins"):
                parsed(tmp_path / "b", text)
    assert kernels.PLAIN
