"""What every reader promises, shown of each of the three over real files."""

from __future__ import annotations

import datetime as dt
import functools
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tests.sizes import size as count
from tests.training.small_table import COLUMNS, rows_of, write_dataset
from tfspark.config.recipe import Model, Training
from tfspark.dataset import Dataset, open_dataset
from tfspark.errors import ConfigError, IntegrityError, TrainingError
from tfspark.tfrecord import layout_of, write_file, write_sidecar
from tfspark.training.readers import Reader, open_reader
from tfspark.training.readers.encoder import Encoder, encoder_of
from tfspark.training.readers.tfrecord import TFRecordSource

KINDS = ("parquet", "tfrecord", "petastorm")
FILES = {
    "uneven": [31, 5, 17, 25],
    "one row each": [1] * 10,
    "with empty ones": [0, 20, 0, 1, 9, 0],
}
Open = Callable[..., Reader]


def write(folder: Path, kind: str, files: list[int], **changed: Any) -> Dataset:
    given = {"rows": rows_of(sum(files) + 40), "row_group": 8, **changed}
    format = kind if kind == "tfrecord" else "parquet"
    return open_dataset(
        str(write_dataset(folder, files=files, shares=(0, 0.3), format=format, **given))
    )


@functools.cache
def encoder(folder: str, weights: tuple[tuple[str, float], ...] | None) -> Encoder:
    dataset = open_dataset(folder)
    roles = ("feature", "key")
    specs = dataset.contract.tensor_specs(roles)
    training = Training(class_weights=dict(weights) if weights else None)
    return encoder_of(dataset, Model(), training, specs)


def reader(dataset: Dataset, kind: str, rank: int = 0, size: int = 1, **more: Any) -> Reader:
    given = {"batch": 8, "seed": 1, "shuffle_rows": 1, **more}
    split, weights = given.pop("split", "train"), given.pop("class_weights", None)
    coder = encoder(dataset.path, weights)
    return open_reader(dataset, split, coder, rank=rank, size=size, kind=kind, **given)  # type: ignore[arg-type]


