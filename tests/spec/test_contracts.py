"""`spec/contracts.yaml`: what contract files may say, on both sides."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tfspark.contracts import Contract, load_contract, parse_contract
from tfspark.errors import ContractFileError

SPEC = yaml.safe_load((ROOT / "spec" / "contracts.yaml").read_text("utf-8"))
RULES: dict[str, dict[str, Any]] = {
    "minimum": {"logicalTypeOptions": {"minimum": 1}},
    "maximum": {"logicalTypeOptions": {"maximum": 1}},
    "pattern": {"logicalTypeOptions": {"pattern": "a"}},
    "minLength": {"logicalTypeOptions": {"minLength": 1}},
    "maxLength": {"logicalTypeOptions": {"maxLength": 1}},
    "uint8": {"tensor": {"dtype": "uint8"}},
    "padValue": {"tensor": {"padValue": 0}},
    "padText": {"tensor": {"padValue": "a"}},
    "multipleOf": {"logicalTypeOptions": {"multipleOf": 2}},
    "minItems": {"logicalTypeOptions": {"minItems": 1}},
    "maxItems": {"logicalTypeOptions": {"maxItems": 1}},
    "day": {"logicalTypeOptions": {"exclusiveMinimum": "2026-11-20"}},
    "format": {"logicalTypeOptions": {"format": "dd.MM.yyyy"}},
    "email": {"logicalTypeOptions": {"format": "email"}},
} | {
    name: {"logicalType": name}
    for name in ["boolean", "integer", "number", "string", "date", "timestamp", "array"]
}


def content(case: dict[str, Any]) -> bytes:
    if "bytes" in case:
        return bytes.fromhex(case["bytes"])
    text: str = case.get("text", SPEC["base"])
    for old, new in case.get("put", {}).items():
        assert old in text
        text = text.replace(old, new)
    return text.encode()


def shown(contract: Contract) -> list[Any]:
    limit = contract.table.quarantine
    found: list[Any] = [[limit.max_share, limit.max_rows]]
    for c in contract.columns:
        values = None if c.valid_values is None else list(c.valid_values)
        about = [c.name, c.physical_type, c.role, c.required, c.unique, c.key, values]
        o = c.options
        found.append([*about, o.minimum, o.maximum, o.pattern, o.min_length, o.max_length])
    return found


@pytest.mark.parametrize("case", SPEC["cases"], ids=lambda case: str(case)[:80])
def test_a_contract(case: dict[str, Any]) -> None:
    if "path" in case:
        with pytest.raises(ContractFileError) as caught:
            load_contract(case["path"])
        assert str(caught.value) == case["says"]
        return
    if "gives" in case:
        expected = [case["gives"].get(i, row) for i, row in enumerate(SPEC["shown"])]
        # As text: 0 is not 0.0 here.
        assert str(shown(parse_contract(content(case), "t.yaml"))) == str(expected)
        return
    with pytest.raises(ContractFileError) as caught:
        parse_contract(content(case), "t.yaml")
    assert str(caught.value) == case["says"]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", SPEC["types"])
def test_a_rule_of_a_type(kind: str, rule: str) -> None:
    column = {"name": "a", "physicalType": kind, "role": "key", **RULES[rule]}
    table = {"name": "t", "properties": [column]}
    contract = {"kind": "DataContract", "id": "t", "version": "1", "schema": [table]}
    text = yaml.safe_dump(contract).encode()
    if rule in SPEC["types"][kind]:
        assert parse_contract(text, "t.yaml").columns[0].physical_type == kind
    else:
        with pytest.raises(ContractFileError, match="not |is no |unknown format"):
            parse_contract(text, "t.yaml")


@pytest.mark.parametrize("case", SPEC["tensors"], ids=str)
def test_a_column_that_fits_no_tensor(case: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no tensor") as caught:
        parse_contract(content(case), "t.yaml").tensor_specs()
    assert str(caught.value) == case["says"]
