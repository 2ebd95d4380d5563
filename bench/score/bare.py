"""The limit: two processes with pyarrow and TensorFlow, each with every other file of the table."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.score.feed import Bare
from bench.score.kinds import Kind


class NoSpark:
    """Processes with the model loaded and run once."""

    def __init__(self, model: Path, kind: Kind, few: Path, cores: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pool = context.Pool(cores, _load, (str(model), kind))
        warm = few.with_name("warm")
        try:
            self(few, warm)
        finally:
            shutil.rmtree(warm, ignore_errors=True)

    def __call__(self, rows: Path, target: Path) -> None:
        """Score the files of a folder into files of another, which is made anew."""
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        files = [(str(file), str(target / file.name)) for file in sorted(rows.iterdir())]
        self._pool.map(_score_file, files, chunksize=1)

    def close(self) -> None:
        self._pool.terminate()
        self._pool.join()


def _load(model: str, kind: Kind) -> None:
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    globals()["_bare"] = Bare(model, kind)
    globals()["_rows"] = kind.batch


def _score_file(paths: tuple[str, str]) -> None:
    bare: Bare = globals()["_bare"]
    batches = pq.ParquetFile(paths[0]).iter_batches(globals()["_rows"], columns=bare.columns)
    text = [field.name for field in bare.schema if pa.types.is_dictionary(field.type)]
    scored = pa.Table.from_batches([bare(batch) for batch in batches], bare.schema)
    pq.write_table(scored, paths[1], use_dictionary=text)
