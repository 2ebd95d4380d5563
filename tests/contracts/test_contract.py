import math
from pathlib import Path

import pytest

from tfspark.contracts import load_contract, parse_contract
from tfspark.contracts.docs import main, page
from tfspark.tensors import INT_NULL, TensorSpec

ROOT = Path(__file__).parents[2]
COLUMNS = """
kind: DataContract
id: t
version: 1
schema:
  - name: t
    properties:
      - {name: id, physicalType: bigint, primaryKey: true, required: true, role: key}
      - {name: flag, physicalType: boolean}
      - {name: small, physicalType: smallint, required: true}
      - {name: whole, physicalType: int}
      - {name: f, physicalType: float}
      - {name: d, physicalType: double, tensor: {dtype: float32, nullValue: 0}}
      - {name: money, physicalType: "decimal(12, 2)", tensor: {dtype: float64}}
      - {name: text, physicalType: string}
      - {name: day, physicalType: date}
      - {name: at, physicalType: timestamp}
      - {name: image, physicalType: binary, required: true}
      - name: pixels
        physicalType: array<array<float>>
        required: true
        tensor: {shape: [32, 3]}
      - {name: tokens, physicalType: array<bigint>, required: true}
      - {name: y, physicalType: int, role: label, required: true}
"""


def test_tensors_follow_from_types() -> None:
    contract = parse_contract(COLUMNS.encode(), "x")
    specs = contract.tensor_specs()
    assert "id" not in specs
    assert "y" not in specs
    assert specs["flag"] == TensorSpec("int64", (), INT_NULL)
    assert specs["small"] == TensorSpec("int64", (), None)
    assert specs["d"] == TensorSpec("float32", (), 0)
    assert specs["text"] == TensorSpec("string", (), "")
    assert specs["day"] == specs["at"] == TensorSpec("int64", (), INT_NULL)
    assert specs["image"] == TensorSpec("string", (), None)
    assert specs["pixels"] == TensorSpec("float32", (32, 3), None)
    assert specs["tokens"] == TensorSpec("int64", (None,), None)
    assert specs["money"].dtype == "float64"
    assert isinstance(specs["f"].null, float)
    assert math.isnan(specs["f"].null)


def test_specs_survive_json() -> None:
    for spec in parse_contract(COLUMNS.encode(), "x").tensor_specs().values():
        back = TensorSpec.from_json(spec.to_json())
        assert repr(back) == repr(spec)


def test_spark_schema_follows_from_types() -> None:
    schema = parse_contract(COLUMNS.encode(), "x").spark_schema()
    assert [f.dataType.simpleString() for f in schema][-3:] == [
        "array<array<float>>",
        "array<bigint>",
        "int",
    ]
    assert not schema["id"].nullable
    assert schema["flag"].nullable


def test_a_decimal_needs_a_named_narrowing() -> None:
    text = COLUMNS.replace(", tensor: {dtype: float64}", "")
    with pytest.raises(ValueError, match="column money: .* fits no tensor without loss"):
        parse_contract(text.encode(), "x").tensor_specs()


def test_scoring_needs_no_label() -> None:
    contract = parse_contract(COLUMNS.encode(), "x").for_scoring()
    assert contract.label is None
    assert contract.keys == ["id"]


@pytest.mark.parametrize("path", sorted((ROOT / "schemas").glob("*.yaml")), ids=lambda p: p.stem)
def test_the_page_in_docs_is_the_contracts(path: Path) -> None:
    shipped = ROOT / "docs" / "contracts" / f"{path.stem}.md"
    assert page(load_contract(path), f"schemas/{path.name}") == shipped.read_text()


def test_the_command_prints_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(ROOT / "schemas" / "passengers.yaml")]) == 0
    assert "| `Age` | double |" in capsys.readouterr().out
