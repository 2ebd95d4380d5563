"""What changed between two contracts, and whether what is there still fits: `contract diff`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tfspark.cli import main
from tfspark.contracts import parse_contract
from tfspark.contracts.compare import changes

KEY = {"name": "id", "physicalType": "bigint", "primaryKey": True}
LABEL = {"name": "y", "physicalType": "string", "role": "label", "validValues": ["a", "b"]}
X = {"name": "x", "physicalType": "int", "required": True}


def contract(*columns: dict[str, Any], **table: Any) -> dict[str, Any]:
    entry = {"name": "t", "properties": list(columns), **table}
    return {"kind": "DataContract", "id": "t", "version": "1", "schema": [entry]}


def found(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, bool, bool]]:
    a, b = (parse_contract(yaml.safe_dump(one).encode(), "c.yaml") for one in (old, new))
    assert not changes(a, a)
    return [(one.column, one.data, one.models) for one in changes(a, b)]


@pytest.mark.parametrize(
    ("old", "new", "data", "models"),
    [
        ({}, {"physicalType": "bigint"}, False, False),
        ({}, {"physicalType": "double"}, False, True),
        ({}, {"physicalType": "smallint"}, True, False),
        ({"physicalType": "bigint"}, {"physicalType": "double"}, True, True),
        ({"physicalType": "string"}, {"physicalType": "int"}, True, True),
        ({}, {"physicalType": "string"}, False, True),
        ({}, {"required": False}, False, True),
        ({"required": False}, {"required": True}, True, False),
        ({}, {"unique": True}, True, False),
        ({"unique": True}, {}, False, False),
        ({}, {"role": "ignore"}, False, True),
        ({}, {"validValues": [1, 2]}, True, False),
        ({"validValues": [1, 2]}, {"validValues": [1, 2, 3]}, False, False),
        ({"validValues": [1, 2]}, {"validValues": [1]}, True, False),
        ({"validValues": [1, 2]}, {}, False, False),
        ({}, {"logicalTypeOptions": {"maximum": 9}}, True, False),
        (
            {"logicalTypeOptions": {"maximum": 9}},
            {"logicalTypeOptions": {"maximum": 10}},
            False,
            False,
        ),
        (
            {"logicalTypeOptions": {"minimum": 9}},
            {"logicalTypeOptions": {"minimum": 10}},
            True,
            False,
        ),
        (
            {"logicalTypeOptions": {"multipleOf": 4}},
            {"logicalTypeOptions": {"multipleOf": 2}},
            False,
            False,
        ),
        ({"required": False}, {"required": False, "tensor": {"nullValue": -1}}, False, True),
        ({}, {"tensor": {"dtype": "float32"}}, False, True),
    ],
)
def test_a_column(old: dict[str, Any], new: dict[str, Any], data: bool, models: bool) -> None:
    told = found(contract(KEY, {**X, **old}, LABEL), contract(KEY, {**X, **new}, LABEL))
    assert told
    assert {column for column, *_ in told} == {"x"}
    assert any(one[1] for one in told) == data
    assert any(one[2] for one in told) == models


def test_columns_labels_and_the_table() -> None:
    other = {**LABEL, "validValues": ["a", "b", "c"]}
    assert found(contract(KEY, LABEL), contract(KEY, other)) == [("y", False, True)]
    assert found(contract(KEY, X, LABEL), contract(KEY, LABEL)) == [("x", False, True)]
    assert found(contract(KEY, LABEL), contract(KEY, X, LABEL)) == [("x", True, False)]
    assert found(contract(KEY, LABEL), contract(LABEL, KEY)) == []
    day = {"name": "d", "physicalType": "date", "required": True}
    keyed = contract(KEY, {**day, "primaryKey": True})
    assert ("", True, False) not in found(contract(KEY, day), keyed)[1:]
    strict = contract(KEY, LABEL, quarantine={"maxShare": 0.001, "leastRows": 5})
    assert found(contract(KEY, LABEL), strict) == [("", True, False)] * 2


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = tmp_path / "1"
    dataset.mkdir()
    files = {dataset / "contract.yaml": contract(KEY, X, LABEL)}
    files[tmp_path / "wide.yaml"] = contract(KEY, {**X, "physicalType": "bigint"}, LABEL)
    files[tmp_path / "gone.yaml"] = contract(KEY, LABEL)
    for path, said in files.items():
        path.write_text(yaml.safe_dump(said))
    assert main("contract", ["diff", str(dataset), str(tmp_path / "wide.yaml")]) == 0
    said = capsys.readouterr().out
    assert "✓" in said
    assert "x  was int, is bigint" in said
    assert "still fit" in said
    assert main("contract", ["diff", str(dataset), str(tmp_path / "gone.yaml")]) == 3
    said = capsys.readouterr().out
    assert "✗ models" in said
    assert "train again" in said
    assert "both call themselves 1" in said
    assert main("contract", ["diff", str(dataset), str(dataset)]) == 0
    assert main("contract", ["check", str(tmp_path / "wide.yaml")]) == 0
    assert main("contract", [str(tmp_path / "wide.yaml")]) == 0
    assert main("contract", ["diff", str(dataset), str(tmp_path / "none.yaml")]) == 2
