"""One batch through an opened model: rows that fail are found, the others are scored."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import saved_models as models
from tests.scoring.scorers import scorer
from tfspark.errors import SignatureError, StorageError
from tfspark.registry.manifest import digest_folder, write_manifest
from tfspark.registry.resolve import resolve_model
from tfspark.scoring.model.pack import repair, unpack
from tfspark.scoring.worker import opened as process
from tfspark.scoring.worker import predict
from tfspark.scoring.worker.batchsize import Tuner
from tfspark.scoring.worker.predict import Feed, telling
from tfspark.tensors import TensorSpec


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TFSPARK_MODEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(process, "_open", {})
    return tmp_path / "cache"


def score(folder: str, *columns: pa.Array, **change: Any) -> tuple[list[Any], list[Any]]:
    outputs, reasons = scorer(resolve_model(folder), **change)(columns)
    return [output.to_pylist() for output in outputs], reasons.to_pylist()


def test_as_the_bare_model(tmp_path: Path) -> None:
    folder = models.mlp(tmp_path / "m")
    rows = np.random.default_rng(1).normal(size=(100, 4)).astype("float32")
    bare = tf.saved_model.load(folder).signatures["serving_default"](features=tf.constant(rows))
    (scores,), reasons = score(folder, pa.array(rows.tolist(), pa.list_(pa.float32())))
    assert np.allclose(scores, bare["score"].numpy()[:, 0], atol=1e-6)
    assert reasons == [None] * 100


def test_columns_side_by_side_are_one_tensor(tmp_path: Path) -> None:
    model = resolve_model(models.mlp(tmp_path / "m"))
    rows = np.random.default_rng(1).normal(size=(5, 4)).astype("float32")
    feed = Feed("features", model.signature.inputs["features"], 4, stacked=True)
    stacked = scorer(model, feeds=(feed,))([pa.array(rows[:, i]) for i in range(4)])
    listed_ = scorer(model)([pa.array(rows.tolist(), pa.list_(pa.float32()))])
    assert stacked[0] == listed_[0]


def test_mixed_inputs_and_outputs(tmp_path: Path) -> None:
    # age, sex, siblings, paid: inputs come in the order of the function's own arguments.
    outputs, reasons = score(
        models.mixed(tmp_path / "m"),
        pa.array([20.0, None], pa.float32()),
        pa.array(["f", "ü"]),
        pa.array([1, 2], pa.int32()),
        pa.array([False, True]),
    )
    assert outputs[0] == ["f-1", "ü-2"]
    assert np.allclose(outputs[1], [1.2, 12.3])
    assert outputs[2] == [[20.0, 1.0], [30.0, 2.0]]
    assert reasons == [None, None]


def test_the_row_that_fails_is_found(tmp_path: Path) -> None:
    x = pa.array([4.0, 9.0, -1.0, 16.0, -2.0], pa.float32())
    (roots,), reasons = score(models.picky(tmp_path / "m"), x)
    assert roots == [2.0, 3.0, None, 4.0, None]
    assert [reason is not None for reason in reasons] == [False, False, True, False, True]
    assert "negative x" in reasons[2]
    assert "\n" not in reasons[2]


@pytest.mark.parametrize("poisoned", [0, 499, 999])
def test_one_in_a_thousand(tmp_path: Path, poisoned: int) -> None:
    values = np.full(1000, 4.0, "float32")
    values[poisoned] = -1.0
    (roots,), reasons = score(models.picky(tmp_path / "m"), pa.array(values), batch_bytes=1000)
    assert roots.count(2.0) == 999
    assert roots[poisoned] is None
    assert [i for i, reason in enumerate(reasons) if reason] == [poisoned]


def test_a_row_that_cannot_become_a_tensor(tmp_path: Path) -> None:
    outputs, reasons = score(
        models.mixed(tmp_path / "m"),
        pa.array([20.0, 1e300, 22.0]),
        pa.array(["f", "f", "f"]),
        pa.array([1, 2, None], pa.int64()),
        pa.array([False, False, False]),
    )
    assert outputs[0] == ["f-1", None, None]
    assert reasons == [
        None,
        "age: outside the range of float32",
        "siblings: null, and nothing stands for null in this input",
    ]


def test_lists_of_any_length(tmp_path: Path) -> None:
    ids = pa.array([[1], [1, 2], [5], None, []], pa.list_(pa.int64()))
    outputs, reasons = score(models.tokens(tmp_path / "m"), ids)
    assert outputs == [[[1], [1, 2], [5], None, []], [1, 3, 5, None, 0]]
    assert "null" in reasons[3]


def test_a_fixed_batch_is_filled_up(tmp_path: Path) -> None:
    rows = [[float(i), 1.0] for i in range(7)]
    (totals,), _ = score(models.fixed_batch(tmp_path / "m"), pa.array(rows))
    assert totals == [i + 1.0 for i in range(7)]


def test_text_that_is_no_text(tmp_path: Path) -> None:
    folder = models.save(
        tmp_path / "m", [tf.TensorSpec([None], tf.string, name="x")], lambda x: {"y": x}
    )
    (echo,), reasons = score(folder, pa.array([b"ok", b"\xff\xfe", b"fine"], pa.binary()))
    assert echo == ["ok", None, "fine"]
    assert "UTF" in reasons[1]


def test_an_empty_batch(tmp_path: Path) -> None:
    outputs, reasons = score(models.picky(tmp_path / "m"), pa.array([], pa.float32()))
    assert (outputs, reasons) == ([[]], [])


def test_a_model_that_always_fails_is_blamed_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def serve(x):  # type: ignore[no-untyped-def]
        tf.debugging.assert_less(x, x, "never true")
        return {"y": x}

    folder = models.save(tmp_path / "m", [tf.TensorSpec([None], tf.float32, name="x")], serve)
    monkeypatch.setattr(predict, "_HOPELESS", 20)
    with pytest.raises(StorageError, match=r"each of the first 20 rows.*never true"):
        score(folder, pa.array(np.ones(50, "float32")))


@pytest.mark.parametrize("function", [lambda x: x[:1], lambda x: tf.concat([x, x], 0)])
def test_a_model_that_does_not_give_a_row_a_row(
    tmp_path: Path, function: Callable[[Any], Any]
) -> None:
    signature = [tf.TensorSpec([None], tf.float32, name="x")]
    folder = models.save(tmp_path / "m", signature, lambda x: {"y": function(x)})
    with pytest.raises(SignatureError, match=r"output y has shape \(.*\) for [13] rows"):
        score(folder, pa.array(np.ones(3, "float32")))


def test_opened_once_however_often_it_is_used(tmp_path: Path, cache: Path) -> None:
    model = resolve_model(models.picky(tmp_path / "m"))
    for _ in range(3):
        scorer(model)([pa.array([4.0])])
    loads = (cache / f"{model.digest}.loads").read_text().splitlines()
    assert loads == [f"{os.getpid()} {model.digest}"]


def test_reasons_are_one_telling_line() -> None:
    class Wrapped(Exception):
        message = (
            "Graph execution error:\n\nDetected at node Assert defined at (most recent call last):"
            "\nNode: 'Assert'\n<stack traces unavailable>\n"
            "assertion failed: [negative x] [Condition x >= 0]\n"
            "\t [[{{node Assert}}]] [Op:__inference_restored_function_body_1]"
        )

    assert telling(Wrapped()) == "assertion failed: [negative x] [Condition x >= 0]"
    assert telling(ValueError()) == "ValueError"


def test_nan_is_an_answer(tmp_path: Path) -> None:
    folder = models.save(
        tmp_path / "m", [tf.TensorSpec([None], tf.float32, name="x")], lambda x: {"y": tf.sqrt(x)}
    )
    (roots,), reasons = score(folder, pa.array([-1.0, None], pa.float32()))
    assert all(math.isnan(root) for root in roots)
    assert reasons == [None, None]


def test_however_it_is_cut_the_rows_are_the_same(tmp_path: Path) -> None:
    model = resolve_model(models.picky(tmp_path / "m"))

    @settings(max_examples=50, deadline=None)
    @given(
        st.integers(1, 60),
        st.lists(st.integers(0, 59), max_size=5),
        st.none() | st.integers(1, 70),
        st.integers(1, 400),
        st.integers(1, 64 << 10),
    )
    def check(
        rows: int, poisoned: list[int], batch_rows: int | None, batch_bytes: int, row_bytes: int
    ) -> None:
        run = scorer(model, batch_rows=batch_rows, batch_bytes=batch_bytes)
        process.open_model(run.packed, run.signature, 1).tuner = Tuner(row_bytes)
        values = np.arange(rows, dtype="float32") ** 2
        values[[row for row in poisoned if row < rows]] = -1.0
        (roots,), reasons = run([pa.array(values)])
        bad = set(np.flatnonzero(values < 0).tolist())
        assert roots.to_pylist() == [None if i in bad else float(i) for i in range(rows)]
        assert [reason.is_valid for reason in reasons] == [i in bad for i in range(rows)]

    check()


def test_what_a_machine_has_kept_of_a_model_is_mended_once(tmp_path: Path, cache: Path) -> None:
    model = resolve_model(models.mlp(tmp_path / "m"))
    run = scorer(model)
    kept = unpack(run.packed)
    data = next((kept / "variables").glob("*.data*"))
    for damage in (data, kept / "saved_model.pb"):
        damage.write_bytes(bytes(damage.stat().st_size))
        process._open.clear()
        assert process.open_model(run.packed, run.signature, 1).failures == 0
        assert digest_folder(str(kept)) == model.digest
    assert not repair(run.packed)


def test_a_model_that_does_not_open_is_tried_twice_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = scorer(resolve_model(models.mlp(tmp_path / "m")))
    tried = []

    def fails(folder: Path, *_: Any) -> None:
        tried.append(folder)
        (folder / "saved_model.pb").write_bytes(b"changed again")
        raise OSError("broken")

    monkeypatch.setattr(process, "_opened", fails)
    with pytest.raises(OSError, match="broken"):
        process.open_model(run.packed, run.signature, 1)
    assert len(tried) == 2


def test_a_model_has_one_size_of_calls(tmp_path: Path) -> None:
    run = scorer(resolve_model(models.mlp(tmp_path / "m")))
    rows = pa.array(np.ones((5000, 4), "float32").tolist(), pa.list_(pa.float32()))
    tuners = set()
    for _ in range(40):
        run([rows])
        tuners.add(process.open_model(run.packed, run.signature, 1).tuner)
    (tuner,) = tuners
    assert tuner is not None
    assert tuner.settled
    assert 8 <= tuner.rows <= 8192
    fixed = scorer(resolve_model(models.fixed_batch(tmp_path / "fixed")))
    fixed([pa.array([[1.0, 2.0]] * 5)])
    assert process.open_model(fixed.packed, fixed.signature, 1).tuner is None


@pytest.mark.parametrize(
    ("refused", "bad"), [(False, [None, None, None]), (True, [None, "x: NaN, and", None])]
)
def test_nan_by_rule(tmp_path: Path, refused: bool, bad: list[str | None]) -> None:
    spec = [tf.TensorSpec([None], tf.float32, name="x")]
    folder = models.save(tmp_path / "m", spec, lambda x: {"y": x})
    rule = TensorSpec("float32", (), math.nan, refuse_nan=refused)
    write_manifest(folder, {"inputs": {"x": rule.to_json()}})
    _, reasons = score(folder, pa.array([1.0, math.nan, None], pa.float32()))
    assert len(reasons) == len(bad)
    for reason, expected in zip(reasons, bad, strict=True):
        assert reason is None if expected is None else expected in reason
