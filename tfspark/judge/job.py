"""The comparison: both models found, opened, asked for the same rows, and the verdict kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tfspark import storage
from tfspark.champions.state import verdict_file
from tfspark.config import Settings
from tfspark.console import Steps
from tfspark.dataset import Dataset
from tfspark.errors import GateError
from tfspark.judge.checks import of_files, of_scores
from tfspark.judge.measure import METRICS, Rows, by_slice, decide, leaks, measure
from tfspark.judge.rows import unseen
from tfspark.judge.scores import Opponent, Scores, score_all
from tfspark.judge.verdict import Check, Verdict
from tfspark.quality.clusters import LEAST, Clusters, clusters_of
from tfspark.registry.resolve import ModelFolder, resolve_model
from tfspark.registry.tracking import Version
from tfspark.scoring.model.binding import CONSTANT
from tfspark.scoring.worker.settings import scorer_settings
from tfspark.training.readers.label import Label

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SCORER = ("threads", "batch_bytes", "batch_rows", "wall")


def judge(
    spark: SparkSession | None,
    settings: Settings,
    steps: Steps,
    champion: Version | None,
    challenger: Version,
) -> Verdict:
    """Judge a challenger beside the champion, on rows that neither was trained on.

    Never raises: whatever goes wrong is a refusal, with its reason.

    Args:
        spark: whose settings of scoring count; None: the defaults.
        settings: with `name`, the model's, and `gate`.
        champion: None: there is none yet, so the challenger's own gate (`registry.gate`) decides.

    Returns:
        The verdict, which is also kept in the warehouse for `tfspark promote`.
    """
    said: dict[str, Any] = {"challenger": challenger.number}
    said["champion"] = champion.number if champion else "none"
    with steps.step("judge", **said) as info:
        try:
            verdict = _judge(spark, settings, champion, challenger)
        except Exception as error:  # fails closed: who cannot be judged is not promoted
            verdict = _refused(error)
        try:
            against = champion.number if champion else 0
            kept = verdict_file(settings, settings.name, challenger.number, against)
            storage.make_dir(kept.rpartition("/")[0])
            storage.write_json(kept, verdict.to_json())
        except Exception as error:  # and of an older verdict none must be left that says better
            verdict = _refused(error)
        info |= {"verdict": verdict.verdict, "rows": verdict.rows}
    return verdict


def _refused(error: Exception) -> Verdict:
    line = str(error).split("\n")[0] or "no message"
    return Verdict("refused", f"{type(error).__name__}: {line}")


def _judge(
    spark: SparkSession | None, settings: Settings, champion: Version | None, challenger: Version
) -> Verdict:
    floor = Check("gate", challenger.gate == "passed", f"registry.gate: {challenger.gate}")
    other = _folder(settings, challenger)
    if champion is None:
        if not floor.passed:
            return Verdict("refused", f"no champion yet, and {floor.said}", checks=[floor])
        return Verdict("better", f"no champion yet; {floor.said}", checks=[floor])
    if champion.number == challenger.number:
        raise GateError(f"version {challenger.number} is the champion itself")
    one = _folder(settings, champion)
    checks = [floor, *of_files(settings.gate, one, other)]
    if failed := _failed(checks):
        return Verdict("refused", failed, checks=checks)
    task = _alike(one, other)
    dataset = unseen(settings, one, other)
    dataset.verify()
    scores = _scores(spark, settings, dataset, one, other)
    golden = _golden(other, dataset)
    checks += of_scores(settings.gate, task, scores, golden)
    rows = len(scores.label)
    if failed := _failed(checks):
        return Verdict("refused", failed, rows=rows, checks=checks)
    return _verdict(settings, task, scores, checks)


def _verdict(settings: Settings, task: str, scores: Scores, checks: list[Check]) -> Verdict:
    gate, label, both = settings.gate, scores.label, scores.scores
    names, rows = dict(scores.slices), Rows(scores.weight)
    if gate.cluster:
        texts = names[gate.cluster]
        names = {name: names[name] for name in gate.slices}
        rows = Rows(scores.weight, _clusters(texts))
    measured = measure(task, label, both, gate.margin, rows)
    first = measured[0]
    suspected = leaks(measured, gate.leak)
    said = f"{first.said}: so much better that it may have learnt from the answer itself"
    checks = [*checks, Check("leak", not suspected, said if suspected else "none suspected")]
    slices = by_slice(task, label, both, names, gate.slice_margin, rows)
    word, reason = decide(measured, gate.least_rows)
    if rows.clusters is not None and (count := rows.clusters.count()) < LEAST:
        few = f"{count} values of gate.cluster ({gate.cluster}), at least {LEAST} are wanted"
        word, reason = "cannot tell", f"{few}; {reason}"
    worse = [one for one in slices if one["worse"]]
    if suspected:
        word, reason = "refused", f"leak suspected: {said}"
    elif worse:
        named = ", ".join(f"{one['column']}={one['value']}" for one in worse)
        word, reason = "worse", f"for {named} (gate.slices); in all, {reason}"
    needed = first.difference.rows_needed(first.margin) if word == "cannot tell" else None
    if needed is not None:
        needed = max(needed, gate.least_rows)
        reason += f"; about {needed:,} rows would tell"
    metrics = {one.name: one.to_json() for one in measured}
    return Verdict(word, reason, metrics, len(label), slices, checks, needed)


def _clusters(texts: pa.ChunkedArray) -> Clusters:
    found = texts.combine_chunks().dictionary_encode()
    return clusters_of(found.indices.to_numpy(), found.dictionary.to_pylist())


def _folder(settings: Settings, version: Version) -> ModelFolder:
    uri = f"models:/{settings.name}/{version.number}"
    return resolve_model(uri, settings.tracking_uri)


def _alike(one: ModelFolder, other: ModelFolder) -> str:
    """The task of both.

    Raises:
        GateError: they have different ones, or other classes.
    """
    tasks = [_recipe(model).get("task") for model in (one, other)]
    if tasks[0] == tasks[1] == "multilabel":
        raise GateError("models of several labels at once are not compared; see docs/champions.md")
    if tasks[0] != tasks[1] or tasks[0] not in METRICS:
        raise GateError(f"the champion's task is {tasks[0]}, the challenger's {tasks[1]}")
    classes = [(model.manifest or {}).get("classes") for model in (one, other)]
    if classes[0] != classes[1]:
        raise GateError(f"the champion's classes are {classes[0]}, the challenger's {classes[1]}")
    return str(tasks[0])


def _recipe(model: ModelFolder) -> dict[str, Any]:
    return dict(((model.manifest or {}).get("recipe") or {}).get("model") or {})


def _scores(
    spark: SparkSession | None,
    settings: Settings,
    dataset: Dataset,
    one: ModelFolder,
    other: ModelFolder,
) -> Scores:
    column = dataset.contract.label
    if column is None:
        raise GateError(f"dataset {dataset.path}: no column of its contract is the label")
    names = ("champion", "challenger")
    asked = settings.score
    inputs: dict[str, Any] = dict(asked.inputs)
    inputs |= {given: {CONSTANT: value} for given, value in asked.constants.items()}
    both = [
        Opponent(f"{name} {model.version}", model, _output(settings, model), inputs)
        for name, model in zip(names, (one, other), strict=True)
    ]
    label = Label(column, (other.manifest or {}).get("classes"))
    known = scorer_settings(spark) if spark is not None else {}
    chosen = {name: known[name] for name in _SCORER if name in known}
    gate = settings.gate
    texts = list(dict.fromkeys([*gate.slices, *([gate.cluster] if gate.cluster else [])]))
    return score_all(dataset, label, both, texts, gate.deadline, chosen)


def _output(settings: Settings, model: ModelFolder) -> str:
    outputs = list(model.signature.outputs)
    named = str(_recipe(model).get("output") or settings.model.output_name)
    if len(outputs) > 1 and named not in outputs:
        raise GateError(
            f"{model.name} version {model.version}: which of its outputs is the prediction? "
            f"model.output is {named}, and there are {', '.join(outputs)}"
        )
    return named if named in outputs else outputs[0]


def _golden(model: ModelFolder, dataset: Dataset) -> list[Any] | None:
    manifest = model.manifest or {}
    same = manifest.get("dataset", {}).get("digest") == dataset.digest
    return manifest.get("golden") if same else None


def _failed(checks: list[Check]) -> str:
    return "; ".join(f"{check.name}: {check.said}" for check in checks if not check.passed)
