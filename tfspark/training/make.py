"""One model version: fit it, measure it, write its folder."""

from __future__ import annotations

import datetime as dt
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

import tfspark
from tfspark import storage
from tfspark.config import Settings
from tfspark.console import Steps
from tfspark.dataset import CONTRACT, SPLITS, Dataset
from tfspark.errors import SignatureError, TrainingError, UnsafeModelError
from tfspark.quality.details import describe
from tfspark.quality.evaluate import measure, predictor
from tfspark.quality.slices import by_slice, headline
from tfspark.quality.threshold import HALF, choose
from tfspark.quiet import quiet
from tfspark.registry.export import SIGNATURE, Classes, check_export, export
from tfspark.registry.manifest import MANIFEST, read_manifest, write_manifest
from tfspark.registry.mlmodel import write_mlmodel
from tfspark.registry.resolve import resolve_model
from tfspark.registry.savedmodel import FILE as SAVED_MODEL
from tfspark.registry.tracking import Store, Version
from tfspark.tensors import Array, TensorSpec
from tfspark.training.key import git_revision, recipe
from tfspark.training.loop.work import Parts, Spec
from tfspark.training.ranks.launch import launch
from tfspark.training.ranks.world import World, join_ranks, started_by_horovodrun
from tfspark.training.readers.encoder import head
from tfspark.training.readers.label import Label
from tfspark.training.readers.slices import read_slices

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_CURVES_EVERY = 5.0  # seconds
_CHECK_ROWS = 256
_GOLDEN = 20


@dataclass(frozen=True)
class Trained:
    """A trained Keras model and what is known about it.

    Attributes:
        metrics: metrics of `validation` and `test`.
        sample: some rows of the training split, to compare the exported model with.
        label: with its classes in the order of the output.
        threshold: of two classes.
        details: of the test split, by class and by slice.
        epochs: `trained` and `best`.
        golden: the predictions of the first rows of the test split, in the order of its files.
    """

    keras: Any
    predict: Callable[[Mapping[str, Any]], Array]
    inputs: dict[str, TensorSpec]
    metrics: dict[str, dict[str, float]]
    sample: dict[str, Any]
    label: Label
    threshold: float
    details: dict[str, Any]
    epochs: dict[str, int]
    golden: list[Any]


