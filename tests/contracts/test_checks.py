import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.rowchecks.frames import check
from tfspark.config import Source
from tfspark.contracts import Contract, parse_contract
from tfspark.errors import ContractViolation
from tfspark.tables import read_source

CONTRACT = """
kind: DataContract
id: t
version: 1
schema:
  - name: t
    properties:
      - {name: id, physicalType: bigint, primaryKey: true, required: true, role: key}
      - {name: age, physicalType: double, logicalTypeOptions: {minimum: 0, maximum: 120}}
      - {name: n, physicalType: int, required: true}
      - {name: sex, physicalType: string, validValues: [male, female]}
      - name: code
        physicalType: string
        unique: true
        logicalTypeOptions: {pattern: "[A-Z]+[0-9]*", maxLength: 3}
      - {name: day, physicalType: date}
"""
HEADER = "id,age,n,sex,code,day\n"


def contract(text: str = CONTRACT) -> Contract:
    return parse_contract(text.encode(), "x.yaml")


def reasons(spark: Any, path: Path, format: str = "csv") -> list[tuple[Any, list[str], str | None]]:
    columns = [column.name for column in contract().columns]
    df = read_source(spark, Source(format=format, path=str(path)), columns=columns)  # type: ignore[arg-type]
    rows = check(df, contract()).collect()
    return [(row["id"], row["_tfspark_reasons"], row["_tfspark_raw"]) for row in rows]


