"""MLflow: runs, model versions, the aliases `champion` and `challenger`.

A version of ours carries the tags `tfspark.train_key` (what it was trained from),
`tfspark.manifest_sha256` (of its manifest, which names all its files; older versions
have none) and, last of all, `tfspark.complete`. One without that was not finished:
nothing points to it, and the same training, run again, finishes it under its number.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from tfspark.registry.connect import connect, reported
from tfspark.registry.index import indexed, refresh

T = TypeVar("T")

CHAMPION, CHALLENGER = "champion", "challenger"
TRAIN_KEY, COMPLETE, GATE = "tfspark.train_key", "tfspark.complete", "tfspark.gate"
SHA256 = "tfspark.manifest_sha256"
ARTIFACT = "model"
_PIECE = 500  # MLflow takes at most 1000 metrics and 100 parameters at once


@dataclass(frozen=True)
class Version:
    """One registered version of ours.

    Attributes:
        run_id: None where the registry's index was read, which has none.
        sha256: of its manifest.
    """

    number: int
    run_id: str | None
    complete: bool
    gate: str | None
    sha256: str | None = None


class Store:
    """The runs and versions of one model in an MLflow store."""

    def __init__(self, tracking_uri: str, name: str) -> None:
        self.uri, self.name = tracking_uri, name

    @cached_property
    def client(self) -> Any:
        return connect(self.uri)

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """The store's errors as ours; the index of a SQLite store follows what is written."""
        with reported(self.uri):
            yield
            refresh(self.client, self.uri)

    def experiment(self, name: str, artifacts: str | None) -> str:
        """The id of an experiment, made if it is not there; `artifacts`: see `start_run`."""
        with self.asking():
            found = self.client.get_experiment_by_name(name)
            if found:
                return str(found.experiment_id)
            return str(self.client.create_experiment(name, artifact_location=artifacts))

    def start_run(
        self, experiment: str, artifacts: str | None, train_key: str, tags: Mapping[str, str]
    ) -> str:
        """The run of this training: the one that a killed job left, or a new one.

        Args:
            artifacts: folder for the files of a new experiment; None: the server decides.
        """
        number = self.experiment(experiment, artifacts)
        with self.asking():
            query = f"tags.`{TRAIN_KEY}` = '{train_key}' and attributes.status = 'RUNNING'"
            left = self.client.search_runs([number], query, max_results=1)
            if left:
                return str(left[0].info.run_id)
            every = {**tags, TRAIN_KEY: train_key}
            run = self.client.create_run(number, tags=every, run_name=self.name)
            return str(run.info.run_id)

    def log_settings(self, run_id: str, parameters: Mapping[str, Any], dataset: Any) -> None:
        """Parameters of the run, and the dataset it read (`tfspark.dataset.Dataset`)."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param

        params = [Param(key, _parameter(value)) for key, value in named(parameters).items()]
        source = Dataset(dataset.name, dataset.digest[:36], "local", dataset.path)
        with self.asking():
            for start in range(0, len(params), 100):
                self.client.log_batch(run_id, params=params[start : start + 100])
            tags = [InputTag("version", str(dataset.version))]
            self.client.log_inputs(run_id, [DatasetInput(source, tags)])

    def log_curves(self, run_id: str, history: Mapping[str, list[float]]) -> None:
        """The curves from epoch 1 on; what the run has already is not logged twice."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        with self.asking():
            new = []
            for key, values in named(history).items():
                known = {m.step for m in self.client.get_metric_history(run_id, key)}
                steps = enumerate(values, start=1)
                new += [Metric(key, v, now, step) for step, v in steps if step not in known]
            for start in range(0, len(new), _PIECE):
                self.client.log_batch(run_id, metrics=new[start : start + _PIECE])

    def log_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Metrics of the whole run; logged once."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        with self.asking():
            known = self.client.get_run(run_id).data.metrics
            new = [Metric(k, float(v), now, 0) for k, v in named(metrics).items() if k not in known]
            for start in range(0, len(new), _PIECE):
                self.client.log_batch(run_id, metrics=new[start : start + _PIECE])

    def end_run(self, run_id: str, status: str = "FINISHED") -> None:
        with self.asking():
            if self.client.get_run(run_id).info.status != status:
                self.client.set_terminated(run_id, status)

    def describe(self, run_id: str, name: str, texts: Mapping[str, str]) -> None:
        """Give a run its name, and files (name → text) that show what it was made of."""
        with self.asking():
            self.client.update_run(run_id, name=name)
            for file, text in texts.items():
                self.client.log_text(run_id, text, file)

    def drop_run(self, run_id: str) -> None:
        """Take a run away that trained nothing."""
        with self.asking():
            self.client.delete_run(run_id)

    def versions(self, train_key: str) -> list[Version]:
        """The versions that this training has made, ascending."""
        versions = self._indexed(train_key)
        if not versions or not all(version.complete for version in versions):
            with self.asking():
                query = f"name = '{self.name}' and tags.`{TRAIN_KEY}` = '{train_key}'"
                found = self.client.search_model_versions(query)
            versions = [_version(v.version, str(v.run_id), v.tags) for v in found]
        return sorted(versions, key=lambda version: version.number)

    def _indexed(self, train_key: str) -> list[Version]:
        """What the index knows of them: enough, where nothing is left to do."""
        known = (indexed(self.uri) or {}).get(self.name, {}).get("versions", {})
        return [
            _version(number, None, about["tags"])
            for number, about in known.items()
            if about["tags"].get(TRAIN_KEY) == train_key
        ]

    def every(self) -> dict[int, Version]:
        """All versions of the model, by their numbers; none where it is not registered."""
        known = (indexed(self.uri) or {}).get(self.name, {}).get("versions")
        if known is None:
            with self.asking():
                found = self.client.search_model_versions(f"name = '{self.name}'")
            versions = [_version(v.version, str(v.run_id), v.tags) for v in found]
        else:
            versions = [_version(n, None, about["tags"]) for n, about in known.items()]
        return {version.number: version for version in versions}

    def models(self) -> list[str]:
        """The names of the models in the store, for messages."""
        with self.asking():
            return sorted(model.name for model in self.client.search_registered_models())

    def new_version(self, run_id: str, train_key: str) -> int:
        """Register a version, not complete yet, whose files will be the run's."""
        from mlflow.exceptions import MlflowException

        with self.asking():
            try:
                self.client.get_registered_model(self.name)
            except MlflowException:
                with contextlib.suppress(MlflowException):  # another job was faster
                    self.client.create_registered_model(self.name)
            root = self.client.get_run(run_id).info.artifact_uri
            made = self.client.create_model_version(
                self.name, f"{root}/{ARTIFACT}", run_id=run_id, tags={TRAIN_KEY: train_key}
            )
        return int(made.version)

    def upload(self, run_id: str, folder: str) -> None:
        """Put the files of a local folder where the run's version points to."""
        with self.asking():
            self.client.log_artifacts(run_id, folder, ARTIFACT)

    def aliases(self) -> dict[str, int]:
        """Alias → version."""
        known = (indexed(self.uri) or {}).get(self.name)
        if known is None:
            with self.asking():
                known = {"aliases": self.client.get_registered_model(self.name).aliases}
        named = known["aliases"]
        return {alias: int(version) for alias, version in named.items()}

    def set_alias(self, alias: str, number: int) -> None:
        with self.asking():
            self.client.set_registered_model_alias(self.name, alias, str(number))

    def tag(self, number: int, key: str, value: str) -> None:
        with self.asking():
            self.client.set_model_version_tag(self.name, str(number), key, value)


def _version(number: Any, run_id: str | None, tags: Mapping[str, str]) -> Version:
    return Version(int(number), run_id, COMPLETE in tags, tags.get(GATE), tags.get(SHA256))


def named(values: Mapping[str, T]) -> dict[str, T]:
    """Parameters or metrics by names that MLflow takes: `Gewicht (kg)` is `Gewicht _kg_` there."""
    found: dict[str, T] = {}
    for key, value in values.items():
        name, number = re.sub(r"[^\w.\- ]", "_", key)[:240].strip(), 1
        while name in found:
            number += 1
            name = f"{name[:240]}_{number}"
        found[name] = value
    return found


def _parameter(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 6000 else text[:5997] + "..."
