"""The metric by late labels, on the page of a night."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfspark.page import plots
from tfspark.page.words import cut, day_of, interval, number, parts, said, share, tone

_TABLE, _PLOT = 10, 90


def view(labels: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the template shows of `Labelled.to_json()`."""
    if not labels:
        return None
    days = sorted(parts(labels.get("days")), key=lambda one: str(one.get("date")))[-_PLOT:]
    metric = labels.get("metric") or next((d["metric"] for d in days if d.get("metric")), "metric")
    verdict = cut(labels.get("verdict")) or "ok"
    return {
        "metric": cut(metric, 40),
        "verdict": verdict,
        "tone": tone(verdict),
        "said": said(labels.get("said")),
        "plot": plots.metric(days) if days else None,
        "days": [
            {
                "date": day_of(one.get("date")),
                "value": number(one.get("value")),
                "interval": interval(one.get("low"), one.get("high")),
                "coverage": share(one.get("coverage")),
                "estimate": number(one.get("estimate")),
                "said": cut(one.get("said"), 200),
            }
            for one in reversed(days[-_TABLE:])
        ],
    }
