"""Row checks on Arrow batches, without Spark: what a case of `spec/rows.yaml` cannot say."""

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from tests.rowchecks.tables import KEY, contract, json_batch, sent, told
from tests.sizes import size
from tfspark.rowchecks import RowChecks
from tfspark.rowchecks.words import rows_as_json, spelled

DOUBLE, LONG = pa.float64(), pa.int64()


def check(column: dict[str, Any], values: pa.Array) -> tuple[list[Any], list[list[str]]]:
    """Typed values and reasons of one column `a`."""
    batch = pa.record_batch({"id": pa.array(range(len(values)), pa.int32()), "a": values})
    found = RowChecks(contract({**KEY, "a": column}), batch.schema, "t")(batch)
    assert found.rows.num_rows == len(values)
    found.rows.validate(full=True)
    return found.rows["a"].to_pylist(), [[w.removeprefix("a: ") for w in r] for r, _ in told(found)]


def text(kind: str, *values: str | None) -> tuple[list[Any], list[list[str]]]:
    return check({"physicalType": kind}, pa.array(values, pa.string()))


def test_good_rows_are_handed_on_uncopied() -> None:
    batch = pa.record_batch({"id": pa.array([1, 2], pa.int32()), "a": pa.array([0.5, 1.0])})
    found = RowChecks(contract({**KEY, "a": {"physicalType": "double"}}), batch.schema, "t")(batch)
    assert (found.bad, len(found.reasons), len(found.raw)) == (None, 0, 0)
    assert found.rows["a"].buffers()[1].address == batch["a"].buffers()[1].address


def test_slices_of_columns_are_read_where_they_are() -> None:
    values = pa.array(["x", "1", "2.5", None, " 3 ", "x"])
    for start in range(len(values)):
        for kind in ("int", "double", "decimal(5,2)", "string", "binary", "array<int>"):
            cut = check({"physicalType": kind}, values.slice(start))
            whole = check({"physicalType": kind}, pa.array(values.to_pylist()[start:]))
            assert cut == whole


def test_words_of_a_dictionary_are_checked_as_the_rows_are() -> None:
    """Of all golden cases of text: bad words, words of no row, nulls."""
    spec = yaml.safe_load((ROOT / "spec" / "rows.yaml").read_text())
    texts = [case for case in spec["columns"] if not {"type", "sql"} & set(case)]
    assert len(texts) >= 30
    for case in texts:
        words = [None if row[0] is None else str(row[0]) for row in case["rows"]]
        for chosen in (words, *([word] for word in words)):
            plain = pa.array(chosen * 3, pa.string())
            coded = plain.dictionary_encode()
            of_words, of_rows = check(case["column"], coded), check(case["column"], plain)
            assert repr(of_words) == repr(of_rows), case


def test_columns_that_nobody_asked_for_are_checked_and_not_given() -> None:
    words = pa.array(["a", "b", "a", "a"]).dictionary_encode()
    batch = pa.record_batch({"id": pa.array(range(4), pa.int32()), "s": words, "n": words})
    rules = {"physicalType": "string", "validValues": ["a", "b"]}
    named = {**rules, "unique": True}
    checks = RowChecks(contract({**KEY, "s": rules, "n": named}), batch.schema, "t").giving([])
    found = sent(checks)(batch)
    assert (found.bad, found.rows.schema.names) == (None, ["id", "n"])  # the unique ones
    assert found.rows["n"].to_pylist() == ["a", "b", "a", "a"]
    named["validValues"] = rules["validValues"] = ["a"]
    found = RowChecks(contract({**KEY, "s": rules}), batch.schema, "t").giving(["id"])(batch)
    assert found.reasons.to_pylist() == [["s: b is not one of a"]]
    assert json.loads(found.raw[0].as_py()) == {"id": 1, "s": "b", "n": "b"}


def test_what_lies_under_nulls_is_no_value() -> None:
    for kind in (pa.float64(), pa.float32(), pa.int64(), pa.int8()):
        hidden = pa.array([1, 99, 3], kind)
        valid = pa.py_buffer(bytes([0b101]))
        values = pa.Array.from_buffers(kind, 3, [valid, hidden.buffers()[1]])
        bounds = {"minimum": 1, "maximum": 3}
        name = {"double": "double", "float": "float", "int64": "bigint", "int8": "tinyint"}
        column = {"physicalType": name[str(kind)], "logicalTypeOptions": bounds}
        assert check(column, values) == ([1, None, 3], [[], [], []])
        assert check(column, hidden)[1] == [
            [],
            [f"{spelled(hidden[1].as_py())} is above the maximum 3"],
            [],
        ]


