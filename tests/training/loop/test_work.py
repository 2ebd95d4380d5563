"""What a rank does, alone: the three ways to train, resuming, callbacks, what ends a training."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.sizes import size
from tests.training.run_ranks import apart, history, last_weights, spec_of, train_on
from tests.training.small_table import COLUMNS, rows_of, write_dataset
from tfspark.config.recipe import Model, ReduceRate
from tfspark.errors import ConfigError, IntegrityError, TrainingError
from tfspark.training.loop import checkpoint, encoding
from tfspark.training.loop.work import Spec
from tfspark.training.readers import encoded
from tfspark.training.readers.blocks import Blocks
from tfspark.training.readers.encoded import EncodedSource

DROPOUT = Model(params={"units": [8], "dropout": 0.5})
WAYS = ("fit", "train_on_batch", "custom")
WHEN = ((1, 1, (1, 0)), (2, 3, (2, 0)))


@pytest.fixture
def run(tmp_path: Path, dataset: Path) -> Any:
    """Train anew, or go on where `folder` holds a checkpoint; gives the spec."""
    count = itertools.count()

    def train(
        model: Model | None = None, folder: Path | None = None, on: Any = None, **settings: Any
    ) -> Spec:
        to = folder or tmp_path / f"run{next(count)}"
        spec = spec_of(settings.pop("dataset", dataset), to, model, **settings)
        train_on(1, spec, on=on or (lambda report: None))
        return spec

    return train


def test_the_same_seed_gives_the_same_bits(run: Any) -> None:
    first, second = run(DROPOUT), run(DROPOUT)
    assert apart(last_weights(first), last_weights(second)) == 0
    assert history(first) == history(second)
    assert apart(last_weights(first), last_weights(run(DROPOUT, seed=1))) > 0


def test_features_are_encoded_once_and_nothing_else_is_different(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bits as by the whole model; also where the disk has no room for what is encoded."""
    blocks: list[Any] = []
    real = EncodedSource._encoded
    monkeypatch.setattr(EncodedSource, "_encoded", lambda *a: blocks.append(a[2]) or real(*a))
    monkeypatch.setattr(Blocks, "read", lambda self, numbers: list(map(self._read, numbers)))
    once = run(DROPOUT)
    assert 0 < len(blocks) == len(set(blocks))
    blocks.clear()
    monkeypatch.setattr(encoded, "_OF_DISK", 0.0)
    often = run(DROPOUT)
    assert len(blocks) > len(set(blocks))
    monkeypatch.setattr(encoding, "encoding_of", lambda *_: None)
    whole = run(DROPOUT)
    for other in (often, whole):
        assert apart(last_weights(once), last_weights(other)) == 0
        assert history(once) == history(other)


@pytest.mark.parametrize("way", ["train_on_batch", "custom"])
def test_every_way_trains_the_same_model(run: Any, way: str) -> None:
    fit, other = run(DROPOUT), run(DROPOUT, way=way)
    assert apart(last_weights(fit), last_weights(other)) < 1e-6
    for name, values in history(fit).items():
        np.testing.assert_allclose(history(other)[name], values, rtol=1e-5, err_msg=name)
    assert {"loss", "accuracy", "auc", "val_loss", "val_auc"} <= set(history(fit))


class Killed(Exception):
    pass


def killed_after(epochs: int) -> Any:
    def on(report: dict[str, Any]) -> None:
        if report["kind"] == "epoch" and len(report["history"]["loss"]) == epochs:
            raise Killed

    return on


