import datetime as dt
import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tests.conftest import PASSENGERS, ROOT
from tfspark.config import Settings, load_settings
from tfspark.console import Steps
from tfspark.contracts import load_contract
from tfspark.dataset import SPLITS, find_dataset, open_dataset, versions
from tfspark.errors import ConfigError, ContractViolation, IntegrityError, SourceMissing
from tfspark.plainfiles import raw as raw_module
from tfspark.prepare import prepare
from tfspark.prepare.split import split_of
from tfspark.tables import read_table
from tfspark.tfrecord import read_file
from tfspark.tfrecord.folder.verify import verify
from tfspark.training.readers.open import open_source
from tfspark.training.readers.source import arrow_schema

EVERY_TYPE = """
kind: DataContract
id: t
version: 1
schema:
  - name: t
    properties:
      - {name: id, physicalType: bigint, primaryKey: true, required: true}
      - {name: price, physicalType: "decimal(10,2)"}
      - {name: cost, physicalType: "decimal(10,0)"}
      - {name: x, physicalType: double}
      - {name: list, physicalType: array<double>}
      - {name: deep, physicalType: array<array<int>>}
      - {name: at, physicalType: timestamp}
"""


def settings_for(tmp_path: Path, **more: Any) -> Settings:
    values = {
        "name": "passengers",
        "contract": str(ROOT / "schemas" / "passengers.yaml"),
        "warehouse": str(tmp_path / "warehouse"),
        "source.format": "csv",
        "source.path": str(PASSENGERS),
        "date": "2026-11-20",
        "prepare.split.test": "0.2",
    }
    return load_settings(None, values | more)


def test_the_passengers_end_to_end(spark: Any, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, **{"prepare.rows_per_file": "200"})
    summary = prepare(spark, settings, Steps("prepare"))
    dataset = open_dataset(summary["path"])
    dataset.verify()
    assert summary["rows_in"] == 712
    assert sum(dataset.rows(split) for split in ("train", "validation", "test")) == 712
    seen = {}
    for split in ("train", "validation", "test"):
        for file in dataset.files(split):
            table = pq.read_table(file)
            assert table.num_rows <= 200
            seen |= dict.fromkeys(table["PassengerId"].to_pylist(), split)
    assert len(seen) == 712
    assert all(split_of([key], settings.prepare.split) == split for key, split in seen.items())
    assert len(dataset.files("train")) >= 3
    manifest = dataset.manifest
    assert sum(manifest["label_counts"][s]["1"] for s in manifest["label_counts"]) == 279
    assert sum(manifest["nulls"][s]["Age"] for s in manifest["nulls"]) == 146
    train_ages = manifest["rows"]["train"] - manifest["nulls"]["train"]["Age"]
    assert dataset.statistics["Age"]["count"] == train_ages
    assert dataset.contract.digest() == manifest["contract"]
    assert not (tmp_path / "warehouse" / "quarantine").exists()

    again = prepare(spark, settings, Steps("prepare"))
    assert "there already" in again["dataset"]
    assert versions(settings.datasets) == [1]

    next_day = settings.model_copy(update={"date": settings.date.replace(day=21)})  # type: ignore[union-attr]
    prepare(spark, next_day, Steps("prepare"))
    assert versions(settings.datasets) == [1, 2]
    assert find_dataset(settings.datasets).version == 2
    assert find_dataset(settings.datasets, day="2026-11-20").version == 1
    assert list(Path(settings.datasets, "_staging").iterdir()) == []


