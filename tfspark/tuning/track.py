"""A search in MLflow: a run of its own, and a nested run for each trial."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from tfspark.config import Settings
from tfspark.dataset import Dataset
from tfspark.registry.tracking import Store, named

_STUDY, _TRIAL, _PARENT = "tfspark.study", "tfspark.trial", "mlflow.parentRunId"
_EVERY = 5.0  # seconds between two writes of one trial's curves


class Tracker:
    """Writes what trials do. Not for several threads at once."""

    def __init__(self, settings: Settings, study: str, dataset: Dataset) -> None:
        self.store = Store(settings.tracking_uri, settings.name)
        self.study, self._written = study, dict[str, float]()
        experiment = settings.registry.experiment or settings.name
        self.experiment = self.store.experiment(experiment, settings.artifacts)
        tags = {_STUDY: study, "tfspark.dataset.digest": dataset.digest}
        with self.store.asking():
            query = f"tags.`{_STUDY}` = '{study}'"
            known = [
                run
                for run in self.store.client.search_runs([self.experiment], query)
                if _PARENT not in run.data.tags
            ]
            if known:
                self.run: str = known[0].info.run_id
                self.store.client.update_run(self.run, status="RUNNING")
            else:
                made = self.store.client.create_run(self.experiment, tags=tags, run_name=study)
                self.run = made.info.run_id

    def start(self, number: int, settings: Mapping[str, Any]) -> str:
        """The run of a trial, with the values it tries."""
        from mlflow.entities import Param

        tags = {_PARENT: self.run, _STUDY: self.study, _TRIAL: str(number)}
        params = [Param(key, str(value)[:6000]) for key, value in named(settings).items()]
        with self.store.asking():
            made = self.store.client.create_run(
                self.experiment, tags=tags, run_name=f"{self.study}-{number}"
            )
            self.store.client.log_batch(made.info.run_id, params=params)
        return str(made.info.run_id)

    def curves(self, run: str, history: dict[str, list[float]], last: bool = False) -> None:
        """The curves so far, now and then."""
        now = time.monotonic()
        if history and (last or now - self._written.get(run, 0.0) > _EVERY):
            self._written[run] = now
            self.store.log_curves(run, history)

    def end(self, run: str, status: str, metrics: Mapping[str, float], error: str = "") -> None:
        """The result; `status` is MLflow's."""
        self.store.log_metrics(run, metrics)
        if error:
            with self.store.asking():
                self.store.client.set_tag(run, "tfspark.error", error[:5000])
        self.store.end_run(run, status)