@pytest.mark.parametrize(
    ("way", "every", "at", "resumed"),
    size(
        [("fit", 1, 1, (1, 0)), ("train_on_batch", 1, 1, (1, 0)), ("custom", 2, 3, (2, 0))],
        soak=[(way, *when) for when in WHEN for way in WAYS],
    ),
)
def test_a_killed_training_ends_as_a_clean_one(
    run: Any, tmp_path: Path, way: str, every: int, at: int, resumed: tuple[int, int]
) -> None:
    clean = run(DROPOUT, way=way, epochs=4)
    folder = tmp_path / "killed"
    settings = {"way": way, "epochs": 4, "checkpoint_epochs": every, "folder": folder}
    with pytest.raises(Killed):
        run(DROPOUT, on=killed_after(at), **settings)
    heard: list[Any] = []
    again = run(DROPOUT, on=heard.append, **settings)
    assert [(r["epoch"], r["step"]) for r in heard if r["kind"] == "resumed"] == [resumed]
    assert apart(last_weights(clean), last_weights(again)) == 0
    assert history(clean) == history(again)


@pytest.mark.parametrize("way", size(("fit", "custom"), soak=WAYS))
def test_a_training_goes_on_within_an_epoch(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    clean = run(DROPOUT, way=way, optimizer="adam", learning_rate=0.01)
    save, folder = checkpoint.save, tmp_path / "killed"

    def save_and_die(to: str, arrays: Any, progress: Any, keep: int) -> None:
        save(to, arrays, progress, keep)
        if (progress["epoch"], progress["step"]) == (1, 4):
            raise Killed

    settings = {"way": way, "checkpoint_steps": 2, "folder": folder}
    settings |= {"optimizer": "adam", "learning_rate": 0.01}
    monkeypatch.setattr(checkpoint, "save", save_and_die)
    with pytest.raises(Killed):
        run(DROPOUT, **settings)
    monkeypatch.setattr(checkpoint, "save", save)
    heard: list[Any] = []
    again = run(DROPOUT, on=heard.append, **settings)
    assert [(r["epoch"], r["step"]) for r in heard if r["kind"] == "resumed"] == [(1, 4)]
    assert apart(last_weights(clean), last_weights(again)) == 0
    for name, values in history(clean).items():
        np.testing.assert_allclose(history(again)[name], values, rtol=1e-6, err_msg=name)


def test_a_finished_training_is_not_trained_again(run: Any, tmp_path: Path) -> None:
    first = run(folder=tmp_path / "once")
    heard: list[Any] = []
    second = run(folder=tmp_path / "once", on=heard.append)
    assert [r["kind"] for r in heard] == ["resumed"]
    assert apart(last_weights(first), last_weights(second)) == 0


def test_the_driver_can_end_it(run: Any) -> None:
    spec = run(epochs=50, on=lambda r: {"stop": True} if r["kind"] == "epoch" else None)
    assert len(history(spec)["loss"]) == 1
    assert last_weights(spec)


@pytest.mark.parametrize("way", ["fit", "train_on_batch", "custom"])
def test_a_loss_that_is_no_number_names_its_step(run: Any, tmp_path: Path, way: str) -> None:
    with pytest.raises(TrainingError, match=r"in epoch 1, step 2; lower"):
        run(Model(task="regression", params={"units": [4]}), way=way, learning_rate=1e38)
    assert checkpoint.load(str(tmp_path / "run0")) is None


def test_labels_of_any_size_are_learnt(run: Any, tmp_path: Path) -> None:
    rows = rows_of(150)
    columns = [dict(column) for column in COLUMNS]
    columns[1] = {"name": "y", "physicalType": "bigint", "role": "label"}
    model, curves = Model(task="regression", params={"units": [4]}), []
    for scale, name in ((1, "small"), (100_000, "large")):
        scaled = {**rows, "y": [10 * scale + scale * y for y in rows["y"]]}
        dataset = write_dataset(tmp_path / name, scaled, columns)
        curves.append(history(run(model, dataset=dataset, optimizer="sgd")))
    small, large = curves
    np.testing.assert_allclose(large["val_loss"], small["val_loss"], rtol=1e-3)
    np.testing.assert_allclose(large["val_rmse"], np.multiply(small["val_rmse"], 1e5), rtol=1e-3)
    assert large["val_rmse"][-1] < 50_000
    near = {**rows, "y": [1_700_000_000_000 + i for i in range(150)]}
    dataset = write_dataset(tmp_path / "near", near, columns)
    with pytest.raises(TrainingError, match=r"values up to 1\.7e\+12 .* in steps of 1\.31e\+05"):
        run(model, dataset=dataset)


def test_an_epoch_that_misses_rows_is_refused(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tfspark.training.loop import work
    from tfspark.training.readers import Reader

    reader_of = work.Parts.reader

    def one_less(self: Any, split: str, *more: Any, **named: Any) -> Reader:
        reader = reader_of(self, split, *more, **named)
        if split == "train":
            reader.rows += 1
        return reader

    monkeypatch.setattr(work.Parts, "reader", one_less)
    with pytest.raises(IntegrityError, match="epoch 1 trained on 90 rows, the dataset has 91"):
        run()


def test_row_weights_decay_and_smoothing_count(run: Any, tmp_path: Path) -> None:
    plain = last_weights(run())
    assert apart(plain, last_weights(run(weight_decay=0.1))) > 0
    assert apart(plain, last_weights(run(label_smoothing=0.2))) > 0
    assert apart(plain, last_weights(run(class_weights={"0": 1, "1": 5}))) > 0
    assert apart(plain, last_weights(run(resample="balanced"))) > 0
    with pytest.raises(ConfigError, match="label_smoothing: is for classes"):
        run(Model(task="regression"), label_smoothing=0.1)
    with pytest.raises(ConfigError, match="momentum: adam has none"):
        run(optimizer="adam", momentum=0.9)


def test_rates_and_local_steps(run: Any) -> None:
    plain = last_weights(run())
    assert apart(plain, last_weights(run(warmup_epochs=2))) > 0
    assert apart(plain, last_weights(run(local_steps=4))) > 0
    reduced = run(epochs=6, reduce_learning_rate=ReduceRate(patience=1, factor=0.01))
    assert len(history(reduced)["loss"]) == 6


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(run: Any, precision: str) -> None:
    spec = run(precision=precision, epochs=6)
    assert {array.dtype.name for array in last_weights(spec)} == {"float32"}
    assert history(spec)["loss"][-1] < history(spec)["loss"][0]


OWN = '''
import keras, tensorflow as tf

class Mine(keras.Model):
    """A subclass with a step of its own."""

    def __init__(self, features, output):
        super().__init__()
        self.encode = keras.Model(features.inputs, features.encoded)
        self.last = output.layer()

    def call(self, inputs):
        return self.last(self.encode(inputs))

class Stepping(Mine):
    def train_step(self, data):
        x, y = data[:2]
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x))
        weights = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return {"loss": loss}

def sequential(features, output):
    return keras.Sequential([keras.layers.Dense(4, activation="relu"), output.layer()])

class Losses(keras.callbacks.Callback):
    seen = []
    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(dict(logs))

def losses():
    return Losses()

def stop_at_two():
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1
    return [Losses(), Stop()]

def within_an_epoch():
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 2
    return Stop()

def nothing():
    return 5

class NoNumber(Mine):
    """Its validation loss is none, as that of rows with a missing value."""

    def test_step(self, data):
        logs = super().test_step(data)
        self._loss_tracker.total.assign(float("nan"))
        return logs

class Silent(Mine):
    """Its step tells no loss, and goes wrong at the third."""

    def __init__(self, *given):
        super().__init__(*given)
        self.calls = tf.Variable(0.0, trainable=False)

    def train_step(self, data):
        x, y = data[:2]
        self.calls.assign_add(1.0)
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x)) * tf.where(self.calls < 3, 1.0, float("nan"))
        weights = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return {"rows": tf.shape(y)[0]}

class Listed(Mine):
    """Lists metrics of its own, and updates them in training only."""

    def __init__(self, features, output, name):
        super().__init__(features, output)
        self.mean = keras.metrics.Mean(name=name)

    @property
    def metrics(self):
        return [self.mean]

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x))
        weights = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        self.mean.update_state(loss)
        return {self.mean.name: self.mean.result()}

class Untold(Listed):
    def test_step(self, data):
        self.mean.update_state(self.compute_loss(data[0], data[1], self(data[0])))
        return {self.mean.name: self.mean.result()}
'''


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_models.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("builder", "way"),
    size(
        [("Mine", "custom"), ("Stepping", "fit"), ("sequential", "train_on_batch")],
        soak=[(name, way) for name in ("Mine", "Stepping", "sequential") for way in WAYS],
    ),
)
def test_any_keras_model(run: Any, builder: str, way: str) -> None:
    spec = run(Model(builder=f"own_models:{builder}"), way=way, epochs=5)
    losses = history(spec)["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("way", ["fit", "custom"])
def test_callbacks_by_name_see_validation_and_can_stop(run: Any, way: str) -> None:
    import own_models  # type: ignore[import-not-found]

    own_models.Losses.seen.clear()
    spec = run(way=way, callbacks=["own_models:stop_at_two"], epochs=9)
    seen = own_models.Losses.seen
    assert [entry["val_loss"] for entry in seen] == history(spec)["val_loss"]
    assert len(seen) == 2
    with pytest.raises(ConfigError, match="own_models:nothing: gave int, not a keras"):
        run(callbacks=["own_models:nothing"])
    with pytest.raises(ConfigError, match="own_models:missing: AttributeError"):
        run(callbacks=["own_models:missing"])


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("way", ["fit", "custom"])
def test_a_callback_that_stops_within_an_epoch_ends_it(run: Any, way: str) -> None:
    heard: list[Any] = []
    spec = run(way=way, callbacks=["own_models:within_an_epoch"], on=heard.append)
    assert len(history(spec)["loss"]) == 1
    assert last_weights(spec)
    [note] = [report["text"] for report in heard if report["kind"] == "note"]
    assert "within epoch 1, at step 3: it ends with this epoch" in note


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("builder", "said"),
    [
        ("NoNumber", r"validation loss \(val_loss\) is no number .* after epoch 1;"),
        ("Silent", "in epoch 1, step 3; lower"),
    ],
)
def test_what_is_no_number_ends_the_training(run: Any, builder: str, said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        run(Model(builder=f"own_models:{builder}"))


@pytest.mark.usefixtures("own")
def test_the_validation_loss_is_that_of_the_validation_rows(run: Any) -> None:
    """Whatever metrics a model lists, and whether it updates them."""
    plain = history(run(Model(builder="own_models:Stepping"), epochs=1))["val_loss"]
    for name in ("loss", "total_loss"):
        model = Model(builder="own_models:Listed", params={"name": name})
        found = history(run(model, epochs=1))
        np.testing.assert_allclose(found["val_loss"], plain, rtol=1e-5)
        assert name in found
    model = Model(builder="own_models:Untold", params={"name": "loss"})
    assert history(run(model, epochs=1))["val_loss"][0] > 0
    with pytest.raises(ConfigError, match=r"tells no `loss` \(it tells total_loss\)"):
        run(Model(builder="own_models:Untold", params={"name": "total_loss"}))


def test_xla_where_it_works(run: Any, tmp_path: Path) -> None:
    columns = [column for column in COLUMNS if column["name"] != "word"]
    rows = {name: column for name, column in rows_of(150).items() if name != "word"}
    dataset = write_dataset(tmp_path / "numbers", rows, columns)
    features = {"kind": "numeric", "column": "x"}

    def train(xla: bool) -> list[Any]:
        from tests.training.run_ranks import FEATURES

        spec = spec_of(dataset, tmp_path / f"xla{xla}", xla=xla)
        kept = FEATURES[:]
        assert kept[0] == features
        spec = Spec.from_json({**spec.to_json(), "features": [features]})
        train_on(1, spec)
        return last_weights(spec)

    assert apart(train(True), train(False)) < 1e-6
    with pytest.raises(ConfigError, match="XLA cannot compile this model"):
        run(xla=True)
