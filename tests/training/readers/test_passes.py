"""Passes over a reader's dataset: again, abandoned, broken."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.training.run_ranks import spec_of
from tests.training.small_table import rows_of, write_dataset
from tfspark.errors import IntegrityError
from tfspark.training.loop.work import Parts
from tfspark.training.ranks.world import World


def reader_of(folder: Path, shuffle: bool = True, rows: int = 300) -> Any:
    spec = spec_of(write_dataset(folder, rows_of(rows)), folder / "none", shuffle_rows=32)
    return Parts(spec).reader("train", World(), shuffle=shuffle)


def test_a_finished_pass_can_be_had_again(tmp_path: Path) -> None:
    once = reader_of(tmp_path, shuffle=False).once()
    passes = [[len(batch[1]) for batch in once] for _ in range(3)]
    assert passes[0] == passes[1] == passes[2]
    assert sum(passes[0]) == 180


def test_an_abandoned_pass_never_blocks(tmp_path: Path) -> None:
    """TensorFlow frees an iterator with Python's lock held: no thread of it may wait for that."""
    reader = reader_of(tmp_path)
    for epoch in range(40):
        batches = iter(reader.batches(epoch))
        for _ in range(epoch % 3):
            next(batches)
        del batches
    reader.close()


def test_closing_waits_for_the_window_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = reader_of(tmp_path)
    read, entered = reader._blocks.read, threading.Event()

    def slowly(numbers: Any) -> Any:
        entered.set()
        time.sleep(0.3)
        return read(numbers)

    monkeypatch.setattr(reader._blocks, "read", slowly)
    batches = reader.batches(0)
    [producer] = reader._producers
    producer.start()
    assert entered.wait(120)
    reader.close()
    assert not producer._thread.is_alive()
    reader.raise_error()
    del batches


def test_two_passes_of_one_dataset_at_once_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    monkeypatch.setattr("tfspark.training.readers.pipeline._END_SECONDS", 0.1)
    batches = reader_of(tmp_path, rows=3000).batches(0)
    first = iter(batches)
    next(first)
    with pytest.raises(tf.errors.OpError, match="another pass of this dataset is not over"):
        next(iter(batches))
    next(first)


def test_the_cause_of_a_broken_pass_is_kept(tmp_path: Path) -> None:
    import tensorflow as tf

    reader = reader_of(tmp_path)
    for file in (tmp_path / "datasets" / "small" / "1" / "train").glob("*.parquet"):
        whole = file.read_bytes()
        file.write_bytes(whole[:4] + bytes(len(whole) - 8) + whole[-4:])
    with pytest.raises(tf.errors.OpError):
        for _ in reader.batches(0).take(100):
            pass
    with pytest.raises(IntegrityError, match=r"part-\d\.parquet"):
        reader.raise_error()
