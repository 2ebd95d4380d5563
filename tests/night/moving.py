"""A table by day whose world moves, models of known merit, and what each night is to say."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from deltalake import DeltaTable

from tests.judge import world as judged
from tfspark.cli import main
from tfspark.config import load_settings
from tfspark.registry.connect import connect
from tfspark.registry.index import refresh
from tfspark.registry.tracking import CHALLENGER, CHAMPION, COMPLETE, GATE, TRAIN_KEY

ROWS = 600
FIRST = dt.date(2026, 6, 1)
TRAINED = dt.date(2026, 5, 1)
WEIGHTS: dict[int, dict[str, Any]] = {
    1: {"x": 1.5, "z": 0.4},
    2: {**judged.RIGHT, "plan": "nan"},
    3: dict(judged.RIGHT),
    4: {**judged.RIGHT, "noise": 0.5},
}
CHALLENGERS = {"broken": (2, "refused"), "better": (3, "better"), "unclear": (4, "cannot tell")}
"""Kind of day → the version that comes with it, and what the gate is to say of it."""


class Moving:
    """Days one after the other; `kind` says what is odd about a day."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.said = folder, ""
        schema = [{"name": "small", "quarantine": {"maxShare": 0.2}, "properties": judged.COLUMNS}]
        contract = {"kind": "DataContract", "id": "small", "version": "1", "schema": schema}
        (folder / "contract.yaml").write_text(yaml.safe_dump(contract))
        config = {
            "name": "small",
            "contract": str(folder / "contract.yaml"),
            "warehouse": str(folder / "w"),
            "source": {"format": "csv", "path": f"{folder}/raw/{{date}}"},
            "prepare": {"split": judged.SPLIT},
            "nightly": {"prepare": False},
            "score": {"keep": ["id"]},
            "gate": {"latency": 1000, "margin": {"auc": 0.0005}},
        }
        self.config = folder / "small.yaml"
        self.config.write_text(yaml.safe_dump(config))
        self.settings = load_settings(str(self.config))
        self.champion = 1
        self.good: dict[dt.date, dict[int, tuple[float, float]]] = {}
        self.scored_by: dict[dt.date, int] = {}
        self._write(TRAINED, "a", judged.rows())
        self.run("prepare", "--date", str(TRAINED))
        manifest = json.loads(Path(self.settings.datasets, "1", "manifest.json").read_text())
        self._made_of = {"name": "small", "version": 1, "digest": manifest["digest"]}
        self._client = connect(self.settings.tracking_uri)
        self._client.create_registered_model("small")
        self.comes(1, CHAMPION)

    def run(self, command: str, *flags: str) -> int:
        """The exit code; `said` is what was printed."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = main(command, ["--config", str(self.config), *flags])
        self.said = out.getvalue()
        return code

    def comes(self, number: int, alias: str = CHALLENGER) -> None:
        """A version of the model is trained."""
        folder = Path(self.settings.models, "small", str(number))
        judged.model(folder, self._made_of, **WEIGHTS[number])
        tags = {TRAIN_KEY: str(number), GATE: "passed", COMPLETE: "true"}
        self._client.create_model_version("small", f"file://{folder}", tags=tags)
        self._client.set_registered_model_alias("small", alias, str(number))
        refresh(self._client, self.settings.tracking_uri)

    def arrives(self, day: dt.date, kind: str = "plain", name: str = "a") -> None:
        """A file of a day."""
        number = (day - FIRST).days
        rng = np.random.default_rng([number, ord(name)])
        rows = 0 if kind == "empty" else 50 if name == "b" else ROWS
        x, z = rng.normal(1.0 if kind == "drifted" else 0.0, 1.0, rows), rng.normal(size=rows)
        country = rng.choice(["AT", "DE", "FR", "IT", "LU"], rows, p=[0.2, 0.3, 0.25, 0.24, 0.01])
        bad = {"bad": rows // 2, "new": rows // 100}.get(kind, 0)
        if kind == "new":
            country[: rows // 10] = "XX"
        first = number * 10_000 + (5_000 if name == "b" else 0)
        told = {
            "id": [first + row for row in range(rows)],
            "amount": (x * 10 + z * 5 + rng.normal(size=rows)).tolist(),
            "x": ["?" if row < bad else float(value) for row, value in enumerate(x)],
            "z": z.tolist(),
            "country": ["" if row % 50 == 0 else str(c) for row, c in enumerate(country)],
        }
        self._write(day, name, told)
        if kind != "bad":
            found = zip(told["id"][bad:], x[bad:].tolist(), z[bad:].tolist(), strict=True)
            self.good.setdefault(day, {}).update({key: (a, b) for key, a, b in found})

    def night(self, day: dt.date, *flags: str) -> int:
        code = self.run("nightly", "--date", str(day), *flags)
        if code == 0:
            self.scored_by.setdefault(day, self.champion)
        return code

    def record(self, day: dt.date) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            (self.folder / "w" / "nights" / "small" / f"{day}.json").read_text()
        )
        return found

    def wrong(self) -> list[str]:
        """Days that are not published as they are to be."""
        table = DeltaTable(self.settings.scored).to_pyarrow_table()
        rows: dict[dt.date, dict[int, tuple[float, str]]] = {}
        for row in table.select(["day", "id", "probability", "model_version"]).to_pylist():
            value = row["probability"]
            value = value[0] if isinstance(value, list) else value
            day = rows.setdefault(row["day"], {})
            if row["id"] in day:
                return [f"{row['day']}: {row['id']} is there twice"]
            day[row["id"]] = value, row["model_version"]
        found = [] if rows.keys() == self.scored_by.keys() else [f"days: {sorted(rows)}"]
        for day, version in self.scored_by.items():
            if rows.get(day, {}).keys() != self.good[day].keys():
                found.append(f"{day}: other rows")
                continue
            for key, (x, z) in self.good[day].items():
                value, by = rows[day][key]
                if by != str(version) or abs(value - score(version, key, x, z)) > 1e-6:
                    found.append(f"{day}: {key}: {value} by {by}, not by {version}")
                    break
        return found

    def _write(self, day: dt.date, name: str, rows: dict[str, Sequence[Any]]) -> None:
        folder = self.folder / "raw" / str(day)
        folder.mkdir(parents=True, exist_ok=True)
        lines = [",".join(rows)]
        values = zip(*rows.values(), strict=True)
        lines += [",".join("" if v is None else str(v) for v in row) for row in values]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")


def score(version: int, key: int, x: float, z: float) -> float:
    """What a version says of a row."""
    w = WEIGHTS[version]
    total = w["x"] * x + w["z"] * z + w.get("noise", 0.0) * (key * 7919 % 1009 / 1009 - 0.5)
    return float(1 / (1 + np.exp(-total)))