def test_integers_keep_every_digit() -> None:
    values, reasons = text("bigint", str(2**63 - 1), str(2**63), str(-(2**63)), "0" * 30 + "7")
    assert values == [2**63 - 1, None, -(2**63), 7]
    assert [bool(r) for r in reasons] == [False, True, False, False]
    values, reasons = check({"physicalType": "double"}, pa.array([2**53, 2**53 + 1, 2**63 - 1]))
    assert values == [2.0**53, None, None]
    assert reasons[2] == [f"{2**63 - 1} is not double"]


def test_floats_that_are_no_integers() -> None:
    given = pa.array([2.0**63, -(2.0**63), -0.0, 0.5, float("inf"), None])
    values, reasons = check({"physicalType": "bigint"}, given)
    assert values == [None, -(2**63), 0, None, None, None]
    assert [r for r in reasons if r] == [
        ["9.223372036854776E18 is not bigint"],
        ["0.5 is not bigint"],
        ["Infinity is not bigint"],
    ]


def test_floats_of_text_are_rounded_once() -> None:
    said = ["0.1", "1e-400", "5e-324", "-0.0", "2.2250738585072011e-308", "16777217", "1e308"]
    values, reasons = text("double", *said)
    assert list(map(repr, values)) == [repr(float(v)) for v in said]
    assert not any(reasons)
    values, _ = text("float", *said[:-1])
    assert values == [float(np.float32(v)) for v in said[:-1]]


def test_what_java_writes_of_floats() -> None:
    given = [1e7, 1e-3, 9.999e-4, 123456.75, 1e23, 5e-324, -2.0, 100.0, 0.1 + 0.2]
    _, reasons = check(
        {"physicalType": "double", "logicalTypeOptions": {"minimum": 1e300}}, pa.array(given)
    )
    shown = [r[0].split()[0] for r in reasons]
    assert shown == [
        *("1.0E7", "0.001", "9.999E-4", "123456.75", "1.0E23", "4.9E-324", "-2.0", "100.0"),
        "0.30000000000000004",
    ]


def test_decimals_of_every_width() -> None:
    long = "12345678901234567890.123456789012345678"
    values, reasons = text("decimal(38,18)", long, long + "9", long + "00", "1e20", "1e-19")
    assert values == [Decimal(long), None, Decimal(long), None, None]
    values, reasons = text("decimal(2,2)", "0.25", ".25", "00.2", "1", "0", "1e-2", "-0.255")
    assert values == [
        *map(Decimal, ("0.25", "0.25", "0.2")),
        None,
        Decimal(0),
        Decimal("0.01"),
        None,
    ]
    assert sum(map(bool, reasons)) == 2
    values, _ = text("decimal(38,0)", "9" * 38, "1" + "0" * 38, "1e37")
    assert values == [Decimal("9" * 38), None, Decimal(10**37)]
    given = pa.array([Decimal("9.99"), Decimal("99.90"), Decimal("-0.01")], pa.decimal128(10, 2))
    values, _ = check({"physicalType": "decimal(3,1)"}, given)
    assert values == [None, Decimal("99.9"), None]
    assert check({"physicalType": "decimal(12,4)"}, given)[0] == given.to_pylist()
    assert check({"physicalType": "double"}, given)[0] == [9.99, 99.9, -0.01]
    assert check({"physicalType": "int"}, pa.array([Decimal("7.00"), Decimal("7.01")]))[0] == [
        7,
        None,
    ]
    assert check({"physicalType": "decimal(3,1)"}, pa.array([99, 100, -99]))[0] == [99, None, -99]


@pytest.mark.parametrize("year", [1, 4, 100, 1581, 1582, 1900, 2000, 2024, 9999])
def test_days_are_those_of_the_calendar(year: int) -> None:
    days = [f"{year:04d}-{m:02d}-{d:02d}" for m in range(14) for d in range(33)]
    values, _ = text("date", *days)
    micros, _ = text("timestamp", *(f"{day} 23:59:59.999999Z" for day in days))
    for day, value, instant in zip(days, values, micros, strict=True):
        try:
            expected = dt.date.fromisoformat(day)
        except ValueError:
            assert (value, instant) == (None, None)
        else:
            assert value == expected
            assert instant.date() == expected
            assert instant.microsecond == 999999


