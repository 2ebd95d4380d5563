"""The peers: DuckDB for `prepare`, two processes of pyarrow and TensorFlow for `score`."""

from __future__ import annotations

import shutil
import time
from functools import partial
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench import models
from bench.main.table import CITIES, DOUBLES
from bench.score.feed import Bare
from bench.score.kinds import Input, Kind

KIND = Kind(
    "visitors",
    "12 doubles with nulls, MLP 12-64-64-1",
    5_000_000,
    10_000,
    (Input("features", tuple(DOUBLES), (len(DOUBLES),)),),
    lambda start, stop: {},
    partial(models.mlp_of_doubles, features=len(DOUBLES)),
)

_COUNTED = ("city", "code", "visits", "bought")
_NUMBERS = (*DOUBLES, "visits", "bought")


def duckdb_prepare(rows: Path, target: Path, form: str, threads: int = 2) -> float:
    """The checks, the key's count, MD5 splits sorted and written, moments, quantiles, counts.

    Returns:
        Seconds.
    """
    import duckdb

    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    start = time.perf_counter()
    with duckdb.connect() as db:
        db.execute(f"SET threads = {threads}")
        db.execute(f"SET temp_directory = '{target}'")
        db.execute(f"CREATE VIEW raw AS {_source(rows, form)}")
        db.execute(f"CREATE TABLE checked AS SELECT *, {_bad()} AS bad FROM raw")
        db.execute(
            "CREATE TABLE twice AS SELECT id FROM checked WHERE id IS NOT NULL GROUP BY id "
            "HAVING count(*) > 1"
        )
        at = "('0x' || md5('0' || chr(31) || id)[:8])::BIGINT / 4294967296.0"
        db.execute(
            "CREATE TABLE placed AS SELECT * EXCLUDE (bad), md5('0' || chr(31) || id) AS h, "
            f"CASE WHEN {at} < 0.1 THEN 0 WHEN {at} < 0.2 THEN 1 ELSE 2 END AS split "
            "FROM checked WHERE NOT bad AND id NOT IN (SELECT id FROM twice)"
        )
        for number, split in enumerate(("test", "validation", "train")):
            db.execute(
                "COPY (SELECT * EXCLUDE (h, split) FROM placed "
                f"WHERE split = {number} ORDER BY h) "
                f"TO '{target / split}.parquet' (FORMAT parquet)"
            )
        steps = [i / 100 for i in range(101)]
        sums = ", ".join(
            f"count({name}), avg({name}), var_pop({name}), min({name}), max({name}), "
            f"approx_quantile({name}, {steps})"
            for name in _NUMBERS
        )
        db.execute(f"SELECT {sums} FROM placed WHERE split = 2").fetchall()
        for name in _COUNTED:
            db.execute(
                f"SELECT {name}, count(*) AS n FROM placed WHERE split = 2 "
                "GROUP BY 1 ORDER BY n DESC LIMIT 10000"
            ).fetchall()
    return time.perf_counter() - start


def _source(rows: Path, form: str) -> str:
    if form == "parquet":
        return f"SELECT * FROM '{rows}/*.parquet'"
    types = {"id": "BIGINT", **dict.fromkeys(DOUBLES, "DOUBLE"), "city": "VARCHAR"}
    types |= {"code": "VARCHAR", "visits": "INTEGER", "bought": "INTEGER"}
    cast = ", ".join(f"try_cast({name} AS {kind}) AS {name}" for name, kind in types.items())
    return f"SELECT {cast} FROM read_csv('{rows}/*.{form}', all_varchar = true, header = true)"


def _bad() -> str:
    """Whether a row breaks the contract."""
    cities = ", ".join(f"'{city}'" for city in CITIES)
    rules = [f"coalesce({name} < -1000 OR {name} > 1000, false)" for name in DOUBLES]
    rules += [
        "id IS NULL",
        f"coalesce(city NOT IN ({cities}), false)",
        "coalesce(NOT regexp_full_match(code, '[a-z]{2}[0-9]{3}'), false)",
        "coalesce(visits < 0 OR visits > 1000, false)",
        "bought IS NULL OR bought NOT IN (0, 1)",
    ]
    return f"({' OR '.join(rules)})"


class BareChecked:
    """A process that reads, checks, scores and writes file after file."""

    def __init__(self, model: str) -> None:
        self._bare = Bare(model, KIND)
        self._cities = pa.array(CITIES)

    def __call__(self, path: Path, target: Path) -> np.ndarray:
        """The ids of the file, for the check of the key."""
        wanted = ["id", *DOUBLES, "city", "code", "visits", "bought"]
        scored, ids = [], []
        for batch in pq.ParquetFile(path).iter_batches(KIND.batch, columns=wanted):
            ids.append(batch.column("id").to_numpy())
            good = self._good(batch)
            rows = batch if good is None else batch.filter(good)
            names = self._bare.columns
            columns = [rows.column("id"), *(pc.fill_null(rows.column(n), nan) for n in names[1:])]
            scored.append(self._bare(pa.RecordBatch.from_arrays(columns, names=names)))
        text = [f.name for f in self._bare.schema if pa.types.is_dictionary(f.type)]
        table = pa.Table.from_batches(scored, self._bare.schema)
        pq.write_table(table, target, use_dictionary=text)
        return np.concatenate(ids)

    def _good(self, batch: pa.RecordBatch) -> pa.Array | None:
        bad: Any = None
        for name in (*DOUBLES, "visits"):
            low, high = (0, 1000) if name == "visits" else (-1000, 1000)
            column = batch.column(name)
            broken = pc.or_(pc.less(column, low), pc.greater(column, high))
            bad = broken if bad is None else pc.or_kleene(bad, broken)
        for broken in (
            pc.invert(pc.is_in(batch.column("city"), self._cities)),
            pc.invert(pc.match_substring_regex(batch.column("code"), "^(?:[a-z]{2}[0-9]{3})$")),
            pc.or_(batch.column("bought").is_null(), pc.greater(batch.column("bought"), 1)),
        ):
            bad = pc.or_kleene(bad, broken)
        bad = pc.fill_null(bad, False)
        return pc.invert(bad) if pc.any(bad).as_py() else None


class BareProcesses:
    """Two processes with the model loaded and run once."""

    def __init__(self, model: Path, few: Path, cores: int = 2) -> None:
        import multiprocessing

        self._pool = multiprocessing.get_context("spawn").Pool(cores, _load, (str(model),))
        self(few, few.with_name("warm"))

    def __call__(self, rows: Path, target: Path) -> float:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        start = time.perf_counter()
        files = [(file, target / file.name) for file in sorted(rows.iterdir())]
        ids = np.sort(np.concatenate(self._pool.map(_score, files, chunksize=1)))
        assert not (ids[1:] == ids[:-1]).any()
        return time.perf_counter() - start

    def close(self) -> None:
        self._pool.terminate()
        self._pool.join()


def _load(model: str) -> None:
    globals()["_checked"] = BareChecked(model)


def _score(paths: tuple[Path, Path]) -> np.ndarray:
    ids: np.ndarray = globals()["_checked"](*paths)
    return ids