def taken(dataset: Any, rank: Reader | None = None, step: int = 0) -> list[list[int]]:
    """The ids of every batch, without the fillers of a rank whose first batch is that of `step`."""
    found = []
    for number, (inputs, *_) in enumerate(dataset, step):
        real = rank is None or rank.share(number) > 0
        found.append(inputs["id"].numpy().tolist() if real else [])
    return found


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("files", FILES.values(), ids=FILES.keys())
def test_every_id_once_an_epoch(kind: str, files: list[int], tmp_path: Path) -> None:
    epochs = 8
    dataset = write(tmp_path, kind, files)
    for size in (1, 2, 3):
        ranks = [reader(dataset, kind, rank, size, keep_bytes=rank * 4000) for rank in range(size)]
        [steps] = {rank.steps for rank in ranks}
        assert steps == -(-sum(files) // 8)
        batches = [taken(rank.batches(0).take(epochs * steps), rank) for rank in ranks]
        for epoch in range(epochs):
            seen = Counter(
                i for some in batches for batch in some[epoch * steps :][:steps] for i in batch
            )
            assert seen == Counter(range(sum(files)))
        for rank, some in zip(ranks, batches, strict=True):
            rank.raise_error()
            rank.close()
            for step, batch in enumerate(some):
                total = min(8, sum(files) - step % steps * 8)
                assert rank.share(step) == pytest.approx(len(batch) / total)


@pytest.mark.parametrize("files", FILES.values(), ids=FILES.keys())
def test_every_id_once_in_many_epochs(kind: str, files: list[int], tmp_path: Path) -> None:
    """The windows themselves, their blocks read again from the files every so many epochs."""
    every = {"parquet": 1, "petastorm": 2, "tfrecord": 25}[kind]  # what opening a file costs
    dataset = write(tmp_path, kind, files, row_group=None)
    for size in (1, 2, 3):
        ranks: list[Any] = [
            reader(dataset, kind, rank, size, shuffle_rows=1000) for rank in range(size)
        ]
        for epoch in range(count(40, soak=200)):
            seen: Counter[int] = Counter()
            for rank in ranks:
                if epoch % every == 0:
                    rank._blocks._kept.clear()
                for window in range(rank._order.windows):
                    ids = next(rank._window(epoch, window, 0)[0])
                    filled = rank.fills and window == rank._order.windows - 1
                    seen.update(ids[: len(ids) - filled].tolist())
            assert seen == Counter(range(sum(files)))


def test_global_batches_are_those_of_one_rank(kind: str, tmp_path: Path) -> None:
    dataset = write(tmp_path, kind, FILES["uneven"])
    alone = taken(reader(dataset, kind).batches(2).take(30))
    for size in (2, 3, 11):
        ranks = [reader(dataset, kind, rank, size) for rank in range(size)]
        parts = [taken(rank.batches(2).take(30), rank) for rank in ranks]
        assert [[*chain(*step)] for step in zip(*parts, strict=True)] == alone


def test_a_position_is_gone_on_from(kind: str, tmp_path: Path) -> None:
    dataset = write(tmp_path, kind, FILES["uneven"])
    for size in (1, 3):
        one = reader(dataset, kind, size - 1, size)
        whole = taken(one.batches(0).take(4 * one.steps), one)
        for epoch, step in ((0, 0), (1, 0), (0, 3), (2, one.steps - 1), (1, one.steps)):
            at = epoch * one.steps + step
            again = taken(one.batches(epoch, step).take(4 * one.steps - at), one, at)
            assert again == whole[at:]


def test_one_pass_in_file_order(kind: str, tmp_path: Path) -> None:
    dataset = write(tmp_path, kind, FILES["with empty ones"])
    for size in (1, 2, 3, 50):
        ranks = [taken(reader(dataset, kind, r, size).once()) for r in range(size)]
        assert [i for rank in ranks for batch in rank for i in batch] == list(range(30))
        assert all(len(batch) == 8 for rank in ranks for batch in rank[:-1])
    other = reader(dataset, kind, split="validation")
    assert [*chain(*taken(other.once()))] == list(range(30, 30 + other.rows))
    assert not other.weighted


def test_fillers_are_known_by_their_share(kind: str, tmp_path: Path) -> None:
    """And every rank has elements of one form."""
    dataset = write(tmp_path, kind, [9, 8])
    ranks = [reader(dataset, kind, rank, 3) for rank in range(3)]
    assert [rank.fills for rank in ranks] == [True, True, False]
    assert not any(rank.weighted for rank in ranks)
    for rank in ranks:
        *_, last = rank.batches(0).take(rank.steps)
        assert len(last) == 2
        assert len(last[1]) == 1
        assert rank.share(rank.steps - 1) == float(not rank.fills)
    many = [reader(dataset, kind, rank, 20) for rank in range(20)]
    batches = [list(rank.batches(0, 1).take(2 * rank.steps)) for rank in many]
    assert all(len(batch[1]) == 1 for some in batches for batch in some)
    assert sum(rank.share(0) for rank in many) == 1


def test_every_type_is_the_same_from_every_reader(tmp_path: Path) -> None:
    count = 60
    random = np.random.default_rng(0)
    day = dt.date(1969, 12, 30)
    values: dict[str, tuple[dict[str, Any], list[Any]]] = {
        "flag": ({"physicalType": "boolean"}, [bool(i % 2) for i in range(count)]),
        "tiny": ({"physicalType": "tinyint"}, [i - 30 for i in range(count)]),
        "big": ({"physicalType": "bigint"}, [2**60 + i for i in range(count)]),
        "real": ({"physicalType": "float"}, random.normal(size=count).astype("float32").tolist()),
        "double": ({"physicalType": "double"}, [i / 8 for i in range(count)]),
        "a b": ({"physicalType": "string"}, [f"é{i}" * (i % 5) for i in range(count)]),
        "bytes": ({"physicalType": "binary"}, [bytes([255, i]) for i in range(count)]),
        "day": ({"physicalType": "date"}, [day + dt.timedelta(i) for i in range(count)]),
        "at": (
            {"physicalType": "timestamp"},
            [dt.datetime(1969, 12, 31, 23, 59, i, i, dt.UTC) for i in range(count)],
        ),
    }
    rows: dict[str, list[Any]] = rows_of(count) | {"x": [i / 4 for i in range(count)]}
    columns = list(COLUMNS)
    for name, (column, known) in values.items():
        columns += [
            {"name": name, **column},
            {"name": f"{name} whole", "required": True, **column},
        ]
        rows[name] = [None if i % 9 == 0 else value for i, value in enumerate(known)]
        rows[f"{name} whole"] = known
    columns.append({"name": "list", "physicalType": "array<float>", "tensor": {"shape": [2]}})
    rows["list"] = [[i, i + 0.5] for i in range(count)]
    columns.append(
        {
            "name": "list of int",
            "physicalType": "array<bigint>",
            "tensor": {"shape": [1], "nullValue": -1},
        }
    )
    rows["list of int"] = [None if i == 7 else [i] for i in range(count)]
    columns.append({"name": "words", "physicalType": "array<string>", "tensor": {"shape": [2]}})
    rows["words"] = [["a", str(i)] for i in range(count)]

    def batches(kind: str) -> list[Any]:
        changed: Any = {"rows": rows, "columns": columns, "row_group": None}
        dataset = write(tmp_path / kind, kind, [20, 10], **changed)
        one = reader(dataset, kind)
        return [*one.batches(0).take(one.steps), *one.once()]

    first, *others = (batches(kind) for kind in KINDS)
    inputs = first[-1][0]
    assert inputs["bytes whole"].numpy()[-1] == bytes([255, 29])
    assert inputs["at whole"].numpy()[-1] == -1_000_000 * 31 + 29
    assert inputs["list"].shape == (len(inputs["list"]), 2)
    for other in others:
        for a, b in zip(first, other, strict=True):
            tf.nest.assert_same_structure(a, b)
            for x, y in zip(tf.nest.flatten(a), tf.nest.flatten(b), strict=True):
                assert x.dtype == y.dtype
                np.testing.assert_array_equal(x.numpy(), y.numpy())


def test_files_that_differ_in_what_may_be_null(tmp_path: Path) -> None:
    dataset = write(tmp_path, "parquet", [20, 10])
    path = dataset.files("train")[1]
    table = pq.read_table(path)
    fields = [field.with_nullable(field.name != "id") for field in table.schema]
    pq.write_table(table.cast(pa.schema(fields, {"of": "another writer"})), path)
    for kind in ("parquet", "petastorm"):
        one = reader(dataset, kind)
        assert sorted(chain(*taken(one.batches(0).take(one.steps)))) == list(range(30))


def test_gzip(tmp_path: Path) -> None:
    path = write_dataset(tmp_path, files=[20, 3], format="tfrecord.gz")
    assert [*chain(*taken(reader(open_dataset(str(path)), "auto").once()))] == list(range(23))


def test_our_tfrecord_files_by_their_sidecar(tmp_path: Path) -> None:
    """Decimals, lists of lists and an empty list, which the files of others do not tell apart."""
    rows = [
        {"id": i, "price": Decimal(i) / 100, "x": None if i == 3 else i / 2}
        | {"deep": [[1.5] * (i % 3)] * 2, "list": None if i == 4 else [i] * (i % 2)}
        for i in range(9)
    ]
    kinds = {"price": pa.decimal128(10, 2), "deep": pa.list_(pa.list_(pa.float64()))}
    kinds |= {"x": pa.float64(), "list": pa.list_(pa.int64()), "id": pa.int64()}
    table = pa.Table.from_pylist(rows, pa.schema(kinds))
    path, layout = str(tmp_path / "part.tfrecord.gz"), None
    for way in ("string", "float"):
        narrow = {"price": way, "deep": "float", "x": "float"}
        layout = layout_of(table.schema, narrow)
        write_file(path, table.to_batches(), layout)
        write_sidecar(str(tmp_path), layout)
        for known in (None, 9):  # who knows no rows counts them
            source = TFRecordSource({path: known})
            [block] = source.blocks
            assert block.rows == 9
            assert source.read(block, table.schema).equals(table)
            only = pa.schema([table.schema.field("list")])
            assert source.read(block, only).column(0).equals(table["list"])
        missing = pa.schema([("other", pa.int64()), table.schema.field("id")])
        with pytest.raises(IntegrityError, match=r"part.tfrecord.gz: no column other, which"):
            source.read(block, missing)


def test_damaged_tfrecord_files_are_named(tmp_path: Path) -> None:
    table = pa.table({"id": range(20)})
    path = tmp_path / "part.tfrecord"
    write_file(str(path), table.to_batches(), table.schema)
    source = TFRecordSource({str(path): 20})
    whole, [block] = path.read_bytes(), source.blocks

    def refused(said: str) -> None:
        with pytest.raises(IntegrityError, match=rf"part.tfrecord cannot be read: {said}"):
            source.read(block, table.schema)

    size = len(whole) // 20
    path.write_bytes(whole[: size * 7 + 15] + b"\xff" + whole[size * 7 + 16 :])
    refused(f"record 7 at byte {7 * size} is damaged: the sum of its data is wrong; it was")
    with pytest.raises(IntegrityError, match=r"part.tfrecord cannot be read: record 7 at"):
        TFRecordSource({str(path): None})
    path.write_bytes(whole[:-1])
    refused(f"record 19 at byte {19 * size} is damaged")
    path.unlink()
    refused("cannot read")


def test_a_file_with_fewer_rows(kind: str, tmp_path: Path) -> None:
    dataset = write(tmp_path, kind, [20, 10])
    name = next(name for name in dataset.manifest["files"] if "train/part-1" in name)
    dataset.manifest["files"][name]["rows"] = 12
    dataset.manifest["rows"]["train"] = 32
    specs = dataset.contract.tensor_specs()
    with pytest.raises(IntegrityError, match=r"train/part-1\S+ .*10 rows.* 12"):
        encoder_of(dataset, Model(), Training(), specs)


def test_a_file_that_lost_rows_while_training(kind: str, tmp_path: Path) -> None:
    dataset = write(tmp_path, kind, [20, 10])
    one = reader(dataset, kind)
    path = dataset.files("train")[1]
    if kind == "tfrecord":
        content = Path(path).read_bytes()
        first = 16 + int.from_bytes(content[:8], "little")
        Path(path).write_bytes(content[first:])
    else:
        pq.write_table(pq.read_table(path).slice(1), path, row_group_size=8)
    with pytest.raises(tf.errors.OpError):
        list(one.batches(0).take(one.steps))
    with pytest.raises(IntegrityError, match="train/part-1"):
        one.raise_error()


def test_a_file_that_is_garbage(kind: str, tmp_path: Path) -> None:
    dataset = write(tmp_path, kind, [20, 10])
    one = reader(dataset, kind)
    path = Path(dataset.files("train")[0])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 3] + b"\0" * (2 * len(content) // 3))
    with pytest.raises(tf.errors.OpError):
        list(one.batches(0).take(one.steps))
    with pytest.raises(IntegrityError, match=r"train/part-0\S+ cannot be read: ..."):
        one.raise_error()


def test_rows_that_cannot_be_trained_on_name_their_file(kind: str, tmp_path: Path) -> None:
    rows = rows_of(70)
    rows["x"][25] = None
    column = {"name": "x", "physicalType": "double", "required": True}
    columns = [column if c["name"] == "x" else c for c in COLUMNS]
    rows["x"] = [0.0 if v is None and i != 25 else v for i, v in enumerate(rows["x"])]
    columns = [{**c, "required": False} if c["name"] == "x" else c for c in columns]
    dataset = write(tmp_path, kind, [20, 10], rows=rows, columns=columns)
    coder = encoder(dataset.path, None)
    specs = dict(coder.specs)
    specs["x"] = type(specs["x"])("float64")  # a model that takes no null
    strict = type(coder)(**{**vars(coder), "specs": specs})
    one = open_reader(dataset, "train", strict, batch=8, kind=kind)  # type: ignore[arg-type]
    with pytest.raises(tf.errors.OpError):
        list(one.batches(0).take(one.steps))
    with pytest.raises(TrainingError, match=r"train/part-1\S+: x: null.*\(row 5\)"):
        one.raise_error()


@pytest.mark.parametrize("size", [1, 2])
def test_resampling_balances(kind: str, size: int, tmp_path: Path) -> None:
    rows = rows_of(400)
    rows["y"] = [int(i % 10 == 0) for i in range(400)]
    dataset = write(tmp_path, kind, [100, 200], rows=rows)

    def labels(resample: Any, epoch: int = 0) -> list[float]:
        found: list[float] = []
        for rank in range(size):
            one = reader(dataset, kind, rank, size, resample=resample, shuffle_rows=1000)
            batches = list(one.batches(epoch).take(one.steps))
            assert len(batches) == one.steps == 38
            found += [y for _, label in batches for y in label.numpy()[:, 0].tolist()]
        return found

    plain, even = labels(None), labels("balanced")
    assert len(plain) == len(even) == 300
    assert np.mean(plain) == pytest.approx(0.1)
    assert np.mean(even) == pytest.approx(0.5, abs=0.12)
    assert labels("balanced") == even
    assert labels("balanced", 1) != even
    assert np.mean(labels({"0": 1.0, "1": 3.0})) == pytest.approx(0.25, abs=0.1)


def test_resampling_that_does_not_fit(tmp_path: Path) -> None:
    dataset = write(tmp_path, "parquet", [30])
    for wrong in ({"0": 1.0}, {"0": 1.0, "1": 0.0}, {"a": 1.0, "b": 1.0}):
        with pytest.raises(ConfigError, match=r"training.resample: .*\['0', '1'\]"):
            reader(dataset, "parquet", resample=wrong)


def test_sorted_files_are_mixed(kind: str, tmp_path: Path) -> None:
    rows = rows_of(840)
    rows["y"] = [int(i >= 400) for i in range(840)]
    dataset = write(tmp_path, kind, [100] * 8, rows=rows, row_group=100)
    one = reader(dataset, kind, batch=40, shuffle_rows=800)
    batches = list(one.batches(0).take(2 * one.steps))
    shares = [float(tf.reduce_mean(label)) for _, label, *_ in batches]
    assert min(shares) > 0.3
    assert max(shares) < 0.7
    ids = [inputs["id"].numpy().tolist() for inputs, *_ in batches]
    assert ids[: one.steps] != ids[one.steps :]
    still = taken(reader(dataset, kind, batch=40, shuffle=False).batches(0).take(2))
    assert still[0][:3] == [0, 10, 20]
    assert still[1][:3] == [1, 11, 21]


def test_class_weights_and_the_weight_of_rows(tmp_path: Path) -> None:
    rows = rows_of(70)
    rows["w"] = [float(i % 3) for i in range(70)]
    columns = [*COLUMNS, {"name": "w", "physicalType": "double", "role": "weight"}]
    dataset = write(tmp_path, "parquet", [20, 10], rows=rows, columns=columns)
    weights = (("0", 1.0), ("1", 5.0))
    for split, factor in (("train", 5.0), ("validation", 1.0)):
        one = reader(dataset, "parquet", split=split, class_weights=weights)
        for inputs, label, weight in [*one.batches(0).take(one.steps), *one.once()]:
            ids = inputs["id"].numpy()
            expected = (ids % 3) * np.where(label.numpy()[:, 0] > 0, factor, 1.0)
            assert weight.numpy().tolist() == expected.tolist()


def test_an_empty_split(tmp_path: Path) -> None:
    dataset = write(tmp_path, "parquet", [20], rows=rows_of(20))
    one = reader(dataset, "parquet", split="validation")
    assert (one.rows, one.steps, taken(one.once())) == (0, 0, [])
    with pytest.raises(TrainingError, match="validation: there are no rows"):
        one.batches(0)


def test_readers_that_do_not_fit(tmp_path: Path) -> None:
    dataset = write(tmp_path, "parquet", [20])
    with pytest.raises(ConfigError, match="its files are parquet, reader tfrecord is not"):
        reader(dataset, "tfrecord")
    with pytest.raises(ConfigError, match="there is parquet, tfrecord and petastorm"):
        reader(dataset, "csv")
    nested = [*COLUMNS, {"name": "deep", "physicalType": "array<array<float>>"}]
    nested[-1]["tensor"] = {"shape": [1, 1]}
    rows = rows_of(60) | {"deep": [[[1.0]]] * 60}
    deep = write(tmp_path / "deep", "parquet", [20], rows=rows, columns=nested)
    one = reader(deep, "petastorm")
    with pytest.raises(tf.errors.OpError):
        list(one.once())
    with pytest.raises(ConfigError, match="petastorm reads no column deep"):
        one.raise_error()


def test_blocks_beyond_the_limit_are_not_kept(tmp_path: Path) -> None:
    dataset = write(tmp_path, "parquet", [40, 40, 40])
    for keep, most in ((0, 1), (1 << 20, 15)):
        one: Any = reader(dataset, "parquet", keep_bytes=keep)
        reads: Counter[int] = Counter()
        plain = one._blocks._read
        one._blocks._read = lambda n, plain=plain, reads=reads: (reads.update([n]), plain(n))[1]
        list(one.batches(0).take(3 * one.steps))
        one.close()
        assert len(one._blocks._kept) == most
        assert max(reads.values()) == 1 if keep else min(reads.values()) >= 3
