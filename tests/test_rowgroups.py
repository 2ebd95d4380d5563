"""Row groups from footers, and their shares."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfspark.errors import StorageError
from tfspark.rowgroups import Group, divide, footers


def test_footers_name_groups_rows_and_the_bytes_of_columns(tmp_path: Path) -> None:
    table = pa.table(
        {"a": range(10), "a.b": ["x" * 100] * 10, "v": [[1.0]] * 10, "s": [{"v": 1}] * 10}
    )
    path = str(tmp_path / "f.parquet")
    pq.write_table(table, path, row_group_size=4, use_dictionary=False, compression="none")
    whole, some, none = (footers([path], c)[0] for c in (None, ["a", "v"], []))
    assert [(g.path, g.number, g.rows) for g in whole.groups] == [
        (path, 0, 4), (path, 1, 4), (path, 2, 2),
    ]  # fmt: skip
    assert whole.schema == table.schema
    assert whole.groups[0].bytes > 400 > some.groups[0].bytes > 4 * (8 + 8)
    assert [g.bytes for g in none.groups] == [0, 0, 0]


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "f.parquet").write_bytes(b"no")
    with pytest.raises(StorageError, match=r"cannot read .*f\.parquet as Parquet"):
        footers([str(tmp_path / "f.parquet")])


@pytest.mark.parametrize("count", [1, 2, 3, 7, 40])
def test_shares_are_balanced_and_lose_nothing(count: int) -> None:
    sizes = [5, 1, 9, 2, 2, 7, 30, 1, 1, 4, 8, 6]
    groups = [Group("f", i, 1, size) for i, size in enumerate(sizes)]
    shares = divide(groups, count)
    assert [g for share in shares for g in share] == groups
    assert all(shares)
    assert len(shares) <= count
    fair = sum(sizes) / min(count, len(groups))
    assert all(sum(g.bytes for g in share) <= fair + max(sizes) for share in shares)


def test_nothing_gives_no_share() -> None:
    assert divide([], 3) == []
    empty = [Group("f", i, 0, 0) for i in range(3)]
    assert [g for share in divide(empty, 2) for g in share] == empty
