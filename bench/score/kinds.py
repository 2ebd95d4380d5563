"""What is scored: tables and models. Imports neither Spark nor TensorFlow."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench import models

FILES = 40
KEYS = 1000
SPARK = ("predict_batch_udf", "mlflow")
FLAT = ("predict_batch_udf", "predict_batch_udf of a struct", "mlflow")
ALL = ("scan", "arrow", "pandas", "jvm", *FLAT, "horovod", "ray", "no Spark")


@dataclass(frozen=True)
class Input:
    """An input of a model.

    Attributes:
        columns: of the table: one, or several side by side.
        shape: of a row.
        null: what a way that has no rule for nulls is to put in; None: there are none.
    """

    name: str
    columns: tuple[str, ...]
    shape: tuple[int, ...] = ()
    dtype: str = "float32"
    null: str | None = None


@dataclass(frozen=True)
class Kind:
    """A table and its model.

    Attributes:
        about: the same in words.
        rows: so many that the fast ways take 5 to 20 seconds on two cores.
        batch: rows of one call of the model, for the ways that do not choose for themselves.
        make: the columns of the rows from one number to another, without `id`.
        export: save the model as this folder.
        slow: the part of the rows that a way gets that takes them one by one: 1 in so many.
        values: of a row's score; 0: one number, no list.
        joined: columns that come from the second table, by `key`.
    """

    name: str
    about: str
    rows: int
    batch: int
    inputs: tuple[Input, ...]
    make: Callable[[int, int], dict[str, Any]]
    export: Callable[[str], None]
    ways: tuple[str, ...] = ("scan", "arrow", "jvm", *SPARK, "no Spark")
    slow: int = 1000
    values: int = 0
    joined: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """Those that the model takes."""
        return [column for one in self.inputs for column in one.columns]

    @property
    def feeds(self) -> dict[str, str | list[str]]:
        """Input → columns, as tfspark takes them."""
        return {
            one.name: list(one.columns) if len(one.columns) > 1 else one.columns[0]
            for one in self.inputs
        }


def write_rows(kind: Kind, folder: Path, rows: int, files: int = FILES) -> None:
    """The table in so many files of about equal rows; the second table, if any, as `joined`."""
    folder.mkdir(parents=True)
    bounds = np.linspace(0, rows, files + 1).astype(int)
    for number, (start, stop) in enumerate(itertools.pairwise(bounds)):
        columns = {"id": np.arange(start, stop), **kind.make(int(start), int(stop))}
        pq.write_table(pa.table(columns), folder / f"{number:03}.parquet")
    if kind.joined:
        pq.write_table(pa.table(second(kind)), folder.with_name("joined.parquet"))


def write_few(rows: Path, folder: Path, few: int, files: int = 4) -> int:
    """The first rows of a table, as far as its first file goes; how many."""
    folder.mkdir(parents=True)
    table = pq.read_table(min(rows.iterdir())).slice(0, few)
    bounds = np.linspace(0, table.num_rows, files + 1).astype(int)
    for number, (start, stop) in enumerate(itertools.pairwise(bounds)):
        pq.write_table(table.slice(start, stop - start), folder / f"{number:03}.parquet")
    return int(table.num_rows)


def second(kind: Kind) -> dict[str, Any]:
    """The table of keys: each a row of floats."""
    random = np.random.default_rng(1)
    floats = {name: random.standard_normal(KEYS, "float32") for name in kind.joined}
    return {"key": np.arange(KEYS, dtype="int32"), **floats}


def _floats(names: list[str], start: int, stop: int) -> dict[str, Any]:
    random = np.random.default_rng(start)
    return {name: random.standard_normal(stop - start, dtype="float32") for name in names}


def _with_key(names: list[str], start: int, stop: int) -> dict[str, Any]:
    key = np.random.default_rng(start).integers(0, KEYS, stop - start, "int32")
    return {"key": key, **_floats(names, start, stop)}


def _images(floats: bool, start: int, stop: int) -> dict[str, Any]:
    rows, size = stop - start, 32 * 32 * 3
    pixels = np.random.default_rng(start).integers(0, 256, rows * size, "uint8")
    offsets = np.arange(rows + 1, dtype="int32") * size
    if floats:
        return {"pixels": pa.ListArray.from_arrays(offsets, pixels.astype("float32"))}
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(pixels)]
    return {"pixels": pa.BinaryArray.from_buffers(pa.binary(), rows, buffers)}


def _jpegs(start: int, stop: int) -> dict[str, Any]:
    """500 different ones, of patches of colour."""
    import io

    from PIL import Image

    random, files = np.random.default_rng(start), []
    for _ in range(500):
        file = io.BytesIO()
        patches = random.integers(0, 256, (8, 8, 3), "uint8")
        Image.fromarray(patches).resize((32, 32)).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    chosen = random.integers(0, len(files), stop - start)
    return {"image": pa.array(files, pa.binary()).take(pa.array(chosen))}


def _tokens(start: int, stop: int) -> dict[str, Any]:
    rows = stop - start
    ids = np.random.default_rng(start).integers(0, 20_000, rows * 200, "int32")
    return {"tokens": pa.ListArray.from_arrays(np.arange(rows + 1, dtype="int32") * 200, ids)}


def _text(least: int, most: int, start: int, stop: int) -> dict[str, Any]:
    """Sentences of so many words; one word in twenty is not in the vocabulary."""
    random = np.random.default_rng(start)
    sizes = random.integers(least, most + 1, stop - start)
    ends = np.concatenate([[0], sizes.cumsum()]).astype("int32")
    known = [f"word{number}" for number in range(int(models.WORDS * 1.05))]
    words = pa.array(known).take(pa.array(random.integers(0, len(known), int(ends[-1]))))
    lists = pa.ListArray.from_arrays(pa.array(ends), words)
    return {"text": pa.compute.binary_join(lists, " ")}


def _mixed(start: int, stop: int) -> dict[str, Any]:
    """One in ten of the floats and texts is null."""
    random, rows = np.random.default_rng(start), stop - start

    def holes() -> np.ndarray:
        return random.random(rows) < 0.1

    def picked(words: list[str]) -> pa.Array:
        index = pa.array(random.integers(0, len(words), rows), mask=holes())
        return pa.array(words).take(index)

    return {
        "age": pa.array(random.uniform(0, 80, rows).astype("float32"), mask=holes()),
        "fare": pa.array(random.uniform(0, 500, rows).astype("float32"), mask=holes()),
        "siblings": random.integers(0, 8, rows),
        "paid": random.random(rows) < 0.5,
        "sex": picked(["female", "male"]),
        "port": picked(["C", "Q", "S", "X"]),
    }


def table(columns: int = 16, width: int = 64, rows: int = 20_000_000) -> Kind:
    """Floats side by side into an MLP."""
    names = [f"f{number}" for number in range(columns)]
    return Kind(
        "table",
        f"{columns} floats, MLP {columns}-{width}-{width}-1",
        rows,
        10_000,
        (Input("features", tuple(names), (columns,)),),
        partial(_floats, names),
        partial(models.mlp, features=columns, width=width),
        ALL,
    )


_NAMES = [f"f{number}" for number in range(16)]
_FEATURES = (Input("features", tuple(_NAMES), (16,)),)
_MIXED = (
    Input("age", ("age",)),
    Input("fare", ("fare",)),
    Input("siblings", ("siblings",), (), "int64"),
    Input("paid", ("paid",), (), "bool"),
    Input("sex", ("sex",), (), "string", ""),
    Input("port", ("port",), (), "string", ""),
)
KINDS = {
    kind.name: kind
    for kind in (
        table(),
        Kind(
            "join",
            "12 floats joined with 4 of a second table of 1,000 rows, MLP 16-64-64-1",
            5_000_000,
            10_000,
            _FEATURES,
            partial(_with_key, _NAMES[:12]),
            models.mlp,
            ("arrow", "pandas", "jvm", *FLAT, "no Spark"),
            joined=tuple(_NAMES[12:]),
        ),
        Kind(
            "images",
            "32 × 32 × 3 pixels as binary, CNN (3 × 3 to 16, pool, 3 × 3 to 32, pool, 64, 1)",
            400_000,
            500,
            (Input("pixels", ("pixels",), (32, 32, 3), "uint8"),),
            partial(_images, False),
            models.cnn,
            ("scan", "arrow", *SPARK, "ray", "no Spark"),
        ),
        Kind(
            "images as floats",
            "the same as array<float>",
            100_000,
            500,
            (Input("pixels", ("pixels",), (32, 32, 3)),),
            partial(_images, True),
            partial(models.cnn, dtype="float32"),
            ("scan", "arrow", *SPARK, "horovod", "no Spark"),
            slow=10,
        ),
        Kind(
            "jpegs",
            "JPEGs of 32 × 32, decoded in the graph, the CNN of conf/cifar2.yaml",
            40_000,
            500,
            (Input("image", ("image",), (1,), "string"),),
            _jpegs,
            models.jpegs,
            ("scan", "arrow", "jvm", *SPARK, "no Spark"),
        ),
        Kind(
            "tokens",
            "200 token ids as array<int>, embedding 20,000 × 32, mean, 64, 1",
            500_000,
            2_000,
            (Input("tokens", ("tokens",), (200,), "int32"),),
            _tokens,
            models.tokens,
        ),
        Kind(
            "text",
            "sentences of 8 to 24 words, split and looked up in the graph, then as tokens",
            500_000,
            2_000,
            (Input("text", ("text",), (1,), "string"),),
            partial(_text, 8, 24),
            models.text,
        ),
        Kind(
            "words",
            "texts of 200 words, through a feature of kind text, then as tokens",
            1_000_000,
            2_000,
            (Input("text", ("text",), (1,), "string"),),
            partial(_text, 200, 200),
            models.words,
        ),
        Kind(
            "mixed",
            "2 floats, an int64, a bool, 2 strings, six inputs, nulls in floats and strings",
            4_000_000,
            10_000,
            _MIXED,
            _mixed,
            models.mixed,
        ),
        Kind(
            "vector",
            "16 floats, MLP 16-64-64-64: 64 floats a row come out",
            4_000_000,
            10_000,
            _FEATURES,
            partial(_floats, _NAMES),
            partial(models.mlp, outputs=64),
            values=64,
        ),
    )
}
