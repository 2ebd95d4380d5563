"""A small world for nights: a table by day, its contract, a model, a warehouse."""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import io
from pathlib import Path
from typing import Any

import yaml

from tests import saved_models as models
from tfspark.cli import main

DAY = "2026-11-20"
CONTRACT: dict[str, Any] = {
    "kind": "DataContract",
    "id": "rows",
    "version": "1",
    "schema": [
        {
            "name": "rows",
            "quarantine": {"maxShare": 0.2},
            "properties": [
                {
                    "name": "id",
                    "physicalType": "bigint",
                    "primaryKey": True,
                    "required": True,
                    "role": "key",
                    "classification": "public",
                },
                *({"name": f"f{i}", "physicalType": "float", "required": True} for i in range(2)),
            ],
        }
    ],
}


class World:
    """Days of a CSV table under a folder, and `tfspark nightly` on them."""

    def __init__(self, folder: Path, model: str | None = None, least: int | None = None) -> None:
        self.folder, self.warehouse = folder, folder / "warehouse"
        (folder / "raw").mkdir(parents=True)
        contract = copy.deepcopy(CONTRACT)
        if least is not None:
            contract["schema"][0]["quarantine"]["leastRows"] = least
        (folder / "contract.yaml").write_text(yaml.safe_dump(contract))
        self.said = ""
        self.model = model or models.mlp(folder / "model", features=2)
        config = {
            "name": "rows",
            "contract": str(folder / "contract.yaml"),
            "warehouse": str(self.warehouse),
            "source": {"format": "csv", "path": f"{folder}/raw/{{date}}"},
            "prepare": {"format": "parquet"},
            "score": {
                "model": self.model,
                "keep": ["id"],
                "inputs": {"features": ["f0", "f1"]},
            },
        }
        self.config = folder / "rows.yaml"
        self.config.write_text(yaml.safe_dump(config))

    def arrive(self, day: str = DAY, rows: int = 40, name: str = "a", bad: int = 0) -> None:
        """A file of a day: `bad` of its rows break the contract."""
        lines = ["id,f0,f1"]
        first = 1000 * (ord(name) - ord("a"))
        for i in range(first, first + rows):
            lines.append(f"{i},{'x' if i - first < bad else i / 10},{i % 7}")
        (self.folder / "raw" / day).mkdir(exist_ok=True)
        (self.folder / "raw" / day / f"{name}.csv").write_text("\n".join(lines) + "\n")

    def nightly(self, *flags: str) -> int:
        """The exit code; `said` is what was printed."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = main("nightly", ["--config", str(self.config), *flags])
        self.said = out.getvalue()
        return code

    def night(self, day: str = DAY, *flags: str) -> int:
        return self.nightly("--date", day, *flags)

    def version(self) -> int:
        """Of the scored table."""
        from tfspark.deltalog import latest

        return latest(str(self.warehouse / "scored" / "rows"))

    def rows(self, day: str = DAY) -> list[int]:
        """The keys that are published of a day."""
        from deltalake import DeltaTable

        table = DeltaTable(str(self.warehouse / "scored" / "rows"))
        found = table.to_pyarrow_table(filters=[("day", "=", dt.date.fromisoformat(day))])
        return sorted(found["id"].to_pylist())
