"""A run of a training: what it was given, its metrics, its curves."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tfspark.errors import ConfigError
from tfspark.extras import need
from tfspark.look.view import Section, View
from tfspark.page.words import cut, number

_ID = re.compile(r"[0-9a-f]{32}")
_MOST = 12
Curve = Sequence[tuple[int, float]]


def is_run(thing: str) -> bool:
    """Whether it is the id of a run in MLflow."""
    return _ID.fullmatch(thing) is not None


def run(number_: str, tracking_uri: str) -> tuple[View, dict[str, Curve]]:
    """A run of MLflow, and its curves by name.

    Raises:
        ConfigError: the store has no such run.
    """
    from tfspark.registry.connect import connect, reported

    client = connect(tracking_uri)
    with reported(tracking_uri):
        try:
            found = client.get_run(number_)
        except Exception as error:
            if "not found" in str(error).lower() or "RESOURCE_DOES_NOT_EXIST" in str(error):
                raise ConfigError(f"{number_}: {tracking_uri} has no such run") from None
            raise
        histories = {name: client.get_metric_history(number_, name) for name in found.data.metrics}
    curves: dict[str, Curve] = {
        name: sorted((m.step, float(m.value)) for m in history)
        for name, history in histories.items()
        if len(history) > 1
    }
    about = [
        ("status", found.info.status),
        ("dataset", ", ".join(i.dataset.name for i in found.inputs.dataset_inputs)),
        ("epochs", number(max((len(curve) for curve in curves.values()), default=0))),
    ]
    finals = [[name, number(value)] for name, value in sorted(found.data.metrics.items())]
    params = [[name, cut(value)] for name, value in sorted(found.data.params.items())]
    made = [
        Section("Run", facts=[one for one in about if one[1]]),
        Section(
            "Curves",
            lines=_lines(curves),
            head=("curve", "first", "best", "last"),
            rows=_ends(curves),
        ),
        Section("Metrics", head=("metric", "value"), rows=finals),
        Section("Settings", head=("setting", "value"), rows=params),
    ]
    title = f"{cut(found.info.run_name)} {number_[:8]}"
    return View(title, number_, [s for s in made if s.facts or s.rows]), curves


def png(curves: Mapping[str, Curve], title: str) -> bytes:
    """The curves as a picture."""
    need("matplotlib", "--png")
    from matplotlib.figure import Figure

    pairs = _pairs(curves)
    if not pairs:
        raise ConfigError("--png: the run has no curves")
    rows = -(-len(pairs) // 2)
    figure = Figure(figsize=(10, 3 * rows), layout="constrained")
    axes = figure.subplots(rows, 2, squeeze=False).flatten()
    for axis, (name, lines) in zip(axes, pairs.items(), strict=False):
        for label, curve in lines.items():
            axis.plot([s for s, _ in curve], [v for _, v in curve], label=label, marker=".")
        axis.set_title(name.replace("$", r"\$"))
        axis.set_xlabel("epoch")
        axis.legend()
    for axis in axes[len(pairs) :]:
        axis.set_visible(False)
    figure.suptitle(title.replace("$", r"\$"))
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=100)
    return out.getvalue()


def _pairs(curves: Mapping[str, Curve]) -> dict[str, dict[str, Curve]]:
    """A curve of training beside that of validation."""
    pairs: dict[str, dict[str, Curve]] = {}
    for name, curve in curves.items():
        base = re.sub(r"^val(?:idation)?[_./]", "", name)
        pairs.setdefault(base, {})["training" if base == name else "validation"] = curve
    return dict(list(pairs.items())[:_MOST])


def _ends(curves: Mapping[str, Curve]) -> list[list[str]]:
    made = []
    for name, curve in curves.items():
        values = [value for _, value in curve]
        best = min(values) if "loss" in name or "error" in name else max(values)
        made.append([name, *map(number, (values[0], best, values[-1]))])
    return made


def _lines(curves: Mapping[str, Curve]) -> list[dict[str, Any]]:
    """As the template of the night draws lines: validation, and training dashed."""
    made = []
    for name, lines in _pairs(curves).items():
        every = [point for curve in lines.values() for point in curve]
        values = [v for _, v in every if math.isfinite(v)]
        if not values:
            continue
        low, high = min(values), max(values)
        wide = (high - low) or abs(high) or 1.0
        first, last = min(s for s, _ in every), max(s for s, _ in every)

        x, y = (first, max(last - first, 1)), (low, wide)
        ticks = [
            {"y": round(130 - f * 116 * (high > low), 1), "text": f"{low + f * (high - low):.3g}"}
            for f in (0, 0.5, 1)
        ]
        both = len(lines) == 2
        front = lines["validation"] if both else next(iter(lines.values()))
        plot = {"label": cut(name, 40), "ticks": ticks, "band": "", "points": _points(front, x, y)}
        plot |= {"estimate": _points(lines["training"], x, y) if both else "", "dots": []}
        plot |= {"first": f"epoch {first}", "last": f"epoch {last}"}
        about = "validation; dashed: training" if both else next(iter(lines))
        made.append({"name": cut(name, 40), "plot": plot, "about": about})
    return made


def _points(curve: Curve, x: tuple[int, int], y: tuple[float, float]) -> str:
    """The points of a curve in the drawing; of each axis its begin and its length."""
    places = (
        (36 + 436 * (step - x[0]) / x[1], 130 - 116 * (value - y[0]) / y[1])
        for step, value in curve
        if math.isfinite(value)
    )
    return " ".join(f"{left:.1f},{top:.1f}" for left, top in places)