def test_zones_are_offsets() -> None:
    start = "2026-11-20T10:00:00"
    zones = ["", "Z", "+01:30", "-01", " UTC", "GMT", "+18:00"]
    values, reasons = text("timestamp", *(start + zone for zone in zones))
    assert not any(reasons)
    hours = [10, 10, 8.5, 11, 10, 10, -8]
    midnight = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
    assert values == [midnight + dt.timedelta(hours=h) for h in hours]
    wrong = ["CET", "Europe/Berlin", "+1", "+0130", "+18:01", "+01:60", "z", " +01 ", "  Z", "+"]
    values, reasons = text("timestamp", *(start + zone + "." for zone in wrong), *wrong)
    assert set(values) == {None}
    values, _ = text("timestamp", *(start + z for z in wrong if z != " +01 "))
    assert set(values) == {None}


def test_timestamps_of_other_types() -> None:
    naive = pa.array([0, 86_400_000_000, 1], pa.timestamp("us"))
    assert check({"physicalType": "date"}, naive)[0] == [
        dt.date(1970, 1, 1),
        dt.date(1970, 1, 2),
        None,
    ]
    there = naive.cast(pa.timestamp("us", "Europe/Berlin"))
    utc = [
        dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=m)
        for m in (0, 86_400_000_000, 1)
    ]
    assert check({"physicalType": "timestamp"}, there)[0] == utc
    before = pa.array([dt.date(1500, 3, 1)])
    assert check({"physicalType": "timestamp"}, before)[0] == [
        dt.datetime(1500, 3, 1, tzinfo=dt.UTC)
    ]
    values, reasons = check({"physicalType": "date"}, pa.array([-1], pa.timestamp("us", "UTC")))
    assert (values, reasons) == ([None], [["1969-12-31 23:59:59.999999 is not date"]])


def test_lists_in_a_text() -> None:
    values, _ = text("array<double>", "[1, 2.5, null, NaN]", '["Infinity"]', "[[1]]", '["x"]', "[]")
    assert str(values) == "[[1.0, 2.5, None, nan], [inf], None, None, []]"
    values, _ = text("array<array<int>>", "[[1], null, []]", "[[1], [2.0]]", "[1]")
    assert values == [[[1], None, []], None, None]
    values, _ = text("array<string>", '["a", 1.10, true, {"x": [1e3]}]', '{"a": 1}', "null")
    assert values == [["a", "1.10", "true", '{"x":[1e3]}'], None, None]
    values, _ = text("array<decimal(20,10)>", "[12345678.1234567890, 1e3]", "[0.12345678901]")
    assert values == [[Decimal("12345678.1234567890"), Decimal(1000)], None]
    values, _ = text("array<date>", '["2026-11-20"]', '["2026-11"]', "[20261120]")
    assert values == [[dt.date(2026, 11, 20)], None, None]
    values, _ = text("array<int>", '[1, {"a": 1, "a": 2}]', "[2147483648]", "[1, 2] [3]", "[1,]")
    assert values == [None] * 4


def test_json_lines_keep_the_digits(tmp_path: Path) -> None:
    columns = {"v": {"physicalType": "decimal(38,18)"}, "s": {"physicalType": "string"}}
    lines = [
        '{"id": 1, "v": 12345678901234567890.123456789012345678, "s": 1.10}',
        '{"id": 2, "v": 0.123456789012345678, "s": {"a": [1.50, "x\\n"], "b": null}}',
        '{"id": 3, "s": 1e3, "s": 2}',
        '{"id": 4, "s": "\\ud800"}',
        '{"id": 5, "s": NaN, "v": null}',
    ]
    batch = json_batch(lines, ["id", "v", "s"], tmp_path)
    found = RowChecks(contract({**KEY, **columns}), batch.schema, "t")(batch)
    assert found.rows["v"].to_pylist()[:2] == [
        Decimal("12345678901234567890.123456789012345678"),
        Decimal("0.123456789012345678"),
    ]
    assert found.rows["s"].to_pylist() == [
        *("1.10", '{"a":[1.50,"x\\n"],"b":null}', None, "\ufffd\ufffd\ufffd", "NaN"),
    ]
    assert found.reasons.to_pylist() == [
        ["the line does not have the fields of the table"],
        ["s: \ufffd\ufffd\ufffd is not UTF-8"],
    ]
    assert found.raw.to_pylist() == [lines[2], lines[3]]


def test_bytes_that_are_no_utf8() -> None:
    data = pa.array([b"good", b"f\xff", None, "é".encode(), b"\xed\xa0\x80"], pa.binary())
    raw = pa.Array.from_buffers(pa.string(), len(data), data.buffers())
    values, reasons = check({"physicalType": "string"}, raw)
    assert values[:4] == ["good", "f\ufffd", None, "é"]
    assert [bool(r) for r in reasons] == [False, True, False, False, True]
    assert reasons[1] == ["f\ufffd is not UTF-8"]
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 3, 5], pa.int32()), raw)
    values, reasons = check({"physicalType": "array<string>"}, lists)
    assert values == [["good"], None, None]
    assert reasons[1] == ["[f\ufffd, null] is not array<string>"]


