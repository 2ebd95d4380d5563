"""Parquet files to TFRecord folders by Spark's tasks, without Spark's rows."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfspark.errors import ConfigError, SourceMissing, StorageError
from tfspark.tfrecord import Written, read_file, write_tfrecord
from tfspark.tfrecord.folder.manifest import list_folder
from tfspark.tfrecord.spark.convert import _row_groups, _shares, convert

ROWS = 5000


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three files of one schema, several row groups each."""
    folder = tmp_path_factory.mktemp("parquet")
    for number, piece in enumerate((0, 700, 3000)):
        rows = table().slice(piece, (700, 2300, 2000)[number])
        pq.write_table(rows, folder / f"{number}.parquet", row_group_size=400)
    (folder / "_SUCCESS").write_text("")
    return folder


def table() -> pa.Table:
    random = np.random.default_rng(1)
    days = [dt.date(2026, 1, 1) + dt.timedelta(days=n % 3) for n in range(ROWS)]
    lists = [None if n % 7 == 0 else [n] * (n % 4) for n in range(ROWS)]
    return pa.table(
        {
            "id": pa.array(np.arange(ROWS), pa.int64()),
            "x": pa.array(random.normal(size=ROWS), pa.float64()),
            "text": pa.array([f"t{n}" if n % 5 else None for n in range(ROWS)]).dictionary_encode(),
            "day": pa.array(days),
            "list": pa.array(lists, pa.list_(pa.int32())),
        }
    )


def contents(folder: str) -> pa.Table:
    found = list_folder(folder)
    tables = []
    for entry in found.files:
        one = pa.Table.from_batches(list(read_file(entry.path, found.layout)), found.layout.schema)
        assert one.num_rows == entry.rows
        for name, value in entry.partition.items():
            one = one.append_column(name, pa.repeat(pa.scalar(value), one.num_rows))
        tables.append(one)
    return pa.concat_tables(tables).sort_by("id")


def expected() -> pa.Table:
    rows = table()
    return rows.set_column(1, "x", rows["x"].cast(pa.float32())).set_column(
        2, "text", rows["text"].cast(pa.string())
    )


def test_all_rows(spark: Any, parquet: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    written = convert(spark, str(parquet), out, narrow={"x": "float"}, compression="gzip")
    assert written == Written(ROWS, sum(e.bytes for e in list_folder(out).files))
    assert contents(out).to_pydict() == expected().to_pydict()
    back = spark.read.format("tfrecord").load(out)
    assert back.count() == ROWS
    assert dict(back.dtypes)["list"] == "array<int>"
    with pytest.raises(ConfigError, match="holds data"):
        convert(spark, str(parquet), out, narrow={"x": "float"})
    assert convert(spark, str(parquet), out, "ignore") == Written(0, 0)
    # What Spark writes fits what was converted.
    back.write.format("tfrecord").mode("append").save(out)
    assert spark.read.format("tfrecord").load(out).count() == 2 * ROWS


def test_columns_partitions_and_files(spark: Any, parquet: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    files = sorted(str(path) for path in parquet.glob("*.parquet"))
    for _ in range(2):
        written = convert(
            *(spark, files, out, "overwrite"),
            columns=["id", "list", "day"],
            partition_by=["day"],
            max_records_per_file=300,
            tasks=3,
        )
    assert written.rows == ROWS
    found = list_folder(out)
    assert max(entry.rows or 0 for entry in found.files) == 300
    assert {entry.partition["day"].day for entry in found.files} == {1, 2, 3}
    assert contents(out).to_pydict() == table().select(["id", "list", "day"]).to_pydict()


def test_shares_are_even(parquet: Path) -> None:
    files = sorted(str(path) for path in parquet.glob("*.parquet"))
    _, groups = _row_groups(files, None)
    assert len(groups) == 13
    shares = _shares(groups, 4, 2)
    assert [group for share in shares for group in share] == groups
    sizes = [sum(group.bytes for group in share) for share in shares]
    assert max(sizes) - min(sizes) <= 2 * max(group.bytes for group in groups)
    assert len(_shares(groups, None, 2)) == 2
    assert len(_shares(groups, 99, 2)) == 13
    assert _shares([], None, 2) == [[]]


def test_no_rows(spark: Any, tmp_path: Path) -> None:
    pq.write_table(table().select(["id"]).slice(0, 0), tmp_path / "empty.parquet")
    out = str(tmp_path / "out")
    assert convert(spark, str(tmp_path / "empty.parquet"), out) == Written(0, 0)
    assert spark.read.format("tfrecord").load(out).columns == ["id"]


def test_sources_that_are_refused(spark: Any, parquet: Path, tmp_path: Path) -> None:
    def fails(error: type[Exception], message: str, source: Path, **how: Any) -> None:
        out = tmp_path / "out"
        with pytest.raises(error, match=message):
            convert(spark, str(source), str(out), **how)
        assert not out.exists()

    fails(SourceMissing, "is not there", tmp_path / "nothing")
    (tmp_path / "bare").mkdir()
    fails(SourceMissing, "holds no Parquet file", tmp_path / "bare")
    (tmp_path / "delta" / "_delta_log").mkdir(parents=True)
    fails(ConfigError, "is a Delta table", tmp_path / "delta")
    (tmp_path / "by" / "k=1").mkdir(parents=True)
    pq.write_table(table().select(["id"]), tmp_path / "by" / "k=1" / "a.parquet")
    fails(ConfigError, "is partitioned", tmp_path / "by")
    (tmp_path / "two").mkdir()
    pq.write_table(table().select(["id"]), tmp_path / "two" / "a.parquet")
    pq.write_table(table().select(["x"]), tmp_path / "two" / "b.parquet")
    fails(ConfigError, r"b.parquet has other columns than .*a.parquet", tmp_path / "two")
    (tmp_path / "text.parquet").write_text("no Parquet at all")
    fails(StorageError, "cannot read .*text.parquet as Parquet", tmp_path / "text.parquet")
    fails(ConfigError, "column x: an Example does not hold double", parquet)
    fails(ConfigError, "has no column q", parquet, columns=["q"])
    fails(ConfigError, "mode 'merge' is unknown", parquet, mode="merge")


def test_targets_that_are_refused(spark: Any, parquet: Path, tmp_path: Path) -> None:
    delta, others = tmp_path / "t", tmp_path / "others"
    (delta / "_delta_log").mkdir(parents=True)
    others.mkdir()
    (others / "a.csv").write_text("a")
    df = spark.read.parquet(str(parquet))
    for mode in ("append", "overwrite"):
        for target in (parquet, parquet / "records", parquet.parent):
            with pytest.raises(ConfigError, match="is what is read"):
                convert(spark, str(parquet), str(target), mode)
            with pytest.raises(ConfigError, match="is what is read"):
                write_tfrecord(df, str(target), mode)
        for target in (delta, delta / "in"):
            with pytest.raises(ConfigError, match=f"the folder of the Delta table {delta}"):
                convert(spark, str(parquet), str(target), mode)
        with pytest.raises(ConfigError, match=r"holds files of others \(a.csv\)"):
            convert(spark, str(parquet), str(others), mode)
    assert not (parquet / "records").exists()


def test_a_damaged_row_group(spark: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(table().select(["id"]), path, compression="gzip")
    content = bytearray(path.read_bytes())
    content[100:2000] = bytes(1900)
    path.write_bytes(content)
    out = tmp_path / "out"
    with pytest.raises(StorageError, match=rf"cannot read {path}"):
        convert(spark, str(path), str(out))
    assert not out.exists()
