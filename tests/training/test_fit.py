"""The loop: order of rows, early stopping, checkpoints, determinism."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfspark.errors import ConfigError, TrainingError
from tfspark.recipe import Model, Training
from tfspark.training import checkpoint
from tfspark.training.data import Split
from tfspark.training.fit import Fitted, fit, make_deterministic
from tfspark.training.launch import launch
from tfspark.training.reader import MemoryReader

LEARN = {"epochs": 6, "batch_size": 8, "learning_rate": 0.01, "patience": 6}


def split(rows: int, seed: int = 0) -> Split:
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 2)).astype("float32")
    return Split({"x": x}, (x[:, :1] > 0).astype("float32"))


def a_model() -> Any:
    import keras

    x = keras.Input((2,), name="x")
    hidden = keras.layers.Dropout(0.5)(keras.layers.Dense(8, activation="relu")(x))
    return keras.Model({"x": x}, keras.layers.Dense(1, activation="sigmoid")(hidden))


def run(
    splits: dict[str, Split] | None = None, folder: Path | None = None, **changed: Any
) -> tuple[list[Any], Fitted]:
    """Weights after a training, and what it says."""
    report = changed.pop("report", None)
    make_deterministic(0)
    model = a_model()
    splits = splits or {"train": split(50), "validation": split(30, 1)}
    fitted = fit(
        model,
        splits,
        Model(),
        Training(**{**LEARN, **changed}),
        str(folder) if folder else None,
        report=report,
    )
    return [w.value.numpy() for w in model.weights], fitted


def equal(first: list[Any], second: list[Any]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_same_seed_gives_the_same_bits() -> None:
    assert equal(run()[0], run()[0])


def test_every_epoch_is_another_permutation_of_all_rows() -> None:
    whole = Split({"x": np.arange(10.0)}, np.arange(10, dtype="float32").reshape(-1, 1))

    def epochs(first: int, count: int, seed: int = 0) -> list[list[float]]:
        reader = MemoryReader(whole, 4, seed)
        assert reader.steps == 3
        taken = list(reader.epochs(first).take(reader.steps * count))
        sizes = [len(label) for _, label in taken]
        assert sizes == [4, 4, 2] * count
        rows = [x for inputs, _ in taken for x in inputs["x"].numpy().tolist()]
        return [rows[i * 10 : i * 10 + 10] for i in range(count)]

    first = epochs(0, 3)
    assert all(sorted(epoch) == sorted(range(10)) for epoch in first)
    assert first[0] != first[1] != first[2]
    assert epochs(1, 2) == first[1:]
    assert epochs(0, 3, seed=1) != first


class Killed(Exception):
    pass


def killed_after(epochs: int) -> Any:
    def report(history: dict[str, list[float]]) -> None:
        if len(history["loss"]) == epochs:
            raise Killed

    return report


@pytest.mark.parametrize(("every", "at", "from_epoch"), [(1, 1, 1), (1, 4, 4), (3, 4, 3)])
def test_a_killed_training_goes_on_and_ends_as_a_clean_one(
    tmp_path: Path, every: int, at: int, from_epoch: int
) -> None:
    clean, told = run()
    with pytest.raises(Killed):
        run(folder=tmp_path, checkpoint_epochs=every, report=killed_after(at))
    again, fitted = run(folder=tmp_path, checkpoint_epochs=every)
    assert fitted.resumed_at == from_epoch
    assert equal(clean, again)
    assert fitted.history == told.history
    assert (fitted.epochs, fitted.best_epoch) == (told.epochs, told.best_epoch)


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    first, told = run(folder=tmp_path)
    second, fitted = run(folder=tmp_path)
    assert equal(first, second)
    assert fitted.resumed_at == fitted.epochs == told.epochs


def test_a_torn_or_foreign_checkpoint_is_not_used(tmp_path: Path) -> None:
    clean, _ = run(folder=tmp_path)
    file = tmp_path / checkpoint.FILE
    file.write_bytes(file.read_bytes()[:-100])
    assert checkpoint.load(str(tmp_path)) is None
    again, fitted = run(folder=tmp_path)
    assert fitted.resumed_at == 0
    assert equal(clean, again)
    checkpoint.save(str(tmp_path), {"now": [np.zeros(3)]}, {"epoch": 5})
    assert run(folder=tmp_path)[1].resumed_at == 0


def test_early_stopping_keeps_the_best_epoch() -> None:
    hard = {"train": split(50), "validation": Split(split(30).inputs, 1 - split(30).label)}
    weights, fitted = run(hard, epochs=50, patience=3)
    losses = fitted.history["val_loss"]
    assert fitted.epochs == fitted.best_epoch + 3 < 50
    assert losses[fitted.best_epoch - 1] == min(losses)
    stopped, _ = run(hard, epochs=fitted.best_epoch, patience=3)
    assert equal(weights, stopped)


def test_without_validation_the_last_epoch_is_kept() -> None:
    empty = Split({"x": np.empty((0, 2), "float32")}, np.empty((0, 1), "float32"))
    _, fitted = run({"train": split(50), "validation": empty})
    assert fitted.epochs == fitted.best_epoch == 6
    assert "val_loss" not in fitted.history


def test_a_loss_that_is_no_number_names_its_step() -> None:
    bad = split(50)
    bad.label[17] = math.nan
    with pytest.raises(TrainingError, match=r"became nan in epoch 1, step \d+; lower"):
        run({"train": bad, "validation": split(30)})


def test_row_weights_count() -> None:
    base = split(50)
    heavy = Split(base.inputs, base.label, np.linspace(0, 2, 50).astype("float32"))
    assert not equal(run()[0], run({"train": heavy, "validation": split(30, 1)})[0])


def test_weight_decay_and_label_smoothing() -> None:
    plain = run()[0]
    assert not equal(plain, run(weight_decay=0.1)[0])
    assert not equal(plain, run(label_smoothing=0.2)[0])
    model, splits = a_model(), {"train": split(50), "validation": split(30)}
    with pytest.raises(ConfigError, match="label_smoothing: is for classes"):
        fit(model, splits, Model(task="regression"), Training(label_smoothing=0.1))


def test_one_process_for_now() -> None:
    assert launch(lambda: 7) == 7
    with pytest.raises(ConfigError, match="2 ranks: this version trains in one process"):
        launch(lambda: 7, ranks=2)
