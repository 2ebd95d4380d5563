"""A model that ends or hangs its process, in a child: the row is found, nothing stays."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tests import saved_models as models
from tests.conftest import ROOT
from tests.scoring.scorers import scorer
from tests.sizes import size
from tfspark.errors import SignatureError, StorageError
from tfspark.registry.resolve import resolve_model
from tfspark.scoring.worker import guard
from tfspark.scoring.worker.guard import Child, Ended


@pytest.fixture(autouse=True)
def no_child_stays() -> Iterator[None]:
    yield
    guard.close()


def children() -> list[int]:
    task = Path(f"/proc/{os.getpid()}/task")
    found = [int(pid) for t in task.iterdir() for pid in (t / "children").read_text().split()]
    return [
        p
        for p in found
        if "tfspark.scoring.worker.child" in Path(f"/proc/{p}/cmdline").read_text()
        and p not in OTHERS
    ]


OTHERS: set[int] = set()
MEMORIES: set[int] = set()


@pytest.fixture(autouse=True, scope="module")
def others() -> None:
    """Children that other tests of this process keep are not looked at."""
    OTHERS.update(children())
    MEMORIES.update(files())


def files() -> list[int]:
    """The memories that this process shares with children, by their inodes."""
    held = [f for f in Path("/proc/self/fd").iterdir() if f.is_symlink()]
    found = [f.stat().st_ino for f in held if "memfd:tfspark" in str(f.readlink())]
    return [memory for memory in found if memory not in MEMORIES]


def test_the_same_answers_as_here(tmp_path: Path) -> None:
    model = resolve_model(models.mixed(tmp_path / "m"))
    columns = [
        pa.array([20.0, None, 1e300]),
        pa.array(["f", "ü", "x"]).dictionary_encode(),
        pa.array([1, 2, 3], pa.int32()),
        pa.array([False, True, True]),
    ]
    here, child = scorer(model, isolate="never"), scorer(model, isolate="always")
    expected = here(columns)
    found = child(columns)
    assert len(children()) == 1
    assert found[0] == expected[0]
    assert found[1].to_pylist() == expected[1].to_pylist() == [None, None, found[1][2].as_py()]
    # What came back does not change with the next batch, whatever its size.
    large = [pa.concat_arrays([column] * 5000) for column in columns[::3]]
    large[1:1] = [pa.array(["long"] * 15000), pa.array([7] * 15000, pa.int32())]
    assert child(large)[0][0].to_pylist()[-1] is None
    assert found[0] == expected[0]
    assert child([column[:0] for column in columns])[1].to_pylist() == []


def test_the_row_that_hangs_is_found(tmp_path: Path) -> None:
    def serve(x):  # type: ignore[no-untyped-def]
        zero = tf.zeros([], tf.int64)
        turns = tf.while_loop(lambda i: tf.reduce_any(x == 13), lambda i: i + 1, [zero])[0]
        return {"y": x + tf.cast(turns, tf.int32)}

    folder = models.save(tmp_path / "m", [tf.TensorSpec([None], tf.int32, name="x")], serve)
    run = scorer(resolve_model(folder), isolate="always", deadline=5)
    values = np.arange(100, size(140, soak=400), dtype="int32")
    values[7] = 13
    (found,), reasons = run([pa.array(values)])
    assert [i for i, reason in enumerate(reasons) if reason.is_valid] == [7]
    assert reasons[7].as_py() == "the model gave no answer within 5 s"
    assert found.drop_null().to_pylist() == [v for v in values.tolist() if v != 13]
    assert found.null_count == 1
    guard.close()
    assert children() == []
    assert files() == []


@pytest.mark.usefixtures("kill")
def test_a_child_that_is_killed_between_batches(tmp_path: Path) -> None:
    run = scorer(resolve_model(models.picky(tmp_path / "m")), isolate="always")
    assert run([pa.array([4.0])])[0][0].to_pylist() == [2.0]
    (child,) = children()
    os.kill(child, signal.SIGKILL)
    # One row: it is tried again, as it did nothing.
    outputs, reasons = run([pa.array([9.0])])
    assert (outputs[0].to_pylist(), reasons.to_pylist()) == ([3.0], [None])
    assert children() != [child]


def test_the_model_is_blamed_if_no_row_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def always(*_: Any) -> Any:
        raise Ended("the model ended the process: SIGSEGV")

    monkeypatch.setattr(Child, "score", always)
    run = scorer(resolve_model(models.picky(tmp_path / "m")), isolate="always")
    with pytest.raises(StorageError, match=r"each of the first 10 rows, so .*SIGSEGV"):
        run([pa.array(np.ones(50))])


def test_errors_come_as_they_are(tmp_path: Path) -> None:
    spec = [tf.TensorSpec([None], tf.float32, name="x")]
    folder = models.save(tmp_path / "m", spec, lambda x: {"y": x[:1]})
    run = scorer(resolve_model(folder), isolate="always")
    with pytest.raises(SignatureError, match="output y has shape"):
        run([pa.array([1.0, 2.0])])
    folder = models.save(tmp_path / "broken", spec, lambda x: {"y": x})
    run = scorer(resolve_model(folder), isolate="always")
    with pytest.raises(RuntimeError, match="TypeError: string does not become float32"):
        run([pa.array(["a"])])


@pytest.mark.usefixtures("kill")
def test_the_child_goes_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import sys, subprocess\n"
        "from tfspark.scoring.worker.guard import Scorer, _child\n"
        "_child._ready(Scorer(None, None, ()))\n"
        "print(_child._process.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    end = os.pidfd_open(child)
    parent.kill()
    parent.communicate()
    # A pidfd can be read from when its process has ended.
    assert select.select([end], [], [], 120)[0]
    os.close(end)
