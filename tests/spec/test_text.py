"""`spec/text.yaml`: CSV and JSON files, as both sides read them. About 10 s."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tfspark.config.textoptions import text_options
from tfspark.errors import TfsparkError
from tfspark.textfiles.table import text_table

CASES = yaml.safe_load((ROOT / "spec" / "text.yaml").read_text("utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_a_table_of_text(case: dict[str, Any], spark: Any, tmp_path: Path) -> None:
    for name, text in case["files"].items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8", newline="")
    options = text_options(case["format"], case.get("options", {}))
    fields, names = case.get("fields", []), [*case.get("columns", []), "_tfspark_corrupt"]

    def rows() -> list[list[str | None]]:
        table = text_table(spark, case["format"], str(tmp_path), options, fields)
        shares = [table.batches(share) for share in table.shares(8)]
        found = [row for batches in shares for batch in batches for row in batch.to_pylist()]
        assert [name for name in table.schema.names if name != "_tfspark_json"] == names
        return [[row[name] for name in names] for row in found]

    if "says" in case:
        with pytest.raises(TfsparkError) as caught:
            rows()
        assert str(caught.value).replace(str(tmp_path), "FOLDER") == case["says"]
    else:
        assert sorted(rows(), key=str) == sorted(case["gives"], key=str)
