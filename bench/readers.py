"""Rows per second of 17 float features into tensors on one core, and a reader's memory over epochs.

Seconds are the CPU's, of all threads of this process, bound to one core: other work on the machine
does not count.

    python -m bench.readers --rows 1000000

Every way reads the same rows in one run, in turns, on one core, without keeping anything from one
pass to the next: `bare pyarrow` reads the columns to NumPy arrays and does nothing else; the
readers of tfspark give batches of 1,024 rows, a label and 17 tensors, or as they say: shuffled, or
"in file order" as validation reads them. Petastorm gives a row group at once as NumPy arrays,
tf.data batches of 1,024, both unshuffled. Parquet is written twice: as pyarrow does by default
(dictionaries where they fit), and plain, as Spark writes columns of random floats.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.processes import memory_mb

FEATURES = 17
BATCH = 1024
LARGE = 8192
GROUP = 1 << 16
FILES = 8
AHEAD = 3  # windows that a reader may have read before its turn
SMALLER = 8  # TFRecord files: they are written row by row
BAR = 0.7
NAMES = [f"f{i:02}" for i in range(FEATURES)]
COLUMNS = ["y", *NAMES]


def main(argv: list[str] | None = None) -> int:
    """Measure and print; 1 if the Parquet reader is below the bar or its memory grows."""
    parser = argparse.ArgumentParser(prog="python -m bench.readers", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=50, help="of the memory's curve")
    parser.add_argument("--plot", default="build/bench/readers.png", help="where the curve goes")
    parser.add_argument("--json", help="write the figures to this file too")
    given = parser.parse_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    pa.set_cpu_count(1)
    try:
        with tempfile.TemporaryDirectory(prefix="tfspark-bench-") as folder:
            speeds = speed(Path(folder), given.rows, given.runs)
            curves = memory(Path(folder), given.epochs)
    finally:
        os.sched_setaffinity(0, cores)
    grown = show(speeds, curves, given)
    if given.json:
        Path(given.json).write_text(json.dumps({"speed": speeds, "memory": curves}, indent=2))
    ratio = speeds["tfspark parquet"] / speeds["bare pyarrow"]
    return 0 if ratio >= BAR and grown < 1.1 else 1


def speed(folder: Path, rows: int, runs: int) -> dict[str, float]:
    """Way → rows/s, the median of the runs.

    Each turn begins with passes that do not count: a reader reads ahead, and what it has read
    between its turns is used up then.
    """
    ways = _ways(folder, rows)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            for _ in range(AHEAD):
                way()
            began = time.process_time()
            count = way()
            took = time.process_time() - began
            assert count == (rows // SMALLER if "Record" in name or "tfrecord" in name else rows)
            seconds[name].append(took / count)
    return {name: 1 / statistics.median(took) for name, took in seconds.items()}


def _ways(folder: Path, rows: int) -> dict[str, Callable[[], int]]:
    default, plain = folder / "default", folder / "plain"
    records = folder / "records"
    make_dataset(default, rows)
    make_dataset(plain, rows, use_dictionary=["y"])
    make_dataset(records, rows // SMALLER, "tfrecord")
    return {
        "bare pyarrow": lambda: bare(default),
        "tfspark parquet": ours(default, "parquet"),
        "tfspark parquet, batches of 8,192": ours(default, "parquet", batch=LARGE),
        "tfspark parquet, in file order": straight(default, BATCH),
        "tfspark parquet, in file order, batches of 8,192": straight(default, LARGE),
        "tfspark parquet, in file order, batches of 65,536": straight(default, GROUP),
        "bare pyarrow to [rows, 17]": lambda: bare(default, matrix=True),
        "tfspark parquet, kept in memory": ours(default, "parquet", 1 << 30),
        "bare pyarrow, plain": lambda: bare(plain),
        "tfspark parquet, plain": ours(plain, "parquet"),
        "bare pyarrow to [rows, 17], plain": lambda: bare(plain, matrix=True),
        "Petastorm make_batch_reader": lambda: raw_petastorm(default),
        "tfspark petastorm": ours(default, "petastorm"),
        "TFRecordDataset + parse_example": lambda: raw_records(records),
        "tfspark tfrecord": ours(records, "tfrecord"),
    }


def make_dataset(folder: Path, rows: int, format: str = "parquet", **options: Any) -> None:
    """A label and 17 floats a row, as a dataset whose rows all train."""
    import yaml

    from tfspark import storage

    (folder / "train").mkdir(parents=True)
    random = np.random.default_rng(0)
    files: dict[str, Any] = {}
    bounds = np.linspace(0, rows, FILES + 1).astype(int)
    for number, (start, stop) in enumerate(itertools.pairwise(bounds)):
        count = int(stop - start)
        columns: dict[str, Any] = {"y": random.integers(0, 2, count, "int32")}
        columns |= {name: random.standard_normal(count, dtype="float32") for name in NAMES}
        name = f"train/{number:03}.{format}"
        if format == "parquet":
            pq.write_table(pa.table(columns), folder / name, row_group_size=GROUP, **options)
        else:
            _write_records(folder / name, columns)
        files[name] = {"rows": count}
    label = {"name": "y", "physicalType": "int", "role": "label", "required": True}
    floats = [{"name": n, "physicalType": "float", "required": True} for n in NAMES]
    key = {"name": "id", "physicalType": "bigint", "primaryKey": True}
    table = {"name": "bench", "properties": [key, label, *floats]}
    contract = {"kind": "DataContract", "id": "bench", "version": "1", "schema": [table]}
    (folder / "contract.yaml").write_text(yaml.safe_dump(contract))
    manifest = {"name": "bench", "version": 1, "format": format, "files": files, "digest": ""}
    manifest["rows"] = {"train": rows, "validation": 0, "test": 0}
    storage.write_json(str(folder / "manifest.json"), manifest)


def _write_records(path: Path, columns: dict[str, Any]) -> None:
    import tensorflow as tf

    feature, floats, ints = tf.train.Feature, tf.train.FloatList, tf.train.Int64List
    with tf.io.TFRecordWriter(str(path)) as writer:
        for y, *values in zip(*(column.tolist() for column in columns.values()), strict=True):
            named = {"y": feature(int64_list=ints(value=[y]))}
            for name, value in zip(NAMES, values, strict=True):
                named[name] = feature(float_list=floats(value=[value]))
            example = tf.train.Example(features=tf.train.Features(feature=named))
            writer.write(example.SerializeToString())


def ours(folder: Path, kind: Any, keep_bytes: int = 0, batch: int = BATCH) -> Callable[[], int]:
    """One epoch after the other of one reader, taken by a graph, as training does."""
    import tensorflow as tf

    reader = open_ours(folder, kind, keep_bytes, batch)
    batches = iter(reader.batches(0))

    @tf.function
    def epoch() -> Any:
        rows = tf.zeros([], tf.int64)
        for _ in tf.range(reader.steps):
            _, label = next(batches)
            rows += tf.shape(label, tf.int64)[0]
        return rows

    return lambda: int(epoch())


def straight(folder: Path, batch: int) -> Callable[[], int]:
    """Passes in file order, as validation does."""
    import tensorflow as tf

    reader = open_ours(folder, "parquet", 0, batch)
    passes = reader.once()

    @tf.function
    def whole(batches: Any) -> Any:
        rows = tf.zeros([], tf.int64)
        for _ in tf.range(reader.steps):
            _, label = next(batches)
            rows += tf.shape(label, tf.int64)[0]
        return rows

    return lambda: int(whole(iter(passes)))


def open_ours(folder: Path, kind: Any, keep_bytes: int, batch: int) -> Any:
    from tfspark.config.recipe import Model, Training
    from tfspark.dataset import open_dataset
    from tfspark.training.readers import open_reader
    from tfspark.training.readers.encoder import encoder_of

    dataset = open_dataset(str(folder))
    specs = {name: dataset.contract.column(name).tensor_spec() for name in NAMES}
    encoder = encoder_of(dataset, Model(), Training(), specs)
    return open_reader(dataset, "train", encoder, batch=batch, kind=kind, keep_bytes=keep_bytes)


def bare(folder: Path, matrix: bool = False) -> int:
    rows = 0
    for path in sorted((folder / "train").iterdir()):
        table = pq.ParquetFile(path).read(columns=COLUMNS, use_threads=False)
        arrays = [column.to_numpy() for column in table.columns]
        rows += len(np.column_stack(arrays[1:]) if matrix else arrays[0])
    return rows


def raw_petastorm(folder: Path) -> int:
    from pyarrow import fs

    from tfspark.training.readers.pyarrow_compat import FileSystem, import_petastorm

    paths = [f"file://{path}" for path in sorted((folder / "train").iterdir())]
    with import_petastorm().make_batch_reader(
        paths,
        schema_fields=[f"{name}$" for name in COLUMNS],
        reader_pool_type="dummy",
        shuffle_row_groups=False,
        filesystem=FileSystem(fs.LocalFileSystem()),
    ) as reader:
        return sum(len(batch.y) for batch in reader)


def raw_records(folder: Path) -> int:
    import tensorflow as tf

    features: dict[str, Any] = {n: tf.io.FixedLenFeature([], tf.float32) for n in NAMES}
    features["y"] = tf.io.FixedLenFeature([], tf.int64)
    paths = [str(path) for path in sorted((folder / "train").iterdir())]
    records = tf.data.TFRecordDataset(paths).batch(BATCH)
    parsed = records.map(lambda some: tf.io.parse_example(some, features)).prefetch(2)
    return sum(int(batch["y"].shape[0]) for batch in parsed)


def memory(folder: Path, epochs: int, rows: int = 200_000) -> dict[str, list[float]]:
    """MiB of this process after every epoch: blocks kept, and blocks read again."""
    make_dataset(folder / "memory", rows)
    curves = {}
    for name, keep in (("read again", 0), ("kept", 256 << 20)):
        epoch = ours(folder / "memory", "parquet", keep)
        curves[name] = [(epoch(), memory_mb(os.getpid()))[1] for _ in range(epochs)]
    return curves


def show(speeds: dict[str, float], curves: dict[str, list[float]], given: Any) -> float:
    """Print and plot; gives the most that memory grew by after the tenth part of the epochs."""
    bases = {"tfspark parquet, plain": "bare pyarrow, plain", "bare pyarrow, plain": ""}
    print(f"\n{given.rows:,} rows, median of {given.runs} runs, one core\n")
    print("| way | rows/s | of bare pyarrow |")
    print("|---|--:|--:|")
    for name, found in speeds.items():
        base = bases.get(name, "bare pyarrow, plain" if "plain" in name else "bare pyarrow")
        share = f"{found / speeds[base]:.2f}" if base else ""
        print(f"| {name} | {found:,.0f} | {share} |")
    worst = 0.0
    for name, curve in curves.items():
        settled = curve[len(curve) // 10]
        worst = max(worst, curve[-1] / settled)
        print(
            f"\nmemory, blocks {name}: {settled:,.0f} MiB after {len(curve) // 10 + 1} epochs, "
            f"{curve[-1]:,.0f} after {len(curve)}, at most {max(curve):,.0f}"
        )
    _plot(curves, Path(given.plot))
    return worst


def _plot(curves: dict[str, list[float]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4))
    for name, curve in curves.items():
        axes.plot(range(1, len(curve) + 1), curve, label=f"blocks {name}")
    axes.set(xlabel="epoch", ylabel="resident memory, MiB", title="Parquet reader, 200,000 rows")
    axes.set_ylim(bottom=0)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)
    print(f"\nplotted: {path}")


if __name__ == "__main__":
    sys.exit(main())
