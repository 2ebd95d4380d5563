"""CSV read exactly: against the standard library's writer and reader. About 3 s."""

import csv
import io
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sizes import size
from tfspark.csvfiles import read
from tfspark.csvfiles.read import Form, read_csv, read_header
from tfspark.errors import ContractViolation, StorageError
from tfspark.textblocks import Coding, pieces

COLUMNS = ("a", "b", "c")


def rows_of(path: Path, form: Form, columns: Any = COLUMNS, **more: Any) -> list[tuple[Any, ...]]:
    return [
        tuple(None if v is None else v.decode("utf-8", "backslashreplace") for v in row)
        for batch in read_csv(str(path), columns, form, **more)
        for row in zip(*(c.cast("binary").to_pylist() for c in batch.columns), strict=True)
    ]


def parsed(path: Path, text: str | bytes, columns: Any = COLUMNS, **form: Any) -> Any:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return rows_of(path, Form(header=False, **form), columns)


TEXT = st.text(st.sampled_from('ab",;\n\r ü😀\0') | st.characters(codec="utf-8"), max_size=12)


@settings(
    max_examples=size(150, soak=10_000),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows=st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=8),
    block=st.sampled_from([1, 2, 3, 7, 64, 1 << 20]),
    comma=st.sampled_from(",;\t|"),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_what_the_standard_library_writes_is_read(
    rows: list[tuple[str, str, str]], block: int, comma: str, ending: str, tmp_path: Path
) -> None:
    """Whatever is quoted, and wherever a block of the file ends."""
    out = io.StringIO()
    csv.writer(out, delimiter=comma, quoting=csv.QUOTE_ALL, lineterminator=ending).writerows(rows)
    (tmp_path / "a.csv").write_bytes(out.getvalue().encode("utf-8", "replace"))
    form = Form(comma, header=False)
    before, read._BLOCK = read._BLOCK, block
    try:
        assert rows_of(tmp_path / "a.csv", form) == [
            (*(text or None for text in row), None) for row in rows
        ]
    finally:
        read._BLOCK = before