def test_lengths_count_characters() -> None:
    column = {"physicalType": "string", "logicalTypeOptions": {"minLength": 2, "maxLength": 3}}
    _, reasons = check(column, pa.array(["é😀", "😀", "éééé", "abc", None]))
    assert reasons == [[], ["😀 is shorter than 2"], ["éééé is longer than 3"], [], []]
    _, reasons = check({"physicalType": "int"}, pa.array(["é😀" * 100]))
    assert reasons == [["é😀" * 50 + " is not int"]]


def test_a_pattern_takes_linear_time() -> None:
    column = {"physicalType": "string", "logicalTypeOptions": {"pattern": "(a|b|ab)*(a+)+"}}
    _, reasons = check(column, pa.array(["ab" * 500_000 + "a", "ab" * 500_000]))
    assert [bool(why) for why in reasons] == [False, True]


def test_bounds_are_those_of_the_number_that_is_written() -> None:
    bounds = {"minimum": 0.1, "maximum": 2.5}
    _, reasons = check(
        {"physicalType": "decimal(10,2)", "logicalTypeOptions": bounds},
        pa.array([Decimal("0.10"), Decimal("0.09"), Decimal("2.50"), Decimal("2.51")]),
    )
    assert [bool(r) for r in reasons] == [False, True, False, True]
    within = {"minimum": -(2**63), "maximum": 2**63 - 2}
    column = {"physicalType": "bigint", "logicalTypeOptions": within}
    assert list(map(len, check(column, pa.array([-(2**63), 2**63 - 1]))[1])) == [0, 1]


@pytest.mark.parametrize(
    ("kind", "allowed", "values", "bad"),
    [
        ("double", [0, 1.5], [0.0, -0.0, 1.5, 2.0, None], [3]),
        ("boolean", [True], [True, False, None], [1]),
        ("decimal(5,2)", [1, "2.50"], [Decimal("1.00"), Decimal("2.50"), Decimal("3.00")], [2]),
        ("date", ["2026-11-20"], [dt.date(2026, 11, 20), dt.date(2026, 11, 21)], [1]),
        ("string", ["3", "b"], ["3", "b", "x"], [2]),
    ],
)
def test_values_that_are_allowed(
    kind: str, allowed: list[Any], values: list[Any], bad: list[int]
) -> None:
    batch = pa.array(values, {"decimal(5,2)": pa.decimal128(5, 2)}.get(kind))
    _, reasons = check({"physicalType": kind, "validValues": allowed}, batch)
    assert [i for i, r in enumerate(reasons) if r] == bad


def test_values_must_become_the_contract_s_tensors() -> None:
    """As scoring asks; a null of a whole value is not the tensor's concern."""
    lists = {"physicalType": "array<float>"}
    columns: dict[str, Any] = {
        "three": {**lists, "tensor": {"shape": [3]}},
        "some": lists,
        "padded": {**lists, "tensor": {"shape": [2], "padValue": 0, "nan": "refuse"}},
        "x": {"physicalType": "double", "tensor": {"nan": "refuse", "dtype": "float32"}},
        "y": {**lists, "role": "ignore", "tensor": {"shape": [3]}},
    }
    rows = [
        {"three": [1, 2, 3], "some": [1], "padded": [1], "x": 1.0, "y": []},
        {"three": [1, 2], "some": [1, None], "padded": [], "x": None, "y": [1]},
        {"three": [1, 2, 3, 4], "some": [], "padded": [1, 2, 3], "x": math.nan, "y": None},
        {"three": [], "some": [1, 2], "padded": [math.nan], "x": 1e300, "y": []},
        {"three": [1, None, 3], "some": None, "padded": None, "x": 2.0, "y": []},
    ]
    kind = pa.list_(pa.float32())
    schema = pa.schema(
        [("id", pa.int32()), *((n, pa.float64() if n == "x" else kind) for n in columns)]
    )
    batch = pa.RecordBatch.from_pylist([{"id": i, **row} for i, row in enumerate(rows)], schema)
    wanted = contract({**KEY, **columns})
    assert RowChecks(wanted, schema, "t")(batch).bad is None
    found = RowChecks(wanted, schema, "t", tensors=True)(batch)
    assert [[why.split(":")[0] for why in reasons] for reasons, _ in told(found)] == [
        [],
        ["three", "some"],
        ["three", "padded", "x"],
        ["three", "padded", "x"],
        ["three"],
    ]


