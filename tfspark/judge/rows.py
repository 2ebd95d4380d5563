"""The rows on which two models may be compared: those that neither was trained on.

A model's manifest names its dataset, and the dataset how it was split. By the same hash of the same
key a row of one test split is in the other, if its share is not the larger one; by the same column
of time, if it does not begin earlier.
"""

from __future__ import annotations

from typing import Any

from tfspark import storage
from tfspark.config import Settings
from tfspark.dataset import Dataset, open_dataset
from tfspark.errors import ConfigError, GateError
from tfspark.registry.resolve import ModelFolder


def unseen(settings: Settings, champion: ModelFolder, challenger: ModelFolder) -> Dataset:
    """The dataset whose test split neither model was trained on.

    Raises:
        GateError: it cannot be known that there is one.
    """
    if _made_of(champion)["digest"] == _made_of(challenger)["digest"]:
        return _dataset(settings, challenger)
    one, other = _dataset(settings, champion), _dataset(settings, challenger)
    splits = [dataset.manifest.get("split") or {} for dataset in (one, other)]
    where = (
        f"{_said(champion)} was trained on dataset {one.name} {one.version}, {_said(challenger)} "
        f"on {other.name} {other.version}"
    )
    again = "train the champion's recipe again on the newer dataset"
    if splits[0].get("by") is None or splits[0].get("by") != splits[1].get("by"):
        raise GateError(f"{where}, which are not split alike: no row is known to be new to both")
    if splits[0]["by"] == "time":
        if splits[0]["column"] != splits[1]["column"]:
            raise GateError(f"{where}, which are split by other columns of time; {again}")
        return one if splits[0]["test_from"] > splits[1]["test_from"] else other
    if splits[0]["seed"] != splits[1]["seed"]:
        raise GateError(
            f"{where}, which are split by other seeds ({splits[0]['seed']}, {splits[1]['seed']}): "
            f"either has learnt rows that the other is tested on; {again}"
        )
    if not _keys(one) or _keys(one) != _keys(other):
        raise GateError(f"{where}, which have other keys, by which rows are split; {again}")
    return one if splits[0]["test"] < splits[1]["test"] else other


def _made_of(model: ModelFolder) -> dict[str, Any]:
    found = (model.manifest or {}).get("dataset")
    if not isinstance(found, dict) or not {"name", "version", "digest"} <= found.keys():
        raise GateError(
            f"{_said(model)}: its manifest names no dataset, so it cannot be known which rows it "
            "was trained on"
        )
    return found


def _dataset(settings: Settings, model: ModelFolder) -> Dataset:
    about = _made_of(model)
    name, version = str(about["name"]), str(about["version"])
    path = storage.join(settings.warehouse, "datasets", name, version)
    try:
        dataset = open_dataset(path)
    except ConfigError as error:
        raise GateError(
            f"{_said(model)}: the dataset that it was trained on is gone, so it cannot be known "
            f"which rows it has learnt: {error}"
        ) from None
    if dataset.digest != about["digest"]:
        raise GateError(
            f"{_said(model)}: {path} is another dataset than it was trained on (digest), so it "
            "cannot be known which rows it has learnt"
        )
    return dataset


def _keys(dataset: Dataset) -> list[tuple[str, str]]:
    contract = dataset.contract
    return [(key, str(contract.column(key).physical_type)) for key in contract.keys]


def _said(model: ModelFolder) -> str:
    return f"{model.name} version {model.version}"