@dataclass(frozen=True)
class Maker:
    """Makes the version that a train key stands for."""

    settings: Settings
    steps: Steps
    dataset: Dataset
    store: Store
    key: str
    spark: Callable[[], SparkSession] | None = None

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

    @property
    def spec(self) -> Spec:
        """What every rank is told."""
        return Spec.of(self.settings, self.dataset, self.checkpoints, self._curves_folder())

    def fit(self, run_id: str) -> Trained:
        """Train on all ranks, take the weights from the last checkpoint, measure them."""
        spec, distributed = self.spec, self.settings.distributed
        with self.steps.step("fit", ranks=distributed.ranks):
            reports = Reports(self.steps, lambda curves: self.store.log_curves(run_id, curves))
            if started_by_horovodrun():
                join_ranks().tell(spec.to_json())
            launch(spec.to_json(), distributed, reports, self.spark)
        with self.steps.step("evaluate") as info:
            with quiet():
                import tensorflow as tf

                tf.config.list_logical_devices()
            from tfspark.training.loop.state import keep_best

            parts = Parts(spec)
            model = parts.model()
            state = keep_best(spec.checkpoints, model)
            if state is None:
                raise TrainingError(
                    f"{spec.checkpoints}: the ranks ended, but their last checkpoint is not there; "
                    "`warehouse` must be a folder that this process and all executors see"
                )
            info |= {"weights": model.count_params(), "epochs": state.epoch}
            info["best"] = state.best_epoch + 1
            self.store.log_curves(run_id, state.history)
            task = self.settings.model.task
            predict = predictor(model)
            label = parts.encoder.label
            seen = {split: _predictions(parts, predict, split) for split in SPLITS[1:]}
            threshold = HALF
            if task == "binary":
                scores = (column[:, 0] for column in seen[SPLITS[1]][:2])
                threshold = choose(self.settings.model.threshold, *scores)
            metrics = {
                split: measure(task, true, said, threshold, weight)
                for split, (true, said, weight) in seen.items()
            }
            info |= metrics["test"]
            true, said, weight = seen[SPLITS[2]]
            sliced = read_slices(self.dataset, SPLITS[2], self.settings.model.slices, label, true)
            slices = by_slice(sliced, task, true, said, threshold, weight)
            named = {f"{name}_{key}": v for name, m in metrics.items() for key, v in m.items()}
            named |= {f"test_{key}": v for key, v in headline(slices, task).items()}
            self.store.log_metrics(run_id, {**named, "best_epoch": state.best_epoch + 1})
        return Trained(
            keras=model,
            predict=predict,
            inputs=parts.inputs,
            metrics=metrics,
            sample=head(self.dataset, parts.encoder, _CHECK_ROWS),
            label=label,
            threshold=threshold,
            details=describe(true, said, label.classes, threshold)
            | ({"slices": slices} if slices else {}),
            epochs={"trained": state.epoch, "best": state.best_epoch + 1},
            golden=said[:_GOLDEN].tolist(),
        )

    def write(self, version: Version | None, run_id: str, model: Trained) -> int:
        """Export and look at it as scoring does; then register, describe, upload; one rename.

        Args:
            version: what a killed job registered already.

        Returns:
            The version's number.

        Raises:
            UnsafeModelError, SignatureError: no scoring would open it. It is not registered.
        """
        name, output = self.settings.name, self.settings.model.output_name
        staging = storage.new_staging(self.settings.models, name)
        with self.steps.step("export") as info, _local(staging) as local:
            folder = storage.join(local, "model")
            classes = Classes(model.label.classes or [], model.threshold)
            export(model.keras, folder, model.inputs, output, classes)
            _check_scored(folder)
            expected = model.predict(model.sample)
            info["apart"] = check_export(folder, model.sample, output, expected)
            outputs = {output: TensorSpec("float32", (model.label.units,))}
            write_mlmodel(folder, model.inputs, outputs)
            number = version.number if version else self.store.new_version(run_id, self.key)
            info["version"] = number
            write_manifest(folder, self._manifest(number, run_id, model))
            self.store.upload(run_id, folder)
            self.store.describe(run_id, f"{name} v{number}", _made_of(self.settings, self.dataset))
        storage.make_dir(storage.join(self.settings.models, name))
        made = storage.join(staging, "model")
        storage.publish(made, self.folder(number), MANIFEST, before=[SAVED_MODEL])
        storage.discard(staging)
        return number

    def _manifest(self, number: int, run_id: str, model: Trained) -> dict[str, Any]:
        import keras
        import tensorflow as tf

        contract, dataset = self.dataset.contract, self.dataset
        output = TensorSpec("float32", (model.label.units,))
        return {
            "name": self.settings.name,
            "version": str(number),
            "signature": SIGNATURE,
            "inputs": {name: spec.to_json() for name, spec in model.inputs.items()},
            "outputs": {self.settings.model.output_name: output.to_json()},
            "classes": model.label.classes,
            **({"threshold": model.threshold} if self.settings.model.task == "binary" else {}),
            "contract": contract.digest(),
            "keys": contract.keys,
            "dataset": {
                "name": dataset.name,
                "version": dataset.version,
                "digest": dataset.digest,
            },
            "recipe": recipe(self.settings),
            "metrics": model.metrics,
            "evaluation": model.details,
            "epochs": model.epochs,
            "golden": model.golden,
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
        if not storage.is_local(self.tensorboard) or find_spec("tensorboard") is None:
            self.steps.note("no TensorBoard log: it needs the package and a local warehouse")
            return None
        return self.tensorboard


class Reports:
    """Takes what ranks say: curves to MLflow every few seconds, notes and progress to the log."""

    def __init__(self, steps: Steps, log_curves: Callable[[dict[str, list[float]]], None]) -> None:
        self.steps, self.log_curves = steps, log_curves
        self.logged = time.monotonic()

    def __call__(self, report: dict[str, Any]) -> None:
        kind = report["kind"]
        if kind == "epoch":
            last = {name: values[-1] for name, values in report["history"].items()}
            self.steps.progress(report["epoch"], report["epochs"], last)
            if time.monotonic() - self.logged > _CURVES_EVERY:
                self.log_curves(report["history"])
                self.logged = time.monotonic()
        elif kind == "progress":
            about = {"batch": report["step"], "batches": report["steps"]}
            self.steps.progress(report["epoch"], report["epochs"], about)
        elif kind == "resumed":
            self.steps.note(f"goes on after epoch {report['epoch']}, step {report['step']}")
        elif kind == "note":
            self.steps.note(report["text"])


def _made_of(settings: Settings, dataset: Dataset) -> dict[str, str]:
    """File → text, for the run's page."""
    contract = storage.read_bytes(storage.join(dataset.path, CONTRACT))
    written = yaml.safe_dump(recipe(settings), sort_keys=False)
    return {"recipe.yaml": written, "contract.yaml": contract.decode()}


def _check_scored(folder: str) -> None:
    """Open an exported model by the rules of scoring.

    Raises:
        UnsafeModelError, SignatureError: it cannot be scored with.
    """
    try:
        resolve_model(folder)
    except (UnsafeModelError, SignatureError) as error:
        raise type(error)(
            f"the trained model cannot be scored with, so it is not registered: {error}. What the "
            "builder uses must be TensorFlow's own ops: no numpy_function or py_function"
        ) from error


def _predictions(
    parts: Parts, predict: Callable[[Mapping[str, Any]], Array], split: str
) -> tuple[Array, Array, Array | None]:
    """Labels and predictions of a split, [rows, units] each, and the weights of rows, if there are
    any; only these are held in memory."""
    labels, predictions, weights = [], [], []
    for inputs, label, *weight in parts.reader(split, World(), shuffle=False).once():
        labels.append(label.numpy())
        predictions.append(predict(inputs))
        weights += [one.numpy() for one in weight]
    empty = np.empty((0, parts.encoder.label.units), "float32")
    predicted = np.concatenate([empty, *predictions])
    wrong = int((~np.isfinite(predicted).all(1)).sum())
    if wrong:
        raise TrainingError(
            f"the model predicts no number (NaN or infinite) for {wrong} of {len(predicted)} rows "
            f"of the {split} split; look for missing or extreme values in them that the features "
            "let through"
        )
    weighed = np.concatenate(weights) if weights else None
    return np.concatenate([empty, *labels]), predicted, weighed


@contextmanager
def _local(folder: str) -> Iterator[str]:
    """A folder of this machine for what TensorFlow and MLflow write, `folder` itself if it is."""
    if storage.is_local(folder):
        yield storage.filesystem(folder)[1]
        return
    with tempfile.TemporaryDirectory() as local:
        yield local
        for name, _ in storage.files(local):
            storage.upload(f"{local}/{name}", storage.join(folder, name))
