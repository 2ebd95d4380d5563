"""A night as a text file for Prometheus' node exporter: `<warehouse>/nights/<NAME>.prom`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfspark import storage

_VERDICTS = ("green", "yellow", "red")


def write_prometheus(record: Mapping[str, Any], folder: str) -> str:
    """Write the file of a name's newest night; its path.

    Raises:
        StorageError: it cannot be written.
    """
    path = storage.join(folder, f"{record['name']}.prom")
    storage.write_bytes(path, prometheus(record).encode())
    return path


def prometheus(record: Mapping[str, Any]) -> str:
    """The lines of a night; what is not known is left out."""
    rows, watch = record.get("rows") or {}, record.get("watch") or {}
    columns = [one for one in watch.get("columns") or [] if isinstance(one, Mapping)]
    scores = watch.get("scores") or {}
    known = [float(one["psi"]) for one in columns if isinstance(one.get("psi"), int | float)]
    verdict = record.get("verdict")
    date = str(record.get("date") or "")
    found: list[tuple[str, str, Any]] = [
        ("rows_in", "Rows that came in.", rows.get("in")),
        ("rows_scored", "Rows that were scored.", rows.get("scored")),
        ("rows_quarantined", "Rows that were refused.", rows.get("quarantined")),
        ("seconds", "How long the night took.", record.get("seconds")),
        ("exit_code", "The night's exit code.", record.get("exit_code")),
        ("psi_max", "The largest PSI of a column.", max(known) if known else None),
        ("psi_scores", "The PSI of the scores.", scores.get("psi")),
    ]
    name = {"name": str(record.get("name") or "")}
    lines: list[str] = []
    for metric, about, value in found:
        if isinstance(value, int | float) and not isinstance(value, bool):
            lines += _metric(metric, about, [(name, value)])
    told = [({**name, "verdict": one}, int(one == verdict)) for one in _VERDICTS]
    lines += _metric("verdict", "1 for the verdict of the night.", told)
    lines += _metric("day_info", "The day of the newest night.", [({**name, "day": date}, 1)])
    return "\n".join(lines) + "\n"


def _metric(
    name: str, about: str, values: Sequence[tuple[dict[str, str], int | float]]
) -> list[str]:
    full = f"tfspark_night_{name}"
    lines = [f"# HELP {full} {about}", f"# TYPE {full} gauge"]
    for labels, value in values:
        inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        lines.append(f"{full}{{{inside}}} {value!r}")
    return lines


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
