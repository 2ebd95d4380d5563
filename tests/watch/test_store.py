"""Small Delta tables beside the scored one."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa

from tfspark.watch.store import read_rows, replace_rows


def test_rows_are_read_by_filters_below_a_folder_with_a_space(tmp_path: Path) -> None:
    table, days = str(tmp_path / "a b" / "t"), [dt.date(2026, 1, 1), dt.date(2026, 1, 2)]
    for day, name in zip(days, "xy", strict=True):
        replace_rows(table, pa.table({"day": [day], "name": [name]}), {"name": name})
    found = read_rows(table, [("day", ">=", days[1]), ("name", "==", "y")])
    assert found == [{"day": days[1], "name": "y"}]
    assert read_rows(table + "2", [("name", "==", "y")]) == []
