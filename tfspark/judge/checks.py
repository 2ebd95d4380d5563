"""What a challenger must be before its metrics count: whole, alike, finite, alive, quick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfspark.config.gate import Gate
from tfspark.judge.scores import Scores
from tfspark.judge.verdict import Check
from tfspark.registry.resolve import ModelFolder
from tfspark.tensors import Array

_DISTINCT, _OF = 10, 1000
_FLOOR = 0.005
"""Seconds of a batch below which nobody cares who is slower."""


def of_files(gate: Gate, champion: ModelFolder, challenger: ModelFolder) -> list[Check]:
    """Before any of them is opened: what is known from the files."""
    size = sum(int(entry["bytes"]) for entry in challenger.files.values()) / 2**20
    return [
        Check("size", size <= gate.size_mb, f"{size:.1f} MiB, at most {gate.size_mb:g}"),
        _signature(champion, challenger),
    ]


def _signature(champion: ModelFolder, challenger: ModelFolder) -> Check:
    before, now = (
        {name: (spec.dtype, spec.shape) for name, spec in model.signature.outputs.items()}
        for model in (champion, challenger)
    )
    if before != now:
        said = f"outputs {_typed(now)}, the champion's are {_typed(before)}"
        return Check("signature", False, f"{said}: readers of the table would break")
    ins = [model.signature.inputs for model in (champion, challenger)]
    other = [n for n in ins[0] if n in ins[1] and ins[0][n].dtype != ins[1][n].dtype]
    if other:
        return Check("signature", False, f"inputs of another type: {', '.join(other)}")
    changed = sorted(ins[0].keys() ^ ins[1].keys())
    return Check("signature", True, f"inputs that only one has: {', '.join(changed) or 'none'}")


def of_scores(gate: Gate, task: str, scores: Scores, golden: Sequence[Any] | None) -> list[Check]:
    """By what both said of the same rows.

    Args:
        golden: the scores of the first rows, kept when the challenger was registered; None: there
            are none of these rows.
    """
    one, other = scores.scores
    checks = [_scored(scores), _finite(other, scores.failed[1][0])]
    if not np.isfinite(one).all():
        bad = int((~np.isfinite(one).all(1)).sum())
        said = f"the champion itself gives no number for {bad} of {len(one)} rows"
        return [*checks, Check("champion", False, said)]
    if not all(check.passed for check in checks):
        return checks
    return [
        *checks,
        _alive(one, other),
        _golden(gate, other, golden),
        _mean(gate, task, scores.label, one, other),
        _bins(gate, one, other),
        _quick(gate, *scores.seconds),
    ]


def _scored(scores: Scores) -> Check:
    (before, _), (now, why) = scores.failed
    rows = len(scores.label)
    said = f"{now} of {rows} rows cannot be scored, by the champion {before}"
    return Check("scored", now <= before, f"{said}: {why}" if now > before else said)


def _finite(scores: Array, failed: int) -> Check:
    bad = int((~np.isfinite(scores).all(1)).sum()) - failed
    return Check("finite", bad == 0, f"{bad} of {len(scores)} scores are NaN or infinite")


def _alive(one: Array, other: Array) -> Check:
    if not len(other) or float(np.ptp(other, axis=0).max()) == 0:
        return Check("not constant", False, "every row has the same score")
    counts = [len(np.unique(np.round(scores[:_OF], 7), axis=0)) for scores in (one, other)]
    wanted = min(_DISTINCT, counts[0]) if len(other) >= _OF else 2
    said = f"{counts[1]} different scores in {min(_OF, len(other))} rows, the champion {counts[0]}"
    return Check("not constant", counts[1] >= wanted, said)


def _golden(gate: Gate, scores: Array, golden: Sequence[Any] | None) -> Check:
    if not golden:
        return Check("golden rows", True, "not kept with this version for these rows")
    kept = np.asarray(golden, "float64").reshape(len(golden), -1)
    found = scores[: len(kept)].astype("float64")
    if kept.shape != found.shape:
        return Check("golden rows", False, f"scores of shape {kept.shape} were kept with it")
    apart = float((np.abs(found - kept) / np.maximum(1.0, np.abs(kept))).max())
    said = f"{len(kept)} scores differ by {apart:.2g} from those kept when it was registered"
    return Check("golden rows", apart <= gate.golden, f"{said}, at most {gate.golden:g}")


def _mean(gate: Gate, task: str, label: Array, one: Array, other: Array) -> Check:
    """A mean that moves towards the labels' is no fault."""
    means = [values.mean(0, dtype="float64") for values in (label, one, other)]
    scale = np.abs(means[1])
    if task != "binary":
        scale = np.maximum(scale, one.std(0, dtype="float64") if task == "regression" else 0.01)
    moved = np.abs(means[2] - means[1]) / np.maximum(scale, 1e-12)
    away = np.abs(means[2] - means[0]) > np.abs(means[1] - means[0])
    worst = int(np.argmax(np.where(away, moved, 0.0)))
    said = (
        f"mean score {means[2][worst]:.4g}, the champion's {means[1][worst]:.4g}, the labels' "
        f"{means[0][worst]:.4g}"
    )
    return Check("mean score", not bool(((moved > gate.mean) & away).any()), said)


def _bins(gate: Gate, one: Array, other: Array) -> Check:
    """By the tenths of the champion's scores; of several classes by the score of the largest."""
    first, second = (one[:, 0], other[:, 0]) if one.shape[1] == 1 else (one.max(1), other.max(1))
    edges = np.quantile(first, np.arange(1, 10) / 10)
    changed = np.searchsorted(edges, first, "right") != np.searchsorted(edges, second, "right")
    share = float(changed.mean())
    passed = gate.bins is None or share <= gate.bins
    return Check("bins", passed, f"{share:.0%} of the scores are in another tenth")


def _quick(gate: Gate, champion: float, challenger: float) -> Check:
    slow = challenger > gate.latency * champion and challenger - champion > _FLOOR
    said = f"{challenger * 1e3:.1f} ms a batch, the champion {champion * 1e3:.1f} ms (medians)"
    return Check("latency", not slow, said)


def _typed(outputs: dict[str, Any]) -> str:
    return ", ".join(f"{name} ({kind}{list(shape)})" for name, (kind, shape) in outputs.items())
