"""Tables in text files: which files, what folders say, files that change. About 5 s."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tfspark.config import Source
from tfspark.config.textoptions import TextOptions
from tfspark.errors import ContractViolation, StorageError
from tfspark.plainfiles.files import plain
from tfspark.sparkerrors import reading
from tfspark.tables import read_source
from tfspark.textfiles import files
from tfspark.textfiles.files import partitions
from tfspark.textfiles.table import TextTable, text_table


def rows_of(table: TextTable, wanted: list[str] | None = None) -> list[tuple[Any, ...]]:
    (share,) = table.shares(1)
    batches = table.batches(share, wanted)
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]


def test_columns_of_folders_are_the_text_that_is_there() -> None:
    for path, file, wanted in (
        ("/t", "/t/a=007/b=x%2Fy/f.csv", {"a": "007", "b": "x/y"}),
        ("/t/", "/t/a=__HIVE_DEFAULT_PARTITION__/f.csv", {"a": None}),
        ("/t/a=1", "/t/a=1/f.csv", {}),
        ("/t/a=1/f.csv", "/t/a=1/f.csv", {}),
        ("/t/*", "/t/a=1/b=2/f.csv", {"b": "2"}),
        ("file:/t", "/t/a=b=c/f.csv", {"a": "b=c"}),
        ("s3a://b/t", "s3a://b/t/a=1/f.csv", {"a": "1"}),
    ):
        assert partitions(file, path) == wanted


def test_folders_changes_and_refusals(spark: Any, tmp_path: Path) -> None:
    for code in ("007", "7e0"):
        (tmp_path / "t" / f"code={code}").mkdir(parents=True)
    one, two = (tmp_path / "t" / f"code={code}" / "a.json" for code in ("007", "7e0"))
    one.write_text('{"id": 1.0, "x": [1]}\n{"id": 2}{}\n')
    two.write_text('[{"id": 3}]')
    path = str(tmp_path / "t")
    table = text_table(spark, "json", path, TextOptions(), ["id", "code"])
    assert table.schema.names == ["_tfspark_json", "id", "code", "_tfspark_corrupt"]
    found = {(None, "007", '{"id": 2}{}'), ("1.0", "007", None), ("3", "7e0", None)}
    assert set(rows_of(table, ["id", "code"])) == found
    source = Source(format="json", path=path, day_column="code")
    assert set(read_source(spark, source.model_copy(update={"day_column": None})).dtypes) == {
        (name, "string") for name in ("_tfspark_json", "code", "_tfspark_corrupt")
    }
    two.write_text('[{"id": 4}, {"id": 5}]')
    with pytest.raises(StorageError, match=r"7e0/a\.json: was changed or removed"):
        rows_of(table)
    # Parquet's too, with a contract: Spark alone would guess that it is the number 7.
    spark.range(1).write.parquet(str(tmp_path / "p" / "code=007"))
    parquet = Source(format="parquet", path=str(tmp_path / "p"))
    frame = read_source(spark, parquet, columns=["id"])
    assert [tuple(row) for row in frame.collect()] == [(0, "007")]
    assert plain(frame, frame.columns).partitions == ("code",)
    for name in ("a.csv.snappy", "b/x=1/a.csv"):
        (tmp_path / "c" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "c" / name).write_text("id,x\n1,2\n")
    with pytest.raises(StorageError, match=r"snappy: is packed in a way that is not read"):
        text_table(spark, "csv", str(tmp_path / "c" / "a.csv.snappy"), TextOptions())
    with pytest.raises(ContractViolation, match="column x is in the files and in their folders"):
        text_table(spark, "csv", str(tmp_path / "c" / "b"), TextOptions())


def test_text_that_is_not_utf8_ends_a_query_without_a_contract(spark: Any, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("id,s\n1,\ufffd\n2,é\n".encode() + b"3,\xe9\n")
    source = Source(format="csv", path=str(tmp_path / "a.csv"))
    with (
        pytest.raises(StorageError, match=r"a\.csv: column s holds text that is not UTF-8"),
        reading("a"),
    ):
        read_source(spark, source).collect()
    (tmp_path / "a.csv").write_bytes(b"id,s\n3\n")
    with pytest.raises(StorageError, match=r"a\.csv: a record does not have .*'3'"), reading("a"):
        read_source(spark, source).collect()
    latin = source.model_copy(update={"options": {"encoding": "latin-1"}})
    (tmp_path / "a.csv").write_bytes(b"id,s\n3,\xe9\n")
    assert [tuple(row) for row in read_source(spark, latin).collect()] == [("3", "é", None)]


def test_tasks_share_a_large_file_of_records_that_are_lines(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_PIECE", 64)
    path = tmp_path / "t" / "a.csv"
    path.parent.mkdir()
    path.write_text("id,s\n" + "".join(f"{i},é{i}\n" for i in range(60)))
    for options, pieces in (
        (TextOptions(), 1),
        (TextOptions(multi_line=True), 1),
        (TextOptions(multi_line=False), 7),
        (TextOptions(quote=""), 7),
    ):
        table = text_table(spark, "csv", str(path), options)
        assert (table.columns, len(table.files), len(table.shares(2))) == (
            ("id", "s"), pieces, min(pieces, 2),
        )  # fmt: skip
        assert sum(file.text_bytes for file in table.files) == path.stat().st_size
        wanted = [(str(i), f"é{i}", None) for i in range(60)]
        assert sorted(rows_of(table), key=lambda r: int(r[0])) == wanted
    assert table.frame(spark).count() == 60
    path.write_text(path.read_text() + "x,y\n")
    with pytest.raises(StorageError, match=r"a\.csv: was changed or removed"):
        rows_of(table)
