"""A table with a column of paths: the files' bytes, and what is said of those not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from tests.images import pictures
from tfspark.config import load_settings
from tfspark.console import Steps
from tfspark.errors import ConfigError, SourceMissing
from tfspark.prepare import prepare
from tfspark.tables import read_source

CONTRACT = """
kind: DataContract
id: t
version: 1
schema:
  - name: t
    quarantine: {maxShare: 0.9}
    properties:
      - {name: file, physicalType: string, primaryKey: true, required: true}
      - {name: kind, physicalType: string, role: label, required: true}
      - {name: photo, physicalType: binary, required: true}
"""
BAD = {
    "none.jpg": "photo: there is no file none.jpg in ",
    "../secret.txt": "photo: ../secret.txt lies outside of source.images.folder",
    "/etc/hostname": "photo: /etc/hostname lies outside of source.images.folder",
    "cut.jpg": "photo: is a JPEG that is cut off",
}


def test_paths_of_a_csv_file_become_images(spark: Any, tmp_path: Path) -> None:
    good = {f"{n}.jpg": pictures.encoded(n) for n in range(4)}
    files = good | {"cut.jpg": pictures.encoded(1)[:200]}
    folder = pictures.folder(tmp_path / "photos", files.items())
    packed = pictures.zipped(tmp_path / "photos.zip", files.items())
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "c.yaml").write_text(CONTRACT)
    (tmp_path / "t.csv").write_text("file,kind\n" + "".join(f"{n},a\n" for n in [*good, *BAD]))

    def settings(where: Path, column: str = "file") -> Any:
        given = {
            "name": "t",
            "date": "2026-11-20",
            "contract": str(tmp_path / "c.yaml"),
            "warehouse": str(tmp_path / "warehouse"),
            "source.format": "csv",
            "source.path": str(tmp_path / "t.csv"),
            "source.images": {"column": column, "folder": str(where), "into": "photo"},
            "features": [{"kind": "image", "column": "photo", "size": [8, 8]}],
        }
        return load_settings(None, given)

    summary = prepare(spark, settings(folder), Steps("prepare"))
    assert (summary["rows_in"], summary["quarantined"]) == (8, 4)
    table = DeltaTable(str(tmp_path / "warehouse" / "quarantine")).to_pyarrow_table()
    said = {json.loads(row["raw"])["file"]: row["reasons"] for row in table.to_pylist()}
    assert said.keys() == BAD.keys()
    assert all(any(w.startswith(BAD[name]) for w in why) for name, why in said.items()), said
    assert "secret" not in str(table["raw"].to_pylist()).replace("secret.txt", "")

    df = read_source(spark, settings(packed).source, columns=["file", "kind", "photo"])
    assert {row["file"]: row["photo"] for row in df.collect() if row["file"] in good} == good
    assert [c for c in df.columns if "unread" in c] == []
    for wrong, kind, why in [
        (settings(tmp_path / "no"), SourceMissing, "source.images.folder"),
        (settings(folder, "x"), ConfigError, "column x: the table has no such column"),
    ]:
        with pytest.raises(kind, match=why):
            read_source(spark, wrong.source)