def test_tfrecord_by_one_setting(spark: Any, tmp_path: Path) -> None:
    """The rows that Parquet has, in the same splits, files and order, and read by everybody."""
    changes: dict[str, Any] = {"prepare.rows_per_file": "200", "prepare.compression": "gzip"}
    changes |= {"prepare.narrow": {"Age": "float", "Fare": "float"}}
    parquet = prepare(spark, settings_for(tmp_path, **changes), Steps("p"))
    settings = settings_for(tmp_path, **changes, **{"prepare.format": "tfrecord"})
    summary = prepare(spark, settings, Steps("p"))
    twin, dataset = open_dataset(parquet["path"]), open_dataset(summary["path"])
    dataset.verify()
    assert dataset.manifest["rows"] == twin.manifest["rows"]
    assert dataset.manifest["nulls"] == twin.manifest["nulls"]
    assert dataset.manifest["label_counts"] == twin.manifest["label_counts"]
    spec = dataset.contract.example_spec()
    for split in SPLITS:
        files, twins = dataset.files(split), twin.files(split)
        names = [f"part-{number:05}.tfrecord.gz" for number in range(len(twins))]
        assert [Path(file).name for file in files] == names
        assert f"{split}/_schema.json" in dataset.manifest["files"]
        for file, other in zip(files, twins, strict=True):
            wanted = pq.read_table(other)
            for name in ("Age", "Fare"):
                at = wanted.schema.get_field_index(name)
                wanted = wanted.set_column(at, name, wanted[name].cast("float"))
            found = pa.Table.from_batches(read_file(file)).select(wanted.column_names)
            assert found.to_pylist() == wanted.to_pylist()
            assert dataset.manifest["files"][f"{split}/{Path(file).name}"]["rows"] == len(found)
            records = tf.data.TFRecordDataset(file, "GZIP").batch(500)
            batch = tf.io.parse_example(next(iter(records)), spec)
            assert batch["PassengerId"].numpy().tolist() == wanted["PassengerId"].to_pylist()
            assert batch["Fare"].numpy().tolist() == wanted["Fare"].to_pylist()
            missing = np.isnan(batch["Age"].numpy()).tolist()
            assert missing == wanted["Age"].is_null().to_pylist()
        whole = verify(str(Path(files[0]).parent))
        assert (whole.rows, whole.damages) == (dataset.rows(split), 0)
        folder = str(Path(files[0]).parent)
        assert spark.read.format("tfrecord").load(folder).count() == dataset.rows(split)
        source = open_source(dataset, split)
        schema = arrow_schema(dataset.contract, ["Fare", "PassengerId"])
        table = pa.concat_tables([source.read(block, schema) for block in source.blocks])
        assert table.schema.types == schema.types
        assert table.num_rows == dataset.rows(split)
        fares = spark.read.parquet(str(Path(twins[0]).parent)).agg({"Fare": "sum"}).collect()
        assert sum(table["Fare"].to_pylist()) == pytest.approx(fares[0][0], rel=1e-6)
    # Statistics are of what is stored: floats.
    most, exact = (one.statistics["Fare"]["max"] for one in (dataset, twin))
    assert most == float(np.float32(exact)) != exact

    again = prepare(spark, settings, Steps("p"))
    assert "there already" in again["dataset"]
    assert again["digest"] == summary["digest"] != parquet["digest"]
    assert versions(settings.datasets) == [1, 2]

    schema_file = Path(dataset.path, "train", "_schema.json")
    schema_file.write_text(schema_file.read_text() + " ")
    with pytest.raises(IntegrityError, match=r"train/_schema\.json was changed"):
        dataset.verify()


def test_tfrecord_says_what_must_be_narrowed_before_any_work(tmp_path: Path) -> None:
    """No Spark is there to do any."""
    no_spark: Any = None
    asked = {"prepare.format": "tfrecord", "source.path": "nowhere"}
    for narrow, says in (
        ({}, r"not hold Age, Fare .*under prepare: narrow: \{Age: float, Fare: float\}"),
        ({"Fare": "float"}, r"not hold Age .*under prepare: narrow: \{Fare: float, Age: float\}"),
        ({"Age": "string", "Fare": "float"}, r"column Age: .*\{\"Age\": \"float\"\}"),
        ({"Age": "float", "Fare": "float", "Pclass": "float"}, r"Pclass: int32 needs no narrow"),
        ({"Age": "float", "Fare": "float", "Fee": "float"}, r"narrow names \['Fee'\]"),
    ):
        settings = settings_for(tmp_path, **asked, **{"prepare.narrow": narrow})
        with pytest.raises(ConfigError, match=says):
            prepare(no_spark, settings, Steps("p"))
    with pytest.raises(ConfigError, match=r"prepare\.compression"):
        settings_for(tmp_path, **{"prepare.compression": "snappy"})
    assert not (tmp_path / "warehouse").exists()


