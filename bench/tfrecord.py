"""Rows per second to and from TFRecord files on one core, beside the ways that there are.

    python -m bench.tfrecord --rows 1000000

Writing: a table in memory to a file. `tf.train.Example` makes a message for every row and is
timed on fewer rows; tfx-bsl's encoder is compiled C++ and its records go to TensorFlow's
TFRecordWriter, in an environment of its own that this makes in build/bench (tfx-bsl has no wheels
for this project's Python). Reading: a file to Arrow columns, and to tensors by tf.data's
TFRecordDataset and `parse_example` in batches of 1,024. All ways take turns, on one
core, with their files in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tfspark.tfrecord import read_file, write_file

PEER = Path("build/bench/tfx-bsl")
PEER_PYTHON = "3.10"
PEER_PACKAGES = ("tensorflow-cpu==2.16.2", "numpy<2", "protobuf<5", "absl-py<2")
PEER_OWN = ("tfx-bsl==1.16.1", "tensorflow-metadata==1.16.1", "pyarrow==10.0.1")
SCRATCH = "/dev/shm" if Path("/dev/shm").is_dir() else None  # memory: a disk is not the codec
BARS = {"tfx-bsl": 4.0, "tf.train.Example": 40.0, "parse_example": 2.0}
PEER_CODE = """
import json, sys, time
import pyarrow as pa
from tensorflow.io import TFRecordWriter
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

table = pa.ipc.open_file(sys.argv[1]).read_all()
encoder = RecordBatchToExamplesEncoder()
print(json.dumps(table.num_rows), flush=True)
for line in sys.stdin:
    began = time.perf_counter()
    with TFRecordWriter(sys.argv[2]) as writer:
        for batch in table.to_batches(max_chunksize=1 << 14):
            for record in encoder.encode(batch):
                writer.write(record)
    print(json.dumps(time.perf_counter() - began), flush=True)
"""


def main(argv: list[str] | None = None) -> int:
    """Measure and print; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.tfrecord", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=["floats", "arrays", "binaries", "ragged"])
    parser.add_argument("--json", help="write the figures to this file too")
    given = parser.parse_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    peer = make_peer()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    pa.set_cpu_count(1)
    results = {}
    try:
        for name in [given.only] if given.only else ["floats", "arrays", "binaries", "ragged"]:
            with tempfile.TemporaryDirectory(prefix="tfspark-bench-", dir=SCRATCH) as folder:
                table = make_table(name, given.rows)
                results[name] = measure(table, Path(folder), given.runs, peer)
            show(name, table.num_rows, results[name])
    finally:
        os.sched_setaffinity(0, cores)
    if given.json:
        Path(given.json).write_text(json.dumps(results, indent=2))
    missed = [
        f"{name}: {way} {ours / theirs:.1f} of {BARS[way]:.0f}"
        for name, found in results.items()
        for way, ours, theirs in ratios(found)
        if ours / theirs < BARS[way]
    ]
    print("\nbars missed: " + "; ".join(missed) if missed else "\nevery bar is met")
    return 1 if missed else 0


