"""One model version: fit it, measure it, write its folder."""

from __future__ import annotations

import datetime as dt
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from pyarrow import fs as pafs

import tfspark
from tfspark import storage
from tfspark.config import Settings
from tfspark.console import Steps
from tfspark.contracts import TensorSpec
from tfspark.dataset import Dataset
from tfspark.quality.evaluate import evaluate, predict
from tfspark.quiet import quiet
from tfspark.registry.export import SIGNATURE, check_export, export
from tfspark.registry.manifest import read_manifest, write_manifest
from tfspark.registry.tracking import Store
from tfspark.training.key import git_revision, recipe

_CURVES_EVERY = 5.0  # seconds
_CHECK_ROWS = 256


@dataclass(frozen=True)
class Trained:
    """A trained Keras model and what is known about it.

    Attributes:
        metrics: of `validation` and `test`.
        sample: some rows of the training split, to compare the exported model with.
        classes: of the label, in the order of the output; None for a number.
        epochs: `trained` and `best`.
    """

    keras: Any
    inputs: dict[str, TensorSpec]
    metrics: dict[str, dict[str, float]]
    sample: dict[str, Any]
    classes: list[Any] | None
    epochs: dict[str, int]


@dataclass(frozen=True)
class Maker:
    """Makes the version that a train key stands for."""

    settings: Settings
    steps: Steps
    dataset: Dataset
    store: Store
    key: str

    @property
    def checkpoints(self) -> str:
        return self._own("checkpoints")

    @property
    def tensorboard(self) -> str:
        return self._own("tensorboard")

    def folder(self, number: int) -> str:
        """Of a version."""
        return storage.join(self.settings.models, self.settings.name, str(number))

    def has_files(self, number: int) -> bool:
        return read_manifest(self.folder(number)) is not None

    def fit(self, run_id: str) -> Trained:
        """Build the model, train it, measure it; curves and metrics go to the run."""
        with self.steps.step("start TensorFlow"), quiet():
            import tensorflow as tf

            tf.config.list_logical_devices()
        from tfspark.features.build import build_features, input_columns
        from tfspark.models.build import build_model
        from tfspark.training.data import read_data
        from tfspark.training.fit import fit, make_deterministic

        settings, training = self.settings, self.settings.training
        contract = self.dataset.contract
        with self.steps.step("build model") as info:
            make_deterministic(training.seed)
            inputs = input_columns(settings.features, contract)
            splits, label = read_data(self.dataset, settings.model, training, inputs)
            features = build_features(settings.features, contract, self.dataset.statistics)
            model = build_model(settings.model, features, label.units)
            info |= {"inputs": len(inputs), "weights": model.count_params()}
        with self.steps.step("fit") as info:
            fitted = fit(
                model,
                splits,
                settings.model,
                training,
                checkpoints=self.checkpoints,
                tensorboard=self._curves_folder(),
                report=self._report(run_id),
            )
            self.store.log_curves(run_id, fitted.history)
            info |= {"epochs": fitted.epochs, "best": fitted.best_epoch}
            if fitted.resumed_at:
                info["resumed_after_epoch"] = fitted.resumed_at
        with self.steps.step("evaluate") as info:
            metrics = {
                name: evaluate(settings.model.task, split.label, predict(model, split.inputs))
                for name, split in splits.items()
                if name != "train"
            }
            info |= metrics["test"]
            named = {f"{name}_{key}": v for name, m in metrics.items() for key, v in m.items()}
            self.store.log_metrics(run_id, {**named, "best_epoch": fitted.best_epoch})
        epochs = {"trained": fitted.epochs, "best": fitted.best_epoch}
        sample = splits["train"].take(slice(0, _CHECK_ROWS))
        return Trained(model, inputs, metrics, sample, label.classes, epochs)

    def write(self, number: int, run_id: str, model: Trained) -> None:
        """Export, compare, describe and upload in a staging folder; then one rename."""
        name, output = self.settings.name, self.settings.model.output_name
        staging = storage.new_staging(self.settings.models, name)
        with self.steps.step("export", version=number) as info, _local(staging) as local:
            folder = storage.join(local, "model")
            export(model.keras, folder, model.inputs, output)
            expected = predict(model.keras, model.sample)
            info["apart"] = check_export(folder, model.sample, output, expected)
            write_manifest(folder, self._manifest(number, run_id, model))
            self.store.upload(run_id, folder)
        storage.make_dir(storage.join(self.settings.models, name))
        storage.move(storage.join(staging, "model"), self.folder(number))
        storage.delete(staging)

    def _manifest(self, number: int, run_id: str, model: Trained) -> dict[str, Any]:
        import keras
        import tensorflow as tf

        contract, dataset = self.dataset.contract, self.dataset
        output = TensorSpec("float32", (model.keras.output_shape[1],))
        return {
            "name": self.settings.name,
            "version": str(number),
            "signature": SIGNATURE,
            "inputs": {name: spec.to_json() for name, spec in model.inputs.items()},
            "outputs": {self.settings.model.output_name: output.to_json()},
            "classes": model.classes,
            "contract": contract.digest(),
            "keys": contract.keys,
            "dataset": {
                "name": dataset.name,
                "version": dataset.version,
                "digest": dataset.digest,
            },
            "recipe": recipe(self.settings),
            "metrics": model.metrics,
            "epochs": model.epochs,
            "versions": {
                "tensorflow": tf.__version__,
                "keras": keras.__version__,
                "tfspark": tfspark.__version__,
                "python": platform.python_version(),
            },
            "git": git_revision(),
            "train_key": self.key,
            "run_id": run_id,
            "created_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        }

    def _own(self, kind: str) -> str:
        return storage.join(self.settings.warehouse, kind, self.settings.name, self.key[:16])

    def _curves_folder(self) -> str | None:
        if "://" in self.tensorboard or find_spec("tensorboard") is None:
            self.steps.note("no TensorBoard log: it needs the package and a local warehouse")
            return None
        return self.tensorboard

    def _report(self, run_id: str) -> Callable[[dict[str, list[float]]], None]:
        """Log the curves while training runs, every few seconds."""
        last = time.monotonic()

        def report(history: dict[str, list[float]]) -> None:
            nonlocal last
            if time.monotonic() - last > _CURVES_EVERY:
                self.store.log_curves(run_id, history)
                last = time.monotonic()

        return report


@contextmanager
def _local(folder: str) -> Iterator[str]:
    """A folder of this machine for what TensorFlow and MLflow write, `folder` itself if it is."""
    fs, inner = storage.filesystem(folder)
    if isinstance(fs, pafs.LocalFileSystem):
        yield inner
        return
    with tempfile.TemporaryDirectory() as local:
        yield local
        pafs.copy_files(f"{local}/model", f"{inner}/model", pafs.LocalFileSystem(), fs)