def test_the_raw_text_of_a_row_is_json() -> None:
    batch = pa.record_batch(
        {
            "id": pa.array([None, None], pa.int32()),
            'a"b': pa.array(['"\\\x01\n', None]),
            "f": pa.array([1e-7, float("nan")]),
            "d": pa.array([Decimal("0.0000001"), Decimal("1.0000000")], pa.decimal128(10, 7)),
            "t": pa.array([1_500, -1], pa.timestamp("us", "UTC")),
            "l": pa.array([[1, None], []], pa.list_(pa.int32())),
            "b": pa.array([b"\x00\xff", None]),
            "s": pa.array([{"x": 1, "y": None}, None], pa.struct([("x", LONG), ("y", LONG)])),
            "m": pa.array([[("k", 1.0)], None], pa.map_(pa.string(), DOUBLE)),
            "z": pa.array([True, None]),
        }
    )
    found = RowChecks(contract(KEY), batch.schema, "t")(batch)
    assert found.reasons.to_pylist() == [["id: null"], ["id: null"]]
    assert found.raw.to_pylist() == [
        '{"a\\"b":"\\"\\\\\\u0001\\n","f":1.0E-7,"d":1E-7,"t":"1970-01-01T00:00:00.001Z",'
        '"l":[1,null],"b":"AP8=","s":{"x":1},"m":{"k":1.0},"z":true}',
        '{"f":"NaN","d":1.0000000,"t":"1969-12-31T23:59:59.999Z","l":[]}',
    ]
    assert all(map(json.loads, found.raw.to_pylist()))


@settings(max_examples=size(50, soak=5_000), deadline=None)
@given(
    st.lists(
        st.tuples(st.none() | st.text(max_size=9), st.none() | st.integers(0, 9), st.booleans()),
        max_size=20,
    ),
    st.integers(0, 9),
)
def test_raw_text_of_slices_is_that_of_the_standard_library(rows: list[Any], skip: int) -> None:
    columns = {"ü": pa.string(), "n": pa.int8(), "z": pa.bool_()}
    arrays = [pa.array([r[i] for r in rows], kind) for i, kind in enumerate(columns.values())]
    batch = pa.record_batch(arrays, list(columns)).slice(skip)
    for names in ([*columns], ["n"], []):
        wanted = [{k: v for k, v in row.items() if v is not None} for row in batch.to_pylist()]
        wanted = [{k: row[k] for k in names if k in row} for row in wanted]
        assert list(map(json.loads, rows_as_json(batch, names).to_pylist())) == wanted


def test_two_thousand_columns() -> None:
    rule = {"pattern": "[a-z0-9]+", "minLength": 2}
    columns = {f"s{i}": {"physicalType": "string", "logicalTypeOptions": rule} for i in range(2000)}
    batch = pa.record_batch(
        {"id": pa.array([1, 2, 3], pa.int32())}
        | {f"s{i}": pa.array(["ab", "?" if i % 100 == 7 else "cd", None]) for i in range(2000)}
    )
    checks = sent(RowChecks(contract({**KEY, **columns}), batch.schema, "t"))
    found = checks(batch)
    assert found.bad.to_pylist() == [False, True, False]
    places = range(7, 2000, 100)
    assert found.reasons.to_pylist()[0] == [
        said
        for i in places
        for said in (f"s{i}: ? does not match [a-z0-9]+", f"s{i}: ? is shorter than 2")
    ]
    assert json.loads(found.raw[0].as_py())["s1999"] == "cd"


def test_dictionaries_and_large_types() -> None:
    batch = pa.record_batch(
        {
            "id": pa.array([1, 2], pa.int32()),
            "a": pa.array(["x", "1"]).dictionary_encode(),
            "b": pa.array(["x", "1"], pa.large_string()),
            "c": pa.array([[1], None], pa.large_list(pa.int32())),
        }
    )
    columns = {"a": {"physicalType": "int"}, "b": {"physicalType": "string"}}
    wanted = contract({**KEY, **columns, "c": {"physicalType": "array<bigint>"}})
    found = RowChecks(wanted, batch.schema, "t")(batch)
    assert found.rows.schema.types == [
        pa.int32(),
        pa.int32(),
        pa.string(),
        found.rows.schema.types[3],
    ]
    assert found.rows.to_pylist()[1] == {"id": 2, "a": 1, "b": "1", "c": None}
    assert found.reasons.to_pylist() == [["a: x is not int"]]
    assert found.raw.to_pylist() == ['{"id":1,"a":"x","b":"x","c":[1]}']