def test_tfrecord_of_every_type_and_an_empty_split(spark: Any, tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(EVERY_TYPE)
    rows = [
        {
            "id": i,
            "price": None if i == 3 else Decimal(i) / 100,
            "cost": Decimal(i),
            "x": i / 3,
            "list": None if i == 4 else [i / 8] * (i % 3),
            "deep": [[i, 1], []][: i % 3],
            "at": dt.datetime(2026, 1, 1, i, tzinfo=dt.UTC),
        }
        for i in range(20)
    ]
    contract = load_contract(str(tmp_path / "t.yaml"))
    schema = contract.spark_schema()
    spark.createDataFrame(rows, schema).write.parquet(str(tmp_path / "raw"))
    narrow = {"price": "string", "cost": "float", "x": "float", "list": "float"}
    values = {"name": "t", "contract": str(tmp_path / "t.yaml"), "date": "2026-11-20"}
    values |= {"source.path": str(tmp_path / "raw"), "warehouse": str(tmp_path / "warehouse")}
    values |= {"prepare.format": "tfrecord", "prepare.narrow": narrow}
    values |= {"prepare.split.test": "0", "prepare.split.validation": "0"}
    dataset = open_dataset(prepare(spark, load_settings(None, values), Steps("p"))["path"])
    assert dataset.manifest["rows"] == {"train": 20, "validation": 0, "test": 0}
    assert dataset.files("test") == []
    dataset.verify()
    source = open_source(dataset, "train")
    names = [column.name for column in dataset.contract.columns]
    [block] = source.blocks
    found = source.read(block, arrow_schema(dataset.contract, names)).sort_by("id").to_pylist()
    for row, wanted in zip(found, rows, strict=True):
        assert row | {"x": None} == wanted | {"x": None}
        assert row["x"] == np.float32(wanted["x"])
    assert open_source(dataset, "test").blocks == []
    assert dataset.manifest["nulls"]["train"]["price"] == 1
    assert dataset.statistics["price"]["max"] == 0.19


def test_a_changed_file_is_found(spark: Any, tmp_path: Path) -> None:
    dataset = open_dataset(prepare(spark, settings_for(tmp_path), Steps("p"))["path"])
    changed = Path(dataset.files("test")[0])
    changed.write_bytes(changed.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError, match=r"test/part-00000\.parquet was changed"):
        dataset.verify()
    changed.unlink()
    with pytest.raises(IntegrityError, match="is missing"):
        dataset.verify()


def test_bad_rows_go_to_quarantine_and_too_many_stop_the_job(spark: Any, tmp_path: Path) -> None:
    raw = tmp_path / "raw.csv"
    lines = PASSENGERS.read_text().splitlines()
    lines[1:11] = [line.replace("male", "man") for line in lines[1:11]]
    raw.write_text("\n".join(lines) + "\n")
    settings = settings_for(tmp_path, **{"source.path": str(raw)})
    summary = prepare(spark, settings, Steps("prepare"))
    assert (summary["rows_in"], summary["quarantined"]) == (712, 10)
    bad = read_table(spark, settings.quarantine).collect()
    assert len(bad) == 10
    assert {str(row["day"]) for row in bad} == {"2026-11-20"}
    assert all("is not one of male, female" in row["reasons"][0] for row in bad)
    assert {json.loads(row["raw"])["PassengerId"] for row in bad} == {
        line.split(",")[0] for line in lines[1:11]
    }

    lines = [lines[0], *(line.replace("male", "man") for line in lines[1:])]
    raw.write_text("\n".join(lines) + "\n")
    with pytest.raises(
        ContractViolation, match=r"712 of 712 rows are bad, at most 35 may be; .*Sex: man"
    ):
        prepare(spark, settings, Steps("prepare"))
    assert versions(settings.datasets) == [1]
    assert read_table(spark, settings.quarantine).count() == 712

    shutil.copy(PASSENGERS, raw)
    assert prepare(spark, settings, Steps("prepare"))["quarantined"] == 0
    assert read_table(spark, settings.quarantine).count() == 0


def test_a_table_without_rows(spark: Any, tmp_path: Path) -> None:
    raw = tmp_path / "raw.csv"
    raw.write_text(PASSENGERS.read_text().splitlines()[0] + "\n")
    with pytest.raises(ContractViolation, match="the table has no rows"):
        prepare(spark, settings_for(tmp_path, **{"source.path": str(raw)}), Steps("p"))
    by_day = settings_for(tmp_path, **{"source.path": str(tmp_path / "{date}.csv")})
    with pytest.raises(SourceMissing, match="2026-11-20.csv: is not there"):
        prepare(spark, by_day, Steps("p"))
    with pytest.raises(ConfigError, match="give --date"):
        prepare(spark, settings_for(tmp_path).model_copy(update={"date": None}), Steps("p"))


KEYED = """
kind: DataContract
id: t
version: 1
schema:
  - name: t
    quarantine: {maxShare: 0.5}
    properties:
      - {name: id, physicalType: bigint, primaryKey: true, required: true, role: key}
      - {name: part, physicalType: string, primaryKey: true, required: true, role: key}
      - {name: mail, physicalType: string, unique: true}
      - {name: x, physicalType: double, logicalTypeOptions: {minimum: 0}}
      - {name: at, physicalType: date}
"""


def keyed_rows(count: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {
            "id": i // 2,
            "part": "ab"[i % 2],
            "mail": f"{i}@x" if i % 3 else None,
            "x": i / 7,
            "at": dt.date(2026, 1, 1) + dt.timedelta(i % 60),
        }
        for i in range(count)
    ]
    if count < 900:
        return rows
    rows[10] |= {"id": 400, "part": "b"}  # as row 801
    rows[801] |= {"x": -1.0}
    rows[20]["mail"] = rows[700]["mail"] = rows[40]["mail"]
    rows[30]["part"] = None
    return rows


KEYED_REASONS = {
    (400, "b", 10): ["id, part: there 2 times"],
    (400, "b", 801): ["x: -1.0 is below the minimum 0", "id, part: there 2 times"],
    (10, "a", 20): ["mail: there 3 times"],
    (20, "a", 40): ["mail: there 3 times"],
    (350, "a", 700): ["mail: there 3 times"],
    (15, None, 30): ["part: null"],
}


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_what_other_rows_have_makes_a_row_bad(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Of files that tasks read again, and of rows that Spark reads once."""
    (tmp_path / "t.yaml").write_text(KEYED)
    rows = keyed_rows(900)
    table = pa.Table.from_pylist(rows)
    (tmp_path / "raw").mkdir()
    for number in range(3):
        piece = table.slice(300 * number, 300)
        if form == "csv":
            pacsv.write_csv(piece, tmp_path / "raw" / f"{number}.csv")
        else:
            pq.write_table(piece, tmp_path / "raw" / f"{number}.parquet")
    values = {"name": "t", "contract": str(tmp_path / "t.yaml"), "date": "2026-11-20"}
    values |= {"source.path": str(tmp_path / "raw"), "source.format": form}
    values |= {"warehouse": str(tmp_path / "warehouse"), "prepare.rows_per_file": "100"}
    monkeypatch.setattr(raw_module, "_SLICE_BYTES", 1 << 10)  # several bits, as of a large table
    settings = load_settings(None, values)
    summary = prepare(spark, settings, Steps("p"))
    bad = read_table(spark, settings.quarantine).collect()
    numbers = {(row["id"], row["part"], row["x"]): i for i, row in enumerate(rows)}
    found = {}
    for row in bad:
        raw = json.loads(row["raw"])
        key = (int(raw["id"]), raw.get("part"))
        found[(*key, numbers[(*key, float(raw["x"]))])] = row["reasons"]
    wanted = KEYED_REASONS
    if form == "csv":
        wanted = wanted | {
            (400, "b", 801): ["x: -1 is below the minimum 0", *wanted[400, "b", 801][1:]]
        }
    assert found == wanted
    assert (summary["rows_in"], summary["quarantined"]) == (900, 6)
    dataset = open_dataset(summary["path"])
    dataset.verify()
    stored = [pa.concat_tables([pq.read_table(f) for f in dataset.files(s)]) for s in SPLITS]
    good = [row for i, row in enumerate(rows) if i not in {k[2] for k in wanted}]
    both = sorted((row for one in stored for row in one.to_pylist()), key=lambda r: r["x"])
    assert both == good
    assert max(pq.read_metadata(f).num_rows for f in dataset.files("train")) == 100


def test_the_same_rows_are_the_same_dataset_however_they_lie(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.yaml").write_text(KEYED)
    table = pa.Table.from_pylist(
        [row for i, row in enumerate(keyed_rows(900)) if i not in (10, 801, 20, 40, 30)]
    )
    digests = set()
    for files, size in ((1, 32 << 20), (4, 1 << 10)):
        raw = tmp_path / f"raw{files}"
        raw.mkdir()
        for number in range(files):
            pq.write_table(
                table.take(list(range(number, len(table), files))), raw / f"{number}.parquet"
            )
        monkeypatch.setattr(raw_module, "_SLICE_BYTES", size)
        values = {"name": "t", "contract": str(tmp_path / "t.yaml"), "date": "2026-11-20"}
        values |= {"source.path": str(raw), "warehouse": str(tmp_path / f"warehouse{files}")}
        summary = prepare(spark, load_settings(None, values), Steps("p"))
        digests.add(summary["digest"])
    assert len(digests) == 1
    bounds = {"validation_from": "2026-02-01", "test_from": "2026-02-20"}
    values |= {"prepare.split": {"by": "time", "column": "at", **bounds}}
    dataset = open_dataset(prepare(spark, load_settings(None, values), Steps("p"))["path"])
    days = [pq.read_table(dataset.files(split)[0])["at"].to_pylist() for split in SPLITS]
    assert max(days[0]) < dt.date(2026, 2, 1) <= min(days[1])
    assert max(days[1]) < dt.date(2026, 2, 20) <= min(days[2])


def test_a_row_without_a_time_is_in_no_split(spark: Any, tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(KEYED)
    rows = keyed_rows(10)
    rows[3]["at"] = None
    (tmp_path / "raw").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "raw" / "0.parquet")
    values = {"name": "t", "contract": str(tmp_path / "t.yaml"), "date": "2026-11-20"}
    values |= {"source.path": str(tmp_path / "raw"), "warehouse": str(tmp_path / "warehouse")}
    bounds = {"validation_from": "2026-02-01", "test_from": "2026-02-20"}
    values |= {"prepare.split": {"by": "time", "column": "at", **bounds}}
    settings = load_settings(None, values)
    assert prepare(spark, settings, Steps("p"))["quarantined"] == 1
    assert read_table(spark, settings.quarantine).collect()[0]["reasons"] == ["at: null"]


WRITTEN = """
kind: DataContract
id: t
version: 1
schema:
  - name: t
    quarantine: {maxShare: 1.0}
    properties:
      - {name: id, physicalType: bigint, primaryKey: true, required: true}
      - {name: v, physicalType: "decimal(38,18)"}
      - {name: s, physicalType: string}
      - {name: d, physicalType: date}
      - {name: ok, physicalType: boolean}
      - {name: code, physicalType: string}
      - {name: list, physicalType: "array<double>"}
"""
MANY = "12345678901234567890.123456789012345678"


@pytest.mark.parametrize("form", ["csv", "json"])
def test_text_as_it_is_written(spark: Any, tmp_path: Path, form: str) -> None:
    """Exact values, forms of dates, numbers and words, in folders; nothing bad is lost."""
    (tmp_path / "c.yaml").write_text(WRITTEN)
    lines: dict[str, list[str]] = {
        "csv": [
            "1;€ 1.234,50;1.10;20/11/2026;ja;[1, 2.50]",
            "2;12.34,5;NA;20/11/2026;nein;",
            "3;1;x;2026-11-20;wahr;[1] [2]",
            "4;\\N;é\ufffd;;;[]",
            "5;1;x",
        ],
        "json": [
            f'{{"id": 1, "v": {MANY}, "s": 1.10, "d": "20/11/2026", "ok": "ja", '
            '"list": [1, 2.50]}',
            '{"id": 2, "v": 1e400, "s": "NA", "d": "20/11/2026", "ok": "nein"}',
            '{"id": 3, "v": 1, "s": "x", "d": "2026-11-20", "ok": "wahr", "list": [1, "x"]}',
            '{"id": 4, "v": null, "s": "é\ufffd", "d": "\\\\N", "list": []}',
            '{"id": 5}{"id": 6}',
        ],
    }
    options = {"nullValues": ["NA", "\\N"], "dateFormat": "dd/MM/yyyy", "encoding": "utf-16"}
    options |= {"trueValues": ["Ja"], "falseValues": ["Nein"], "units": ["€", "%"]}
    if form == "csv":
        options |= {"sep": ";", "decimal": ",", "thousands": "."}
        options |= {"columns": ["id", "v", "s", "d", "ok", "list"], "header": False}
    folder = tmp_path / "raw" / "code=007"
    folder.mkdir(parents=True)
    (folder / f"a.{form}").write_bytes("\n".join(lines[form]).encode("utf-16"))
    asked = {"name": "t", "contract": str(tmp_path / "c.yaml"), "prepare.split.validation": "0"}
    asked |= {
        "source.format": form,
        "source.path": str(tmp_path / "raw"),
        "source.options": options,
    }
    settings = settings_for(tmp_path, **asked, **{"prepare.split.test": "0"})
    summary = prepare(spark, settings, Steps("prepare"))
    assert (summary["rows_in"], summary["quarantined"]) == (5, 3)
    good = [
        row
        for f in open_dataset(summary["path"]).files("train")
        for row in pq.read_table(f).to_pylist()
    ]
    assert sorted(good, key=lambda row: row["id"]) == [
        {
            "id": 1, "v": Decimal("1234.5" if form == "csv" else MANY), "s": "1.10",
            "d": dt.date(2026, 11, 20), "ok": True, "code": "007", "list": [1, 2.5],
        },
        {"id": 4, "v": None, "s": "é\ufffd", "d": None, "ok": None, "code": "007", "list": []},
    ]  # fmt: skip
    bad = {tuple(r["reasons"]): r["raw"] for r in read_table(spark, settings.quarantine).collect()}
    wrong = "12.34,5" if form == "csv" else "1e400"
    text = "[1] [2]" if form == "csv" else '[1,"x"]'
    assert set(bad) == {
        (f"v: {wrong} is not decimal(38,18)",),
        (
            "d: 2026-11-20 is not date",
            "ok: wahr is not boolean",
            f"list: {text} is not array<double>",
        ),
        ("the line does not have the fields of the table",),
    }
    assert bad[("the line does not have the fields of the table",)] == lines[form][4]
    if form == "json":
        assert set(bad.values()) == {lines[form][n] for n in (1, 2, 4)}


def test_json_by_day(spark: Any, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(WRITTEN)
    days = ["2026-11-20", "2026-11-21", "2026-11-20"]
    lines = [json.dumps({"id": n, "day": day}) for n, day in enumerate(days)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    asked = {"name": "t", "contract": str(tmp_path / "c.yaml"), "prepare.split.validation": "0"}
    asked |= {"source.format": "json", "source.path": str(tmp_path / "a.jsonl")}
    settings = settings_for(tmp_path, **asked, **{"source.day_column": "day"})
    summary = prepare(spark, settings, Steps("prepare"))
    assert (summary["rows_in"], summary["quarantined"]) == (2, 0)


STANDARD = """
kind: DataContract
id: shop
version: 1
schema:
  - name: customers
    properties: [{name: id, logicalType: integer, primaryKey: true}]
  - name: orders
    quarantine: {maxShare: 0.9}
    quality: [{metric: rowCount, mustBeGreaterOrEqualTo: 5}]
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
      - {name: country, logicalType: string, enum: [{value: DE}, {value: NO}]}
      - name: day
        logicalType: date
        logicalTypeOptions: {format: dd/MM/yyyy, minimum: 2026-01-01}
      - {name: c, logicalType: array, items: {physicalType: REAL}, tensor: {shape: [3]}}
      - {name: x, logicalType: number, tensor: {nan: refuse}}
"""


def test_one_table_of_a_file_of_the_standard(spark: Any, tmp_path: Path) -> None:
    """As its author wrote it; what scoring would refuse for its tensor is bad here already."""
    (tmp_path / "shop.yaml").write_text(STANDARD)
    rows = [
        {"id": 1, "country": "NO", "day": "31/12/2026", "c": [1, 2, 3], "x": 1},
        {"id": 2, "country": "false", "day": "31/12/2025", "c": [1, 2], "x": "NaN"},
        {"id": 3, "country": "DE", "day": "2026-12-31", "c": [1, None, 3], "x": None},
        {"id": 4, "country": None, "day": None, "c": None, "x": 2},
    ]
    lines = [json.dumps(row) for row in rows]
    (tmp_path / "t.jsonl").write_text("\n".join(lines) + "\n")
    values = {"name": "t", "contract": f"{tmp_path}/shop.yaml#orders", "date": "2026-11-20"}
    values |= {"source.path": f"{tmp_path}/t.jsonl", "source.format": "json"}
    settings = load_settings(None, values | {"warehouse": str(tmp_path / "warehouse")})
    with pytest.raises(ContractViolation, match="has 4 rows, the contract wants at least 5"):
        prepare(spark, settings, Steps("p"))
    (tmp_path / "t.jsonl").write_text("\n".join([*lines, lines[0].replace("1,", "5,", 1)]) + "\n")
    summary = prepare(spark, settings, Steps("p"))
    assert (summary["rows_in"], summary["quarantined"]) == (5, 2)
    reasons = {tuple(row["reasons"]) for row in read_table(spark, settings.quarantine).collect()}
    assert reasons == {
        (
            "country: false is not one of DE, NO",
            "day: 31/12/2025 is below the minimum 2026-01-01",
            "c: a list of another length than 3",
            "x: NaN, and this input refuses NaN",
        ),
        (
            "day: 2026-12-31 is not date",
            "c: null, and nothing stands for null in this input",
        ),
    }
    assert [c.name for c in open_dataset(summary["path"]).contract.columns] == list(rows[0])


def test_a_key_of_folders_names_alone_and_a_warehouse_in_the_source(
    spark: Any, tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_text(
        "kind: DataContract\nid: t\nversion: 1\nschema:\n"
        "  - name: t\n    properties:\n"
        "      - {name: part, physicalType: int, primaryKey: true}\n"
        "      - {name: x, physicalType: double}\n"
    )
    raw = tmp_path / "raw"
    for part in range(4):
        (raw / f"part={part}").mkdir(parents=True)
        pq.write_table(pa.table({"x": [float(part)]}), raw / f"part={part}" / "a.parquet")
    about = {"contract": str(tmp_path / "c.yaml"), "source.path": str(raw), "name": "t"}
    about["source.format"] = "parquet"
    made = prepare(spark, settings_for(tmp_path, **about), Steps("test"))
    assert (made["rows_in"], made["quarantined"]) == (4, 0)
    inside = {**about, "warehouse": str(raw / "warehouse")}
    with pytest.raises(ConfigError, match=r"warehouse/datasets/t: is what is read \(.*/raw\)"):
        prepare(spark, settings_for(tmp_path, **inside), Steps("test"))
    assert not (raw / "warehouse").exists()
