"""Models that reach for files and network, opened unchecked on purpose: the wall stops them."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tests import saved_models as models
from tests.conftest import ROOT
from tests.scoring import hostile
from tests.scoring.scorers import scorer
from tfspark.errors import ConfigError, StorageError
from tfspark.registry.manifest import digest_folder
from tfspark.registry.resolve import resolve_model
from tfspark.scoring.model.pack import unpack
from tfspark.scoring.worker import guard, landlock, parent, seccomp, wall

X = pa.array([1.0, 2.0], pa.float32())
DENIED = "Permission denied (models reach no files but their own: spark.tfspark.wall)"

here = pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")


@pytest.fixture(autouse=True)
def no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wall, "_room", None)


@pytest.fixture(autouse=True, scope="module")
def no_child_stays() -> Iterator[None]:
    yield
    guard.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    canary, words = folder / "canary", folder / "words"
    canary.write_text("canary\n")
    words.write_text("a\nb\n")
    hostile.reader(folder / "reader", canary)
    hostile.writer(folder / "writer", canary)
    hostile.table(folder / "table", canary)
    hostile.at_opening(folder / "honest", words, tf.no_op)
    new = str(folder / "new")
    write = lambda: tf.raw_ops.WriteFile(filename=new, contents="new")  # noqa: E731
    hostile.at_opening(folder / "opener", words, write)
    for how in hostile.LATE:
        hostile.late(folder / how, canary, how)
    return folder


NAMES = ["honest", "reader", "writer", "table", "opener"]


def check(found: dict[str, Any], folder: Path) -> None:
    """The canary was neither read nor written, and each model was told why."""
    assert found.pop("honest") == [[2.0, 3.0], [None, None]]
    assert found.pop("opener") == (
        f"StorageError: model {folder / 'opener'}: cannot be opened: {folder / 'new'}; {DENIED}; "
        "take another version of it"
    )
    for name in NAMES[1:-1]:
        scores, reasons = found.pop(name)
        assert scores == [None, None]
        assert all(r.endswith(f"{folder / 'canary'}; {DENIED}") for r in reasons), reasons
    assert not found
    assert (folder / "canary").read_text() == "canary\n"
    assert not (folder / "new").exists()


@pytest.mark.usefixtures("unchecked")
def test_without_a_wall_they_reach_it(folder: Path) -> None:
    def answer(name: str) -> Any:
        model = resolve_model(str(folder / name))
        (scores,), _ = scorer(model, isolate="never", wall="never")([X])
        return scores.to_pylist()

    assert answer("honest") == [2.0, 3.0]
    assert answer("reader") == [8.0, 9.0]
    assert answer("table") == [1.0, 2.0]


@here
@pytest.mark.usefixtures("unchecked")
def test_a_child_is_behind_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "CANARY")
    guard._child.close()  # of another test: it has that one's variables
    found: dict[str, Any] = {}
    for name in NAMES:
        run = scorer(resolve_model(str(folder / name)), isolate="always", wall="always")
        try:
            (scores,), reasons = run([X])
            found[name] = [scores.to_pylist(), reasons.to_pylist()]
        except StorageError as error:
            found[name] = f"StorageError: {error}"
    check(found, folder)
    assert guard._child._process is not None
    process = Path(f"/proc/{guard._child._process.pid}")
    assert b"CANARY" not in process.joinpath("environ").read_bytes()
    # Every thread that the process has.
    tasks = list(process.glob("task/*/status"))
    assert len(tasks) > 2
    for task in tasks:
        said = dict(line.split(":\t", 1) for line in task.read_text().splitlines())
        assert (said["NoNewPrivs"], said["Seccomp"]) == ("1", "2")


@here
def test_a_process_that_goes_on_outside(folder: Path) -> None:
    ran = subprocess.run(
        [
            sys.executable,
            str(ROOT / "tests/scoring/worker/walled.py"),
            str(folder),
            *NAMES,
            *hostile.LATE,
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT), "TFSPARK_MODEL_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    found = json.loads(ran.stdout.splitlines()[-1])
    for how in hostile.LATE:
        scores, reasons, later, why = found["models"].pop(how)
        assert (scores, reasons, later) == ([1.0, 2.0], [None, None], [None, None, None])
        said = "XLA_CPU_JIT: ReadFile" if how == "compiled" else f"{folder / 'canary'}; {DENIED}"
        assert all(said in reason for reason in why), why
    check(found["models"], folder)
    assert found["inside"] == {
        **dict.fromkeys(["network", "network, new", "socket of a file"], "PermissionError"),
        **dict.fromkeys(["program", "file", "folder", "variables"], "PermissionError"),
        "a model's folder": "PermissionError",
        "python": "",
        "random numbers": "",
    }
    assert set(found["outside"].values()) == {""}


@here
def test_honest_models_score_as_before(tmp_path: Path) -> None:
    mixed = [
        pa.array([20.0, None]),
        pa.array(["f", "ü"]),
        pa.array([1, 2], pa.int32()),
        pa.array([False, True]),
    ]
    words = [pa.array(["red", "blue", "none"])]
    two = [
        (resolve_model(models.mixed(tmp_path / "mixed")), mixed),
        (resolve_model(models.lookup(tmp_path / "lookup", tmp_path / "words")), words),
    ]
    bare = [scorer(model, isolate="never", wall="never")(columns) for model, columns in two]
    assert [scorer(model, isolate="always", wall="always")(c) for model, c in two] == bare


def test_a_kernel_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(landlock, "_CREATE_RULESET", 100_000)  # no call has this number: ENOSYS
    monkeypatch.setattr(seccomp, "_MACHINES", {})
    monkeypatch.setattr(wall, "started", lambda: False)
    model = resolve_model(models.picky(tmp_path / "m"))
    with caplog.at_level(logging.WARNING, "tfspark.scoring.worker.wall"):
        for _ in range(2):
            (roots,), _ = scorer(model, isolate="never")([pa.array([4.0])])
            assert roots.to_pylist() == [2.0]
    (said,) = caplog.messages
    assert said.startswith("no whole wall around models (spark.tfspark.wall): models may use all f")
    assert "the kernel has no Landlock" in said
    assert "models may use the network: seccomp: no list of calls" in said
    with pytest.raises(ConfigError, match=r"spark.tfspark.wall: is always, but .*no Landlock"):
        scorer(model, isolate="never", wall="always")([pa.array([4.0])])


def test_where_tensorflow_was_started_by_others(caplog: pytest.LogCaptureFixture) -> None:
    assert wall.too_late("auto")
    assert not wall.too_late("never")
    assert wall.run("auto", os.getpid) == os.getpid()
    assert "other code of this process started TensorFlow" in caplog.text


def test_what_comes_out_of_a_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wall, "started", lambda: False)
    monkeypatch.setattr(wall, "_enter", lambda *_: wall._Standing(True, ""))
    monkeypatch.setenv("TFSPARK_MODEL_CACHE", str(tmp_path / "cache"))
    name = lambda: threading.current_thread().name  # noqa: E731
    assert wall.run("auto", name) == "tfspark-wall"
    assert wall.run("auto", lambda: wall.run("auto", name)) == "tfspark-wall"
    with pytest.raises(ZeroDivisionError):
        wall.run("auto", lambda: 1 // 0)
    assert not wall.too_late("auto")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "file").write_text("x")
    seen = wall.shown("auto", tmp_path / "model")
    assert (seen.parent.parent, seen.name) == (tmp_path / "cache", "model")
    assert (seen / "file").samefile(tmp_path / "model" / "file")


def test_what_a_machine_has_kept_of_a_child_s_model_is_mended(tmp_path: Path) -> None:
    model = resolve_model(models.mlp(tmp_path / "m", features=3))
    run = scorer(model, isolate="always")
    kept = unpack(run.packed)
    file = kept / "saved_model.pb"
    file.write_bytes(bytes(file.stat().st_size))
    (scores,), _ = run([pa.array([[1.0, 2.0, 3.0]], pa.list_(pa.float32(), 3))])
    assert scores.null_count == 0
    assert digest_folder(str(kept)) == model.digest


def test_a_row_that_fills_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def serve(x: Any) -> dict[str, Any]:
        return {"y": tf.map_fn(lambda n: tf.reduce_sum(tf.fill([n], 1.0)), x, tf.float32)}

    folder = models.save(tmp_path / "m", [tf.TensorSpec([None], tf.int32, name="x")], serve)
    values = np.full(100, 3, "int32")
    values[7] = 1 << 30
    # With oneDNN it waits 10 s for each piece of memory that it does not get.
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    run = scorer(resolve_model(folder), isolate="always", memory=1 << 30)
    (found,), reasons = run([pa.array(values)])
    assert [i for i, reason in enumerate(reasons) if reason.is_valid] == [7]
    assert "OOM when allocating" in reasons[7].as_py()
    assert found.drop_null().to_pylist() == [3.0] * 99


def test_a_row_that_unpacks_to_more_than_there_is(tmp_path: Path) -> None:
    def serve(x: Any) -> dict[str, Any]:
        return {"y": tf.strings.length(tf.io.decode_compressed(x, "ZLIB"))}

    folder = models.save(tmp_path / "m", [tf.TensorSpec([None], tf.string, name="x")], serve)
    small, bomb = (zlib.compress(bytes(size), 1) for size in (10, 400 << 20))
    run = scorer(resolve_model(folder), isolate="always", memory=200 << 20)
    (found,), reasons = run([pa.array([small, bomb])])
    assert found.to_pylist() == [10, None]
    assert reasons[1].as_py().startswith("the model ended the process: SIG")


def test_a_model_that_is_never_open(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    once = lambda: tf.while_loop(lambda i: i >= 0, lambda i: (i * 0,), (tf.zeros([]),))[0]  # noqa: E731
    hostile.at_opening(folder / "loop", folder / "words", once)
    monkeypatch.setattr(parent, "OPENING", 3.0)
    run = scorer(resolve_model(str(folder / "loop")), isolate="always", deadline=1.0)
    with pytest.raises(
        StorageError, match=r"loop: could not be opened .*: the model gave no answer within 3 s"
    ):
        run([X])
