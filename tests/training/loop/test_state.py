"""Position, early stopping, learning rates and checkpoints, without a dataset."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfspark.config.recipe import ReduceRate, Training
from tfspark.training.loop import checkpoint
from tfspark.training.loop.state import State, keep_best, rate_at
from tfspark.training.ranks.world import World


def a_model() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    x = keras.Input((2,), name="x")
    hidden = keras.layers.Dropout(0.5)(keras.layers.Dense(3)(x))
    model = keras.Model({"x": x}, keras.layers.Dense(1)(hidden))
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def weights(model: Any) -> list[Any]:
    return [weight.value.numpy() for weight in model.weights]


def change(model: Any, by: float) -> None:
    for variable in [*model.weights, *model.optimizer.variables]:
        variable.assign(variable.value.numpy() + np.asarray(by).astype(variable.dtype))


def equal(first: list[Any], second: list[Any]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_early_stopping_keeps_the_best_epoch() -> None:
    model, state = a_model(), State()
    training = Training(epochs=50, patience=2)
    kept = None
    for loss in (0.9, 0.5, 0.6, 0.7):
        assert not state.done
        change(model, 0.1)
        state.after_epoch(model, {"loss": 1.0, "val_loss": loss}, training)
        kept = weights(model) if loss == 0.5 else kept
    assert state.done
    assert (state.epoch, state.best_epoch, state.best) == (4, 1, 0.5)
    assert equal(state.best_weights, kept or [])
    assert state.history == {"loss": [1.0] * 4, "val_loss": [0.9, 0.5, 0.6, 0.7]}


def test_without_validation_the_last_epoch_is_kept() -> None:
    model, state = a_model(), State()
    for _ in range(3):
        change(model, 0.1)
        state.after_epoch(model, {"loss": 1.0}, Training(epochs=3, patience=1))
    assert (state.done, state.best_epoch) == (True, 2)
    assert equal(state.best_weights, weights(model))


def test_a_checkpoint_holds_all_that_the_next_step_depends_on(tmp_path: Path) -> None:
    model, state = a_model(), State()
    training = Training(epochs=9)
    state.after_epoch(model, {"loss": 0.5, "val_loss": 0.25}, training)
    change(model, 0.5)
    state.step, state.rows, state.partial = 7, 112, [3.5, [1.0, 2.0]]
    state.save(str(tmp_path), model, keep=2)
    other, again = a_model(), State()
    again.resume(str(tmp_path), other, World())
    assert equal(weights(model), weights(other))
    pairs = zip(model.optimizer.variables, other.optimizer.variables, strict=True)
    assert all(np.array_equal(a.numpy(), b.numpy()) for a, b in pairs)
    assert again.resumed_at == (1, 7)
    saved = ("epoch", "step", "rows", "partial", "best", "best_epoch", "history", "done")
    assert all(getattr(state, key) == getattr(again, key) for key in saved)
    assert equal(state.best_weights, again.best_weights)


def test_a_torn_checkpoint_gives_way_to_the_one_before(tmp_path: Path) -> None:
    model, state = a_model(), State()
    for step in (1, 2):
        state.step = step
        state.save(str(tmp_path), model, keep=2)
    newest = max(tmp_path.iterdir())
    whole = newest.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
    for torn in (whole[:-100], whole[:50], b"", flipped):
        newest.write_bytes(torn)
        found = checkpoint.load(str(tmp_path))
        assert found is not None
        assert found[1]["step"] == 1
    newest.write_bytes(whole)
    found = checkpoint.load(str(tmp_path))
    assert found is not None
    assert found[1]["step"] == 2


def test_so_many_checkpoints_are_kept_and_no_leftovers(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-000000-000000001.npz.abc.partial").write_bytes(b"killed")
    for epoch in range(4):
        checkpoint.save(str(tmp_path), {}, {"epoch": epoch, "step": 0}, keep=3)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"checkpoint-{epoch:06}-000000000.npz" for epoch in (1, 2, 3)]


def test_a_checkpoint_of_another_model_is_not_used(tmp_path: Path) -> None:
    checkpoint.save(str(tmp_path), {"now": [np.zeros(3)]}, {"epoch": 5, "step": 0})
    state = State()
    state.resume(str(tmp_path), a_model(), World())
    assert (state.epoch, state.resumed_at) == (0, (0, 0))
    assert not list(tmp_path.glob("*")), "it would be newer than what is written next"


def test_a_finished_checkpoint_without_a_best_epoch_is_not_used(tmp_path: Path) -> None:
    model, state = a_model(), State(epoch=3, done=True)
    state.save(str(tmp_path), model, keep=2)
    assert keep_best(str(tmp_path), model) is None
    again = State()
    again.resume(str(tmp_path), model, World())
    assert (again.done, again.epoch) == (False, 0)


def test_only_a_finished_training_has_a_best_model(tmp_path: Path) -> None:
    model, state = a_model(), State()
    assert keep_best(str(tmp_path), model) is None
    state.after_epoch(model, {"val_loss": 0.5}, Training(epochs=2))
    state.save(str(tmp_path), model, keep=2)
    assert keep_best(str(tmp_path), model) is None
    best = weights(model)
    change(model, 1.0)
    state.after_epoch(model, {"val_loss": 0.7}, Training(epochs=2))
    state.save(str(tmp_path), model, keep=2)
    kept = keep_best(str(tmp_path), model)
    assert kept is not None
    assert (kept.epoch, kept.best_epoch) == (2, 0)
    assert equal(weights(model), best)


def test_the_rate_rises_then_falls_at_plateaus() -> None:
    reduce = ReduceRate(patience=2, factor=0.5, least=0.2)
    training = Training(warmup_epochs=2, reduce_learning_rate=reduce)

    def rate(epoch: int, step: int, losses: list[float]) -> float:
        return rate_at(1.0, training, 10, epoch, step, losses)

    assert [rate(0, step, []) for step in (0, 4, 9)] == [0.05, 0.25, 0.5]
    assert rate(1, 8, [1]) == 0.95
    assert rate(1, 9, [1]) == rate(2, 0, [3, 2]) == 1.0
    assert rate(4, 0, [3, 2, 2]) == 1.0
    assert rate(4, 0, [3, 2, 2, 2]) == 0.5
    assert rate(9, 0, [3, 2, 2, 2, 2, 2]) == 0.25
    assert rate(9, 0, [3, 2, 2, 2, 2, 2, 2, 2]) == 0.2
    assert rate(9, 0, [3, 2, 2, 2, 1, 1]) == 0.5


@given(
    st.floats(1e-6, 10),
    st.floats(0, 3),
    st.integers(1, 20),
    st.lists(st.floats(0, 5), max_size=12),
)
def test_a_rate_is_never_above_its_peak(
    peak: float, warmup: float, steps: int, losses: list[float]
) -> None:
    training = Training(warmup_epochs=warmup, reduce_learning_rate=ReduceRate(patience=1))
    for step in range(steps):
        rate = rate_at(peak, training, steps, len(losses), step, losses)
        assert 0 < rate <= peak
        assert math.isfinite(rate)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"scale_learning_rate": "linear"}, "is for batch: rank"),
        ({"strategy": "mirrored", "way": "custom"}, "trains with way: fit"),
        ({"class_weights": "balanced", "resample": "balanced"}, "give one"),
        ({"callbacks": ["nothing"]}, "is not module:function"),
    ],
)
def test_settings_that_contradict_each_other(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Training(**given)


def test_the_batch_and_rate_of_ranks() -> None:
    assert Training(batch_size=64).global_batch(4) == 64
    by_rank = Training(batch_size=64, batch="rank", scale_learning_rate="linear")
    assert by_rank.global_batch(4) == 256
    assert by_rank.peak_rate(4) == pytest.approx(4e-3)
    root = Training(batch="rank", scale_learning_rate="sqrt")
    assert root.peak_rate(4) == pytest.approx(2e-3)
