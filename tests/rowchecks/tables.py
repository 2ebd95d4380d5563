"""Contracts and raw batches for the tests of the row checks."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tfspark.contracts import Contract
from tfspark.jsonfiles.read import Form, read_json
from tfspark.rowchecks import Checked, RowChecks

KEY = {"id": {"physicalType": "int", "primaryKey": True}}


def contract(columns: Mapping[str, Any]) -> Contract:
    properties = [{"name": name, **about} for name, about in columns.items()]
    table = {"name": "t", "properties": properties}
    about = {"kind": "DataContract", "id": "t", "version": "1", "schema": [table]}
    return Contract.model_validate(about)


def sent(checks: RowChecks) -> RowChecks:
    """As a task gets them."""
    received: RowChecks = pickle.loads(pickle.dumps(checks))  # noqa: S301 - our own
    return received


def told(found: Checked) -> list[tuple[list[str], str | None]]:
    """Reasons and raw text of every row, the good ones too."""
    bad = [False] * found.rows.num_rows if found.bad is None else found.bad.to_pylist()
    pairs = zip(found.reasons.to_pylist(), found.raw.to_pylist(), strict=True)
    return [next(pairs) if is_bad else ([], None) for is_bad in bad]


def json_batch(lines: Sequence[str], names: Sequence[str], folder: Path) -> pa.RecordBatch:
    """Lines as `textfiles` reads them."""
    (folder / "lines.json").write_text("\n".join([*lines, ""]))
    (batch,) = read_json(str(folder / "lines.json"), names, Form())
    return batch


class Counted:
    """Says how often the values of a batch are there, as if it were the whole table."""

    def __init__(self, unique: Mapping[str, list[int]]) -> None:
        self.unique = unique

    def times(self, rows: pa.RecordBatch) -> dict[str, pa.Array | None]:
        found: dict[str, pa.Array | None] = {}
        for name, places in self.unique.items():
            values = [tuple(rows.column(i)[j].as_py() for i in places) for j in range(len(rows))]
            counts = [None if None in v else values.count(v) for v in values]
            found[name] = pa.array(counts, pa.int64())
        return found
