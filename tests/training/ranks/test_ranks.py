"""Several ranks, real processes of a Spark barrier stage, train what one rank trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.run_ranks import history, spec_of, train_on
from tests.training.small_table import rows_of, write_dataset
from tfspark.config.recipe import Model
from tfspark.errors import TrainingError

pytestmark = pytest.mark.usefixtures("process")

# 320 rows to train on: 10 steps of 32 (a global batch of 64 has 5).
ROWS = 400
STATISTICS = '''
import keras

def with_statistics(features, output):
    x = keras.layers.BatchNormalization()(features.encoded)
    x = keras.layers.Dropout(0.3)(keras.layers.Dense(8, activation="relu")(x))
    return keras.Model(features.inputs, output.layer()(x))

class Loose(keras.Model):
    """Updates its weights behind the optimizer's back."""

    def __init__(self, features, output):
        super().__init__()
        self.encode = keras.Model(features.inputs, features.encoded)
        self.last = output.layer()

    def call(self, inputs):
        return self.last(self.encode(inputs))

    def train_step(self, data):
        x, y = data[:2]
        loss = self.compute_loss(x, y, self(x))
        for weight in self.trainable_variables:
            weight.assign_add(0.01 * loss * keras.ops.ones_like(weight))
        return {"loss": loss}

def digests():
    """Leave every rank's weights as a file."""
    import hashlib, os, pathlib

    class Digest(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            digest = hashlib.sha256()
            for weight in self.model.weights:
                digest.update(weight.numpy().tobytes())
            folder = pathlib.Path(__file__).parent / "digests"
            folder.mkdir(exist_ok=True)
            (folder / os.environ["HOROVOD_RANK"]).write_text(digest.hexdigest())

    return Digest()
'''


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    return write_dataset(folder, rows_of(ROWS), shares=(0.8, 0.1))


@pytest.fixture(scope="module")
def module(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module of the user's, shipped to ranks as `--py-files` does."""
    file = tmp_path_factory.mktemp("mine") / "own_ranks.py"
    file.write_text(STATISTICS)
    spark.sparkContext.addPyFile(str(file))
    return file


def test_ranks_are_equal_to_the_bit(spark: Any, large: Path, tmp_path: Path, module: Path) -> None:
    """With dropout, moving averages, a last batch that does not divide, and one of three rows."""
    settings = {"batch_size": 57, "epochs": 2, "callbacks": ["own_ranks:digests"]}
    model = Model(builder="own_ranks:with_statistics")
    spec = spec_of(large, tmp_path / "run", model, optimizer="adam", **settings)
    train_on(2, spec, spark)
    said = {path.name: path.read_text() for path in Path(_places(spark)).rglob("digests/*")}
    assert set(said) == {"0", "1"}
    assert len(set(said.values())) == 1
    assert all(np.isfinite(values).all() for values in history(spec).values())


def test_weights_that_drift_apart_end_the_training(
    spark: Any, large: Path, tmp_path: Path, module: Path
) -> None:
    spec = spec_of(large, tmp_path / "run", Model(builder="own_ranks:Loose"))
    with pytest.raises(TrainingError, match="hold other weights than rank 0 after step 1 of"):
        train_on(2, spec, spark)


def test_a_loss_that_is_no_number_is_named_by_the_step_of_any_rank(
    spark: Any, tmp_path: Path
) -> None:
    dataset = write_dataset(tmp_path, rows_of(ROWS))
    model = Model(task="regression", params={"units": [4]})
    said = []
    for ranks in (1, 2):
        spec = spec_of(dataset, tmp_path / f"run{ranks}", model, learning_rate=1e38)
        with pytest.raises(TrainingError, match=r"in epoch 1, step \d+;") as caught:
            train_on(ranks, spec, spark)
        assert caught.value.exit_code == 5
        said.append(str(caught.value).split("step ")[1].split(";")[0])
    assert said[0] == said[1]


def _places(spark: Any) -> str:
    from pyspark import SparkFiles

    return SparkFiles.getRootDirectory()
