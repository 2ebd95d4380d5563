"""Records of nights, as the chain writes them."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

EVIL = "<script>alert(1)</script></svg><img src=x onerror=alert(2)>"


def column(name: str, bins: int, level: str = "", psi: float = 0.004) -> dict[str, Any]:
    was = [math.exp(-(((i - bins / 2) / (bins / 5)) ** 2)) for i in range(bins)]
    now = [math.exp(-(((i - bins / 2 - psi * 8) / (bins / 5)) ** 2)) for i in range(bins)]
    edges = ["null", *(f"{i} – {i + 1}" for i in range(bins - 1))]
    return {
        "name": name,
        "psi": psi,
        "level": level,
        "form": "number",
        "edges": edges,
        "shares_reference": [one / sum(was) for one in was],
        "shares_day": [one / sum(now) for one in now],
        "warns_above": 0.02,
        "windows": {},
        "said": f"the day: PSI {psi:.3f} ({level})" if level else "",
    }


def record(verdict: str = "yellow", date: str = "2026-11-20", columns: int = 9) -> dict[str, Any]:
    names = ["Fare", "Age", "Pclass", "Sex", "SibSp", "Parch", "Ticket", "Cabin", "Embarked"]
    names += [f"extra_{i}" for i in range(columns - len(names))]
    drifted = [column(n, 12 + i % 9, "", 0.002 * i) for i, n in enumerate(names[1:columns])]
    first = dt.date(2026, 10, 24)
    days = [
        [(first + dt.timedelta(days=i)).isoformat(), 891 - 60 * (i % 7 > 4) + 7 * i % 40]
        for i in range(28)
    ]
    metrics = [
        {
            "date": f"2026-11-{i + 1:02d}",
            "coverage": 1.0 if i < 15 else max(0.0, 1 - 0.22 * (i - 14)),
            "counts": i < 16,
            "metric": "auc",
            "value": 0.86 + 0.012 * math.sin(i) if i < 18 else None,
            "low": 0.83 + 0.012 * math.sin(i) if i < 18 else None,
            "high": 0.89 + 0.012 * math.sin(i) if i < 18 else None,
            "estimate": 0.855 + 0.004 * math.cos(i),
            "said": "",
        }
        for i in range(19)
    ]
    return {
        "name": "passengers",
        "date": date,
        "run": "8c1f4e2a9b",
        "token": "17",
        "started": f"{date}T03:00:04+00:00",
        "ended": f"{date}T03:02:31+00:00",
        "seconds": 147.2,
        "verdict": verdict,
        "exit_code": 0,
        "message": "The day is published. Fare has drifted: look at the prices first.",
        "what_to_do": "Ask who sends the fares what has changed. If it is real, train again."
        if verdict != "green"
        else "",
        "pin": {
            "source": {"version": 41, "rows": 891},
            "model": {"name": "passengers", "version": "7", "digest": "9f2c41d0aa77b1"},
            "contract": "2b8a90c1",
            "settings": "77d01e5f",
            "code": "tfspark 0.1.0, 1403de5",
        },
        "steps": [
            {
                "name": "pin",
                "state": "done",
                "seconds": 0.8,
                "said": "source version 41, model 7",
                "key": "a",
            },
            {
                "name": "prepare",
                "state": "skipped",
                "seconds": 0.0,
                "said": "the same rows as dataset 12",
                "key": "b",
            },
            {
                "name": "gate",
                "state": "done",
                "seconds": 31.0,
                "said": "challenger 8: cannot tell",
                "key": "c",
            },
            {
                "name": "score",
                "state": "done",
                "seconds": 88.4,
                "said": "875 rows, plan scan",
                "key": "d",
            },
            {
                "name": "publish",
                "state": "done",
                "seconds": 1.9,
                "said": "table version 204",
                "key": "e",
            },
            {
                "name": "watch",
                "state": "done",
                "seconds": 4.1,
                "said": "1 column has drifted",
                "key": "f",
            },
            {
                "name": "labels",
                "state": "degraded",
                "seconds": 2.2,
                "said": "labels of 18 November have not come",
                "key": "g",
            },
            {"name": "report", "state": "done", "seconds": 0.3, "said": "", "key": "h"},
        ],
        "rows": {"in": 891, "scored": 875, "quarantined": 16},
        "quarantine_examples": [
            {"row": {"PassengerId": 31, "Name": EVIL}, "reasons": ["Age: -3 is below 0"]},
            {
                "row": {"PassengerId": 32, "Name": "שלום עולם 𝔘𝔫𝔦 " + "x" * 300},
                "reasons": ["Fare: 'abc' is no double", "Sex: null"],
            },
        ],
        "gate": {
            "verdict": "cannot tell",
            "reason": "the rows cannot tell whether challenger 8 is worse by more than 0.005 AUC",
            "metrics": {
                "auc": {
                    "champion": 0.861,
                    "challenger": 0.864,
                    "difference": 0.003,
                    "low": -0.012,
                    "high": 0.018,
                },
                "logloss": {
                    "champion": 0.431,
                    "challenger": 0.428,
                    "difference": 0.003,
                    "low": -0.006,
                    "high": 0.012,
                },
            },
            "rows": 179,
            "slices": [],
            "checks": [
                {"name": "finite and not constant", "passed": True, "said": "std 0.31"},
                {
                    "name": "latency",
                    "passed": False,
                    "said": "p50 1.7 of the champion's, at most 1.5",
                },
            ],
            "rows_needed": 12_400,
        },
        "watch": {
            "verdict": "warn",
            "said": "Fare has drifted (the day: PSI 0.081 (warn))",
            "rows": {
                "in": 891,
                "scored": 875,
                "quarantined": 16,
                "level": "",
                "said": "",
                "same_days": days[::7],
                "days": days,
            },
            "columns": [column("Fare", 14, "warn", 0.081), *drifted],
            "scores": column("probability", 20, "", 0.011),
            "rates": [
                {
                    "name": "quarantine",
                    "before": 0.004,
                    "today": 0.018,
                    "level": "warn",
                    "said": "x",
                },
                {"name": "null Age", "before": 0.199, "today": 0.203, "level": "", "said": ""},
            ],
            "power": {"warns": 0.08, "alerts": 0.2, "seen": 0.12, "deviations": 0.35, "rows": 875},
            "alpha": 0.001,
            "not_computed": [],
        },
        "labels": {
            "metric": "auc",
            "verdict": "ok",
            "said": "0.861 over 15 days that are complete",
            "days": metrics,
        },
        "history": [
            {
                "at": "2026-11-02T09:12:00",
                "version": "7",
                "by": "mara",
                "reason": "better: AUC +0.011 (0.004 to 0.018)",
            },
            {
                "at": "2026-08-19T14:40:00",
                "version": "5",
                "by": "first",
                "reason": "the first version",
            },
        ],
        "published": {
            "table": "warehouse/scored/passengers",
            "version": 204,
            "rows": 875,
            "token": "17",
        },
        "backfilled": False,
    }