def test_a_bad_row_has_all_its_reasons(spark: Any, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(
        HEADER.encode()
        + b"1,34.5,2,male,A1,2026-11-20\n"
        + b"2,-1,x,other,a1,2026-13-01\n"
        + b"3,NaN,1,,ABCD,\n"
        + b",1,,male,C,\n"
        + b"5,1d,1,fem\xffale,D,\n"
        + b"6,1,1\n"
        + b"7,1,1,male,E,,more\n"
    )
    every = reasons(spark, path)
    found = {row[0] if row[0] is not None else row[2]: row for row in every}
    empty = next(row for row in every if "id: null" in row[1])
    assert found[1][1:] == ([], None)
    assert found[2][1] == [
        "age: -1 is below the minimum 0",
        "n: x is not int",
        "sex: other is not one of male, female",
        "code: a1 does not match [A-Z]+[0-9]*",
        "day: 2026-13-01 is not date",
    ]
    assert json.loads(str(found[2][2])) == {
        "id": "2",
        "age": "-1",
        "n": "x",
        "sex": "other",
        "code": "a1",
        "day": "2026-13-01",
    }
    assert found[3][1] == [
        "age: NaN is below the minimum 0",
        "age: NaN is above the maximum 120",
        "code: ABCD is longer than 3",
    ]
    assert empty[1] == ["id: null", "n: null"]
    assert found[5][1] == [
        "age: 1d is not double",
        "sex: fem\ufffdale is not UTF-8",
        "sex: fem\ufffdale is not one of male, female",
    ]
    assert found["6,1,1"][1] == ["the line does not have the fields of the table"]
    assert found["7,1,1,male,E,,more"][1] == ["the line does not have the fields of the table"]


def test_every_row_of_a_double_key_is_bad(spark: Any, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(HEADER + "1,1,1,male,A,\n1,2,1,male,A,\n2,1,1,male,B,\n")
    found = sorted(reasons(spark, path), key=str)
    assert [row[1] for row in found] == [
        ["id: there 2 times", "code: there 2 times"],
        ["id: there 2 times", "code: there 2 times"],
        [],
    ]


def test_json_lines(spark: Any, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(
        '{"id": 1, "n": 1, "age": null}\n'
        '{"id": "2x", "n": 1.5}\n'
        "nonsense\n"
        "[1]\n"
        '{"id": 3, "n": 2, "sex": "male", "more": {"a": 1}}\n'
    )
    found = reasons(spark, path, "json")
    by_raw = {str(raw)[:9]: why for _, why, raw in found if why}
    assert by_raw == {
        '{"id": "2': ["id: 2x is not bigint", "n: 1.5 is not int"],
        "nonsense": ["the line does not have the fields of the table"],
        "[1]": ["the line does not have the fields of the table"],
    }
    assert [row[0] for row in found if not row[1]] == [1, 3]


def test_typed_columns_are_widened_and_never_narrowed(spark: Any) -> None:
    schema = "id int, age float, n bigint, sex string, code string, day timestamp"
    rows = [
        (1, 2.5, 3, "male", None, dt.datetime(2026, 11, 20)),
        (2, None, 2**40, None, None, dt.datetime(2026, 11, 20, 1)),
    ]
    found = check(spark.createDataFrame(rows, schema), contract()).orderBy("id").collect()
    assert found[0]["age"] == 2.5
    assert found[0]["day"] == dt.date(2026, 11, 20)
    assert found[0]["_tfspark_reasons"] == []
    assert found[1]["_tfspark_reasons"] == [
        f"n: {2**40} is not int",
        "day: 2026-11-20 01:00:00 is not date",
    ]


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ("id bigint, age double, n int, sex string, code string", "column day of the contract"),
        ("id bigint, age decimal(30,2), n int, sex string, code string, day date", "column age is"),
        ("id bigint, age double, n array<int>, sex string, code string, day date", "column n is"),
        ("id bigint, age double, n int, sex binary, code string, day date", "column sex is"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_before_any_row(
    spark: Any, schema: str, says: str
) -> None:
    with pytest.raises(ContractViolation, match=says):
        check(spark.createDataFrame([], schema), contract())


def test_a_column_name_may_hold_anything(spark: Any) -> None:
    tricky = "a`b.c \"d' ; --"
    text = CONTRACT.replace("name: sex", "name: " + json.dumps(tricky))
    df = spark.createDataFrame(
        [(1, 1.0, 1, "none", "A", None)],
        "id bigint, age double, n int, s string, code string, day date",
    ).withColumnRenamed("s", tricky)
    row = check(df, contract(text)).collect()[0]
    assert row[tricky] == "none"
    assert row["_tfspark_reasons"] == [f"{tricky}: none is not one of male, female"]


VALUES = st.one_of(
    st.none(),
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r\n\ufffd"), max_size=6
    ),
    st.integers(-(2**65), 2**65).map(str),
    st.floats().map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str),
)


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(values=st.lists(VALUES, min_size=20, max_size=60))
def test_parsed_values_are_python_s(spark: Any, values: list[str | None]) -> None:
    """What is good has Python's value; what Python refuses is bad; nothing is lost."""
    rows = [(str(i), value, "1", None, None, None) for i, value in enumerate(values)]
    text = "id string, age string, n string, sex string, code string, day string"
    wide = contract(CONTRACT.replace(", logicalTypeOptions: {minimum: 0, maximum: 120}", ""))
    found = {row["id"]: row for row in check(spark.createDataFrame(rows, text), wide).collect()}
    assert len(found) == len(values)
    for i, value in enumerate(values):
        row, expected = found[i], _python_float(value)
        if value is None or value.strip(" ") == "":
            assert row["age"] is None
            assert row["_tfspark_reasons"] == []
        elif expected is None:
            assert row["_tfspark_reasons"], value
        else:
            assert repr(row["age"]) == repr(expected)


def _python_float(value: str | None) -> float | None:
    try:
        ascii_only = value is not None and value.isascii() and "_" not in value
        return float(value.strip(" ")) if ascii_only and value is not None else None
    except ValueError:
        return None


def test_decimals_keep_every_digit(spark: Any) -> None:
    text = CONTRACT.replace("physicalType: double", 'physicalType: "decimal(20,4)"')
    df = spark.createDataFrame(
        [("1", "12.3456", "1", None, None, None)],
        "id string, age string, n string, sex string, code string, day string",
    )
    assert check(df, contract(text)).collect()[0]["age"] == Decimal("12.3456")
