"""Files of the standard: `spec/contracts.yaml` says which are taken, and why others are not."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tfspark.contracts import Column, load_contract
from tfspark.contracts.docs import main
from tfspark.errors import ContractFileError

FILES = ROOT / "tests" / "contracts" / "odcs"
SPEC = yaml.safe_load((ROOT / "spec" / "contracts.yaml").read_text("utf-8"))["files"]


def shown(column: Column) -> str:
    about = column.model_dump(by_alias=True)
    flags = [n for n in ("required", "unique", "primaryKey") if about[n]]
    flags += [column.role] if column.role not in ("feature", "key") else []
    values = [f"one of {', '.join(map(str, column.valid_values))}"] if column.valid_values else []
    rules = [f"{n} {v}" for n, v in about["logicalTypeOptions"].items() if v is not None]
    return "; ".join([f"{column.name} {column.physical_type}", *flags, *values, *sorted(rules)])


@pytest.mark.parametrize("file", SPEC)
def test_a_file_of_the_standard(file: str) -> None:
    expected, path = SPEC[file], str(FILES / file)
    if "says" in expected:
        with pytest.raises(ContractFileError) as caught:
            load_contract(path)
        said = str(caught.value).replace(f"{FILES}/", "")
        assert said.split("\n") == expected["says"]
        return
    contract = load_contract(path)
    limit = contract.table.quarantine
    assert [limit.least_rows, limit.most_rows] == expected.get("rows", [None, None])
    assert list(map(shown, contract.columns)) == expected["columns"]


def test_every_file_is_in_the_spec() -> None:
    assert {file.split("#")[0] for file in SPEC} == {path.name for path in FILES.iterdir()}


def test_what_is_not_used_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(FILES / "everything.yaml")]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("In the file, and not used: name, tenant, domain, ")
    told: list[Any] = line.removesuffix(".").split(": ")[1].split(", ")
    assert {"description.authoritativeDefinitions", "servers", "team", "quality"} <= set(told)
    assert len(told) == len(set(told)) > 30


def test_our_additions_may_be_custom_properties() -> None:
    contract = load_contract(FILES / "ours.yaml")
    assert contract.table.quarantine.max_share == 0.1
    assert contract.column("pixels").tensor_spec().shape == (28, 28)
    assert contract.column("pixels").tensor_spec().null == 0
    assert contract.label == "y"