def make_table(name: str, rows: int) -> pa.Table:
    """The rows of one case; binaries are 1/32 of them, as each has 3 kB."""
    random = np.random.default_rng(0)
    if name == "binaries":
        rows = max(1, rows // 32)
    ids = pa.array([f"user-{number}" for number in random.integers(0, 1 << 40, rows)])
    columns: dict[str, Any] = {"id": ids, "label": random.integers(0, 1 << 31, rows)}
    if name == "floats":
        floats = {f"f{i:02}": random.standard_normal(rows, "float32") for i in range(16)}
        columns |= floats
    elif name == "arrays":
        values = pa.array(random.standard_normal(rows * 16, "float32"))
        offsets = pa.array(np.arange(rows + 1, dtype="int32") * 16)
        columns["x"] = pa.ListArray.from_arrays(offsets, values)
    elif name == "binaries":
        offsets = pa.py_buffer(np.arange(rows + 1, dtype="int32") * 3000)
        data = pa.py_buffer(random.bytes(rows * 3000))
        columns["x"] = pa.BinaryArray.from_buffers(pa.binary(), rows, [None, offsets, data])
    else:
        ends = np.concatenate([[0], np.cumsum(random.integers(0, 61, rows))]).astype("int32")
        values = pa.array(random.integers(0, 100_000, int(ends[-1])))
        columns["x"] = pa.ListArray.from_arrays(pa.array(ends), values)
    return pa.table(columns)


def measure(
    table: pa.Table, folder: Path, runs: int, peer: Path | None
) -> dict[str, dict[str, float]]:
    """write and read: way → rows/s, the median of the runs; the first warms up."""
    path = str(folder / "ours.tfrecord")
    few = table.slice(0, max(1, table.num_rows // 50))
    writing: dict[str, tuple[int, Callable[[], float]]] = {
        "tfspark": (
            table.num_rows,
            timed(lambda: write_file(path, table.to_batches(), table.schema)),
        ),
        "tf.train.Example": (few.num_rows, timed(lambda: by_row(few, str(folder / "rows")))),
    }
    process = start_peer(peer, table, folder) if peer else None
    if process:
        writing["tfx-bsl"] = (table.num_rows, lambda: ask(process))
    reading = {
        "tfspark": (table.num_rows, timed(lambda: drain(path, table))),
        "parse_example": (table.num_rows, timed(lambda: parse(path, table))),
    }
    try:
        return {"write": in_turns(writing, runs), "read": in_turns(reading, runs)}
    finally:
        if process:
            process.stdin.close()
            process.wait()


def in_turns(ways: dict[str, tuple[int, Callable[[], float]]], runs: int) -> dict[str, float]:
    took: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(runs + 1):
        for name, (_, way) in ways.items():
            seconds = way()
            if number:
                took[name].append(seconds)
    return {name: rows / statistics.median(took[name]) for name, (rows, _) in ways.items()}


def timed(call: Callable[[], Any]) -> Callable[[], float]:
    def once() -> float:
        began = time.perf_counter()
        call()
        return time.perf_counter() - began

    return once


def ours(table: pa.Table, path: str) -> None:
    write_file(path, table.to_batches(), table.schema)


def drain(path: str, table: pa.Table) -> None:
    rows = sum(batch.num_rows for batch in read_file(path, table.schema))
    assert rows == table.num_rows, rows


def by_row(table: pa.Table, path: str) -> None:
    """A message for every row, as the guides do it."""
    import tensorflow as tf

    feature, floats = tf.train.Feature, tf.train.FloatList
    ints, bytes_ = tf.train.Int64List, tf.train.BytesList

    def of(kind: pa.DataType) -> Callable[[Any], Any]:
        if pa.types.is_list(kind):
            return lambda v: (
                feature(float_list=floats(value=v))
                if pa.types.is_floating(kind.value_type)
                else feature(int64_list=ints(value=v))
            )
        if pa.types.is_floating(kind):
            return lambda v: feature(float_list=floats(value=[v]))
        if pa.types.is_integer(kind):
            return lambda v: feature(int64_list=ints(value=[v]))
        text = pa.types.is_string(kind)
        return lambda v: feature(bytes_list=bytes_(value=[v.encode() if text else v]))

    makers = [
        (name, of(kind)) for name, kind in zip(table.column_names, table.schema.types, strict=False)
    ]
    columns = [column.to_pylist() for column in table.columns]
    with tf.io.TFRecordWriter(path) as writer:
        for row in zip(*columns, strict=True):
            named = {name: make(value) for (name, make), value in zip(makers, row, strict=True)}
            example = tf.train.Example(features=tf.train.Features(feature=named))
            writer.write(example.SerializeToString())


def parse(path: str, table: pa.Table) -> None:
    import tensorflow as tf

    spec: dict[str, Any] = {}
    for field in table.schema:
        kind = field.type
        leaf = kind.value_type if pa.types.is_list(kind) else kind
        dtype = tf.float32 if pa.types.is_floating(leaf) else tf.int64
        dtype = tf.string if pa.types.is_string(leaf) or pa.types.is_binary(leaf) else dtype
        if not pa.types.is_list(kind):
            spec[field.name] = tf.io.FixedLenFeature([], dtype)
        elif dtype == tf.float32:
            spec[field.name] = tf.io.FixedLenFeature([16], dtype)
        else:
            spec[field.name] = tf.io.RaggedFeature(dtype)
    records = tf.data.TFRecordDataset(path).batch(1024)
    parsed = records.map(lambda some: tf.io.parse_example(some, spec)).prefetch(2)
    rows = sum(int(batch["id"].shape[0]) for batch in parsed)
    assert rows == table.num_rows, rows


def make_peer() -> Path | None:
    """tfx-bsl in an environment of its own; None, with the reason printed, where it cannot be."""
    python = PEER / "bin" / "python"
    probe = [str(python), "-c", "import tensorflow, tfx_bsl.coders.example_coder"]
    env = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    if python.exists() and subprocess.run(probe, capture_output=True, env=env).returncode == 0:
        return python
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{PEER_PYTHON}.*/bin/python"))
    found = str(pyenv[-1]) if pyenv else PEER_PYTHON
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    install = [uv, "pip", "install", "--quiet", "--only-binary", ":all:", "--python", str(python)]
    steps = (
        [uv, "venv", "--quiet", "--clear", "--python", found, str(PEER)],
        [*install, *PEER_PACKAGES],
        [*install, "--no-deps", *PEER_OWN],
        probe,
    )
    PEER.parent.mkdir(parents=True, exist_ok=True)
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, env=env)
        if done.returncode:
            said = (done.stderr.strip() or "no reason given").splitlines()[-1]
            print(f"tfx-bsl is not compared: `{' '.join(step[:3])}` failed: {said}")
            return None
    return python


def start_peer(python: Path, table: pa.Table, folder: Path) -> Any:
    """A process that writes the table once for every line that it gets; lists, as it wants."""
    lists = []
    for column in table.columns:
        array = column.combine_chunks()
        if pa.types.is_string(array.type):
            array = array.cast(pa.binary())
        if not pa.types.is_list(array.type):
            offsets = pa.array(np.arange(len(array) + 1, dtype="int32"))
            array = pa.ListArray.from_arrays(offsets, array)
        lists.append(array)
    listed = pa.table(lists, table.column_names)
    with pa.ipc.new_file(str(folder / "table.arrow"), listed.schema) as file:
        file.write_table(listed)
    command = [str(python), "-c", PEER_CODE, str(folder / "table.arrow"), str(folder / "peer")]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout
    assert json.loads(process.stdout.readline()) == table.num_rows
    return process


def ask(process: Any) -> float:
    process.stdin.write("\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def ratios(found: dict[str, dict[str, float]]) -> list[tuple[str, float, float]]:
    """(way, our rows/s, its rows/s) of each bar."""
    return [
        (way, side["tfspark"], speed)
        for side in found.values()
        for way, speed in side.items()
        if way != "tfspark"
    ]


def show(name: str, rows: int, found: dict[str, dict[str, float]]) -> None:
    print(f"\n{name}: {rows:,} rows\n\n| way | rows/s | tfspark is |\n|---|--:|--:|")
    for verb, side in found.items():
        for way, speed in side.items():
            ratio = "" if way == "tfspark" else f"{side['tfspark'] / speed:.1f} × as fast"
            print(f"| {verb}, {way} | {speed:,.0f} | {ratio} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
