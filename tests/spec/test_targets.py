"""`spec/targets.yaml`: where nothing may be written, on both sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.conftest import ROOT
from tfspark.errors import ConfigError
from tfspark.scoring.table.target import refuse_lost
from tfspark.tables import refuse_part_of_delta
from tfspark.targets import refuse_foreign, refuse_overlap

CASES = yaml.safe_load((ROOT / "spec" / "targets.yaml").read_text("utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_a_target(case: dict[str, Any], tmp_path: Path, request: pytest.FixtureRequest) -> None:
    made(case, tmp_path)
    put = lambda name: case[name].replace("$", str(tmp_path))  # noqa: E731

    def check() -> None:
        if "part" in case:
            refuse_part_of_delta(put("part"))
        elif "lost" in case:
            refuse_lost(request.getfixturevalue("spark"), case["lost"])
        elif case.get("folder"):
            refuse_foreign(put("target"), "--output")
        else:
            refuse_overlap(put("target"), [put("source")], "--output")

    if "says" not in case:
        check()
        return
    with pytest.raises(ConfigError) as caught:
        check()
    assert str(caught.value) == put("says")


def made(case: dict[str, Any], folder: Path) -> None:
    for name in case.get("files", []):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if "columns" in case:
            pq.write_table(pa.table({name: ["a"] for name in case["columns"]}), folder / name)
        else:
            (folder / name).write_bytes(b"")
    for name, to in case.get("links", {}).items():
        (folder / name).symlink_to(folder / to)