def test_nulls_empty_texts_spaces_and_lines(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    assert parsed(file, '1,,""\r\n\r\n  , x ,"NA"\rNA,"a ""b""",c') == [
        ("1", None, None, None),
        ("  ", " x ", "NA", None),
        ("NA", 'a "b"', "c", None),
    ]
    assert parsed(file, 'NA,"NA",x\n', nulls=("NA",)) == [(None, None, "x", None)]
    assert parsed(file, "\ufeff1,2,3") == [("1", "2", "3", None)]
    assert parsed(file, "'a,b';\"x;'it''s'\n", comma=";", quote="'") == [
        ("a,b", '"x', "it's", None)
    ]
    assert parsed(file, '"a,b,c\n', quote="") == [('"a', "b", "c", None)]
    assert parsed(file, "é,ß,€\n".encode("cp1252"), coding=Coding("cp1252")) == [
        ("é", "ß", "€", None)
    ]
    assert parsed(file, b"a,\xff,\xc3\n") == [("a", "\\xff", "\\xc3", None)]
    assert parsed(file, "") == []
    assert parsed(file, "x\n\ny\n", ["a"]) == [("x", None), ("y", None)]


def test_a_record_with_other_fields_is_kept_as_its_text(tmp_path: Path) -> None:
    """Too few, too many, and text behind a closing quote, which belongs to no field."""
    lines = '1,2,3\n4,5\n6,7,8,9\n"a"b,2,3\n"x\ny",2\n7,8,9\n'
    odd = ["4,5", "6,7,8,9", '"a"b,2,3', '"x\ny",2']
    wanted = [("1", "2", "3", None), ("7", "8", "9", None)]
    assert parsed(tmp_path / "a.csv", lines) == wanted + [(None, None, None, text) for text in odd]


def test_a_quote_that_is_not_closed_ends_the_reading_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No row after it can be told from its value."""
    text = '1,2,3\n"a\nb",2,3\n4,"5,6\n7,8,9\n'
    for block in (4, 1 << 20):
        monkeypatch.setattr(read, "_BLOCK", block)
        with pytest.raises(ContractViolation, match=r"a\.csv: line 4: a quote is opened"):
            parsed(tmp_path / "a.csv", text)
    monkeypatch.setattr(read, "_LONGEST", 20)
    monkeypatch.setattr(read, "_BLOCK", 10)
    with pytest.raises(ContractViolation, match=r"line 2: a quote"):
        parsed(tmp_path / "a.csv", '1,2,3\n"' + "x\n" * 100)


def test_columns_headers_and_packed_files(tmp_path: Path) -> None:
    import gzip

    file = tmp_path / "a.csv.gz"
    file.write_bytes(gzip.compress(b'\xef\xbb\xbf"a\nb",c\n1,2\n3,4\n'))
    assert read_header(str(file), Form()) == ["a\nb", "c"]
    assert rows_of(file, Form(), ["x", "c"], wanted=["c"]) == [("2", None), ("4", None)]
    (tmp_path / "b.csv").write_text("\n\n")
    assert read_header(str(tmp_path / "b.csv"), Form()) is None
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(StorageError, match=r"cannot read .*a\.csv\.gz"):
        rows_of(file, Form(), ["x", "c"])


def test_escapes_headers_and_nulls(tmp_path: Path) -> None:
    """A backslash stands before quotes and itself alone; a header that is no record is left out."""
    file = tmp_path / "a.csv"
    text = '"a\\"b","c\\\\","d\\n,\n"\n"x\\"",2,\\N\n"a""b",1,2\n'
    assert parsed(file, text, escape="\\", nulls=("\\N", "2")) == [
        ('a"b', "c\\", "d\\n,\n", None),
        ('x"', None, None, None),
        (None, None, None, '"a""b",1,2'),
    ]
    for block in (1, 3, 1 << 20):
        before, read._BLOCK = read._BLOCK, block
        try:
            file.write_text('\n"a\\"b",c\n1,2\n3\n')
            form = Form(escape="\\")
            assert read_header(str(file), form) == ['a"b', "c"]
            assert rows_of(file, form, ["x", "c"]) == [("1", "2", None), (None, None, "3")]
            file.write_text("a,b,c\n1,2\n")
            assert rows_of(file, Form(), ["x", "c"]) == [("1", "2", None)]
        finally:
            read._BLOCK = before
    for text in ('"a"b,c\n1,2\n', '"' + "a" * 200_000 + '",b\n', '"a\n1,2\n'):
        file.write_text(text)
        with pytest.raises(ContractViolation, match=r"a\.csv: .*(header|quote)"):
            read_header(str(file), Form())
    assert parsed(file, "é,ß,\n".encode("utf-16")) == [("é", "ß", None, None)]
    assert parsed(file, b"a,\x81,c\n", coding=Coding("cp1252"))[0][1] == "\\xed\\xb3\\xbf"


def test_more_records_than_a_batch_has_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "_ROOM", 3)
    lines = [f"{n},{n}x," + ("" if n % 5 else "odd,") for n in range(50)]
    found = parsed(tmp_path / "a.csv", "\n".join(lines))
    odd = [row[3] for row in found if row[3] is not None]
    assert odd == lines[::5]
    good = [int(row[0]) for row in found if row[3] is None]
    assert good == [n for n in range(50) if n % 5]


@settings(
    max_examples=size(80, soak=10_000),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=12),
    st.integers(4, 60),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
)
def test_pieces_give_the_rows_of_the_file_or_are_refused(
    tmp_path: Path, rows: list[tuple[str, ...]], step: int, end: str, mark: bytes
) -> None:
    said = io.StringIO(newline="")
    csv.writer(said, lineterminator=end).writerows([COLUMNS, *rows])
    path = tmp_path / "a.csv"
    path.write_bytes(mark + said.getvalue().encode())
    spans = pieces(str(path), Coding(), path.stat().st_size, step)
    if spans:
        assert [start for start, _ in spans[1:]] == [end for _, end in spans[:-1]]
        assert (spans[0][0], spans[-1][1]) == (0, path.stat().st_size)
    broken = any(set(value) & {"\n", "\r"} for row in rows for value in row)
    # Without quotes a break makes two records, in the file as in its pieces.
    with suppress(ContractViolation) if broken else nullcontext():
        found = [r for span in spans or [None] for r in rows_of(path, Form(), span=span)]
        assert sorted(map(str, found)) == sorted(map(str, rows_of(path, Form())))


def test_which_files_stay_whole(tmp_path: Path) -> None:
    """Packed ones, those of other encodings, small ones, and one line."""
    path = tmp_path / "a.csv"
    path.write_text("a\n" * 50)
    assert pieces(str(path), Coding(), 100, 33) == [(0, 34), (34, 68), (68, 100)]
    assert pieces(str(path), Coding(), 100, 51) == []
    assert pieces(str(path), Coding("utf-16"), 100, 10) == []
    assert pieces(str(path), Coding("utf-8", "gzip"), 100, 10) == []
    path.write_text("a\n" * 50, encoding="utf-16")
    assert pieces(str(path), Coding(), 202, 10) == []
    path.write_text("a" * 100)
    assert pieces(str(path), Coding(), 100, 10) == [(0, 100)]
    with pytest.raises(StorageError, match=r"no\.csv"):
        pieces(str(tmp_path / "no.csv"), Coding(), 100, 10)


def test_a_value_of_two_lines_ends_the_reading_of_a_piece_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('a,b\n1,x\n2,"y\nz"\n3,w\n')
    for spans in ([(0, 24)], [(0, 13), (13, 24)]):  # within a piece, and at a cut
        with pytest.raises(ContractViolation, match=r"a\.csv: line 3: .*multiLine: false"):
            _ = [rows_of(path, Form(), ("a", "b"), span=span) for span in spans]
