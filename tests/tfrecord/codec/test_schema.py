"""What a column becomes, what is refused, the sidecar, and the schema of a sample."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from tests.tfrecord.codec.test_round_trip import table_of
from tfspark.errors import ConfigError, IntegrityError, StorageError
from tfspark.tfrecord import (
    SIDECAR,
    infer_schema,
    layout_of,
    read_sidecar,
    write_file,
    write_sidecar,
)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (pa.float64(), 'column c: an Example does not hold double .*"c": "float"'),
        (pa.list_(pa.float64()), "does not hold double"),
        (pa.decimal128(10, 2), 'does not hold decimal.*"float".* or .*"string"'),
        (pa.uint64(), 'does not hold uint64 .*"c": "int64"'),
        (pa.map_(pa.string(), pa.int64()), "holds no map"),
        (pa.list_(pa.struct([("x", pa.int64())])), "holds no struct"),
        (pa.list_(pa.list_(pa.list_(pa.int8()))), "3 list levels"),
        (pa.null(), "holds no null"),
        (pa.month_day_nano_interval(), "holds no month_day_nano"),
        (pa.struct([("d", pa.float64())]), r"column c\.d: .*double"),
    ],
)
def test_refused(kind: pa.DataType, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        layout_of(pa.schema([("c", kind)]))


def test_narrowings_that_mean_nothing() -> None:
    schema = pa.schema([("c", pa.float64()), ("n", pa.int64())])
    for narrow, message in (
        ({"c": "float", "q": "float"}, r"narrow names \['q'\]"),
        ({"c": "half"}, "name the narrowing"),
        ({"c": "float", "n": "float"}, "column n: int64 needs no narrowing"),
    ):
        with pytest.raises(ConfigError, match=message):
            layout_of(schema, narrow)


def test_two_features_of_one_name() -> None:
    schema = pa.schema([("a.b", pa.int64()), ("a", pa.struct([("b", pa.int64())]))])
    with pytest.raises(ConfigError, match="two columns make the feature 'a.b'"):
        layout_of(schema)


def test_features_are_sorted_by_their_bytes() -> None:
    schema = pa.schema([(name, pa.int64()) for name in ("b", "é", "a", "Z", "𝄞", "\uffee")])
    assert [f.name for f in layout_of(schema).features] == ["Z", "a", "b", "é", "\uffee", "𝄞"]


def test_a_sidecar_that_is_none(tmp_path: Path) -> None:
    assert read_sidecar(str(tmp_path)) is None
    write_sidecar(str(tmp_path), layout_of(pa.schema([("x", pa.timestamp("s", "UTC"))])))
    path = tmp_path / SIDECAR
    right = json.loads(path.read_text())
    assert right["features"] == {"x": "int64"}
    for wrong, message in (
        ({**right, "version": 2}, "version 2; this tfspark reads tfrecord, version 1"),
        ({**right, "fields": [{"name": "x"}]}, "does not declare a schema"),
        ({**right, "fields": [{**right["fields"][0], "type": "int65"}]}, "int65"),
        ([], "does not declare a schema"),
        ({}, "does not declare a schema"),
    ):
        path.write_text(json.dumps(wrong))
        with pytest.raises(IntegrityError, match=message):
            read_sidecar(str(tmp_path))


def test_a_schema_from_a_sample(tmp_path: Path) -> None:
    path = str(tmp_path / "a.tfrecord")
    table = pa.table(
        {
            "f": pa.array([1.5, None, 2.5], pa.float32()),
            "l": [[1], None, [2, 3]],
            "e": [[], [], [4]],
            "s": ["text", "é", None],
            "b": [b"text", b"\xff", None],
            "d": pa.array([None, 1, 2], pa.timestamp("us")),
            "never": pa.array([None, None, None], pa.int64()),
            "w": [[["a"], []], None, []],
        }
    )
    write_file(path, table.to_batches(), table.schema)
    expected = {
        "b": pa.binary(),
        "d": pa.int64(),
        "e": pa.list_(pa.int64()),
        "f": pa.float32(),
        "l": pa.list_(pa.int64()),
        "s": pa.string(),
        "w": pa.list_(pa.list_(pa.string())),
    }
    assert infer_schema(path) == pa.schema(list(expected.items()))
    found = table_of(path)
    assert found.select(["s", "l", "b"]).to_pydict() == table.select(["s", "l", "b"]).to_pydict()
    assert infer_schema(path, records=1).field("l").type == pa.int64()


def test_a_sample_of_two_minds(tmp_path: Path) -> None:
    """Integers and floats are floats, one and several values a list; bytes are bytes alone."""
    columns = {
        "int": [0, 1 << 24, -(1 << 40)],
        "float": pa.array([1.5], pa.float32()),
        "ints": [[1, 2], []],
        "none": pa.array([[]], pa.list_(pa.float32())),
        "text": ["1"],
        "large": [(1 << 24) + 1],
    }
    paths = {}
    for name, values in columns.items():
        table = pa.table({"x": values})
        paths[name] = str(tmp_path / name)
        write_file(paths[name], table.to_batches(), table.schema)
    content = {name: Path(path).read_bytes() for name, path in paths.items()}

    def joined(*names: str) -> str:
        path = tmp_path / "-".join(names)
        path.write_bytes(b"".join(content[name] for name in names))
        return str(path)

    assert table_of(joined("int", "float"))["x"].to_pylist() == [0, 1 << 24, -(1 << 40), 1.5]
    assert table_of(joined("float", "int"))["x"].to_pylist() == [1.5, 0, 1 << 24, -(1 << 40)]
    assert table_of(joined("ints", "float"))["x"].to_pylist() == [[1, 2], [], [1.5]]
    assert table_of(joined("none", "ints"))["x"].to_pylist() == [[], [1, 2], []]
    both = [paths["int"], paths["float"], paths["ints"]]
    assert infer_schema(both) == pa.schema([("x", pa.list_(pa.float32()))])
    at = len(content["int"])
    message = f"record 3 at byte {at} holds bytes values in x, records before it int64"
    with pytest.raises(IntegrityError, match=message):
        infer_schema(joined("int", "text"))
    message = "record 0 at byte 0 holds 16777217 in x, which no float is"
    with pytest.raises(IntegrityError, match=message):
        infer_schema([paths["float"], paths["large"]])
    message = "record 1 at byte .* holds an integer in x that is no float"
    with pytest.raises(StorageError, match=message):
        table_of(joined("float", "large"), pa.schema([("x", pa.float32())]))


def test_a_sample_of_many_files(tmp_path: Path) -> None:
    empty = [str(tmp_path / f"e{number}") for number in range(40)]
    for path in empty:
        Path(path).touch()
    with pytest.raises(StorageError, match="none of 40 files has a record"):
        infer_schema(empty)
    for number, values in ((1, [1]), (39, [[1, 2]])):
        table = pa.table({"x": values})
        write_file(empty[number], table.to_batches(), table.schema)
        kind = pa.int64() if number == 1 else pa.list_(pa.int64())
        assert infer_schema(empty) == pa.schema([("x", kind)])
