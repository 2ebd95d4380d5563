"""The job: dataset → features → fit → evaluate → export → registry, exactly once.

Killed at any moment and run again, it ends as one clean run does: the fit goes on from its
checkpoint, the MLflow run is taken up again, a version that was registered but not finished
gets its files under its number. Only then does a version get its alias, and last its tag
`tfspark.complete`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

import tfspark
from tfspark import storage
from tfspark.champions import repair
from tfspark.config import Settings
from tfspark.console import Steps
from tfspark.dataset import Dataset, find_dataset
from tfspark.errors import ConfigError, GateError, StorageError
from tfspark.quality.gate import check_names, failures
from tfspark.quality.slices import headline
from tfspark.registry.manifest import MANIFEST, read_manifest, verify
from tfspark.registry.tracking import (
    CHALLENGER,
    CHAMPION,
    COMPLETE,
    GATE,
    SHA256,
    Store,
    Version,
)
from tfspark.training.key import code, git_revision, recipe, train_key
from tfspark.training.loop.work import work
from tfspark.training.make import Maker
from tfspark.training.ranks.talk import Direct
from tfspark.training.ranks.world import join_ranks, started_by_horovodrun
from tfspark.training.readers.slices import check_slices

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def train(
    settings: Settings, steps: Steps, spark: Callable[[], SparkSession] | None = None
) -> dict[str, Any]:
    """Train a model version on the newest dataset (of the date, where one is given).

    The same dataset and recipe give the version that is there already, unless
    `training.force`.

    Args:
        spark: gives the session whose executors train; not asked for one rank in this process.

    Returns:
        The summary: model, version, aliases, uri, metrics, epochs, rows, folder, reused.

    Raises:
        ConfigError: a recipe that does not fit the dataset.
        TrainingError: training failed.
        GateError: the model is registered, but did not pass `registry.gate`.
    """
    if started_by_horovodrun() and join_ranks().rank:
        return follow()
    if not settings.name:
        raise ConfigError("train needs a name; give it in the configuration: --config FILE")
    dataset = dataset_of(settings, steps)
    check_names(settings.registry.gate, settings.model.task, dataset.contract.weight is not None)
    check_slices(settings, dataset.contract)
    key = train_key(dataset, settings)
    store = Store(settings.tracking_uri, settings.name)
    maker = Maker(settings, steps, dataset, store, key, spark)
    with steps.step("open registry"):
        version = _complete(maker)
    reused = version is not None
    with ExitStack() as turn:
        if version is None:
            storage.make_dir(maker.checkpoints)
            turn.enter_context(storage.locked(maker.checkpoints, must=False))
            version = _complete(maker)  # of a job that trained the same while this one waited
            reused = version is not None
            version = version or _make(maker)
        if reused:
            join_ranks().tell(None)  # nothing to train, for ranks that horovodrun started
            own = ", ".join(code(settings))
            same = f"dataset, recipe and code ({own})" if own else "dataset and recipe"
            steps.note(f"version {version.number} was trained from this very {same}")
        with steps.step("register", version=version.number) as info:
            manifest = _publish(maker, version)
            aliases = sorted(a for a, number in store.aliases().items() if number == version.number)
            info["aliases"] = ", ".join(aliases) or "none"
    return {
        "model": settings.name,
        "version": version.number,
        "aliases": info["aliases"],
        "uri": f"models:/{settings.name}" + (f"@{aliases[0]}" if aliases else f"/{version.number}"),
        "dataset": maker.dataset.version,
        "rows": maker.dataset.rows("train"),
        "epochs": manifest["epochs"]["trained"],
        "best_epoch": manifest["epochs"]["best"],
        "validation": manifest["metrics"]["validation"],
        "test": manifest["metrics"]["test"],
        **_slices(manifest),
        "folder": maker.folder(version.number),
        "tensorboard": maker.tensorboard,
        "mlflow_run": manifest["run_id"],
        "reused": reused,
        "seconds": steps.seconds(),
    }


def dataset_of(settings: Settings, steps: Steps) -> Dataset:
    """The dataset that the settings name, its files compared with their sums."""
    with steps.step("open dataset") as info:
        day = None if settings.date is None else settings.date.isoformat()
        dataset = find_dataset(settings.datasets, settings.dataset, day)
        dataset.verify()
        info |= {"version": dataset.version, "rows": dataset.rows("train")}
    return dataset


def follow() -> dict[str, Any]:
    """As a rank that horovodrun started: train with rank 0, which does all the rest."""
    world = join_ranks()
    spec = world.tell(None)
    if spec is not None:
        work(spec, world, Direct(lambda report: None, world.rank))
    world.close()
    return {"rank": world.rank, "trained": spec is not None}


def _complete(maker: Maker) -> Version | None:
    """The version that is there already, where one may be used."""
    if maker.settings.training.force:
        return None
    versions = maker.store.versions(maker.key)
    whole = [v for v in versions if v.complete and maker.has_files(v.number)]
    return whole[-1] if whole else None


def _make(maker: Maker) -> Version:
    """Train, and write a version's files, or those of one that a killed job began."""
    left = (v for v in maker.store.versions(maker.key) if not v.complete)
    version = next(left, None)
    if version is not None and maker.has_files(version.number):
        join_ranks().tell(None)
        maker.steps.note(f"version {version.number} is there; finishing it")
        return version
    run_id = (version and version.run_id) or _start_run(maker)
    try:
        model = maker.fit(run_id)
        number = maker.write(version, run_id, model)
    except Exception as error:
        with suppress(StorageError):
            if isinstance(error, ConfigError):  # a mistake of the recipe: nothing was trained
                maker.store.drop_run(run_id)
            else:
                maker.store.end_run(run_id, "FAILED")
        raise
    return Version(number, run_id, complete=False, gate=None)


def _start_run(maker: Maker) -> str:
    """The MLflow run of this training, with what it is made from."""
    settings, dataset = maker.settings, maker.dataset
    tags = {
        "tfspark.version": tfspark.__version__,
        "tfspark.job": maker.steps.run_id,
        "tfspark.dataset.digest": dataset.digest,
        "tfspark.dataset.version": str(dataset.version),
    }
    if revision := git_revision():
        tags["mlflow.source.git.commit"] = revision
    experiment = settings.registry.experiment or settings.name
    run_id = maker.store.start_run(experiment, settings.artifacts, maker.key, tags)
    maker.store.log_settings(run_id, _flat(recipe(settings)), dataset)
    return run_id


def _publish(maker: Maker, version: Version) -> dict[str, Any]:
    """Gate, alias, complete: a killed job may have done some of it already.

    Returns:
        The version's manifest.
    """
    number, store = version.number, maker.store
    manifest = read_manifest(maker.folder(number)) or {}
    verify(maker.folder(number), manifest)
    failed = failures(maker.settings.registry.gate, manifest["metrics"]["test"])
    sha256 = storage.sha256(storage.join(maker.folder(number), MANIFEST))
    passed = version.complete and version.gate == "passed"
    if passed and not failed and version.sha256 == sha256:
        storage.discard(maker.checkpoints)
        return manifest
    store.end_run(manifest["run_id"])
    store.tag(number, SHA256, sha256)
    if not failed and not passed:
        champion = repair(maker.settings, store.name) or store.aliases().get(CHAMPION)
        store.set_alias(CHAMPION if champion in (None, number) else CHALLENGER, number)
        if champion not in (None, number):
            _compare(maker, number, manifest, champion)
    store.tag(number, GATE, "failed" if failed else "passed")
    store.tag(number, COMPLETE, "true")
    storage.discard(maker.checkpoints)
    if failed:
        kept = sorted(alias for alias, held in store.aliases().items() if held == number)
        said = (
            f"It keeps the alias {' and '.join(kept)} that it had, so who names that scores with "
            "it: give the alias to another version, improve the recipe, or change registry.gate"
            if kept
            else "It is registered without an alias, so nobody scores with it; improve the "
            "recipe, or change registry.gate"
        )
        raise GateError(
            f"model {maker.settings.name} version {number}: {'; '.join(failed)}. {said}"
        )
    return manifest


def _compare(maker: Maker, number: int, manifest: dict[str, Any], champion: int) -> None:
    """Say how a challenger does beside the champion, and how it takes its place."""
    other = read_manifest(maker.folder(champion)) or {}
    told = [
        f"{alias} {version}: {', '.join(f'{k} {v:.4g}' for k, v in found.items() if k != 'rows')}"
        for alias, version, found in (
            (CHALLENGER, number, manifest["metrics"]["test"]),
            (CHAMPION, champion, other.get("metrics", {}).get("test", {})),
        )
    ]
    name = maker.settings.name
    maker.steps.note(
        f"on the test split, {'; '.join(told)}. To compare both on the same rows: tfspark judge "
        f"{name} {number}; to make it the champion: tfspark promote {name} {number}"
    )


def _slices(manifest: dict[str, Any]) -> dict[str, Any]:
    """Of each column of `model.slices`: by value, what its rows' metrics are."""
    slices = manifest.get("evaluation", {}).get("slices")
    if not slices:
        return {}
    told = headline(slices, manifest["recipe"]["model"]["task"])
    return {"slices": {name: round(value, 6) for name, value in told.items()}}


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings with dotted names, a feature by its own."""
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        if key == "features":
            flat |= {f"features.{feature['name']}": feature for feature in inner}
        elif isinstance(inner, dict) and inner:
            flat |= _flat(inner, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = inner
    return flat
