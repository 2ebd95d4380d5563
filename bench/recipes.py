"""The recipes houses and a text of 46 classes, beside scikit-learn on the same rows.

Prints the error of prices (gradient boosting of the logarithm) and the share of right classes (a
linear model of TF-IDF), each on the test split.
"""

from __future__ import annotations

import csv
import json
import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from tfspark.cli import main as job

ROOT = Path(__file__).parent.parent
TOPICS, ROWS = 46, 12_000
CONTRACT = """
kind: DataContract
id: topics
version: 1.0.0
schema:
  - name: topics
    properties:
      - {name: id, physicalType: bigint, primaryKey: true, required: true, role: key}
      - {name: text, physicalType: string, required: true}
      - {name: topic, physicalType: int, required: true, role: label}
"""


def main(options: list[str]) -> int:
    """Train both, and print both figures of each."""
    with tempfile.TemporaryDirectory() as folder:
        ours, rows = _trained(folder, "houses", {})
        theirs = _boosted(rows)
        print(f"houses  rmse      tfspark {ours['rmse']:,.0f}   scikit-learn {theirs:,.0f}")
        ours, rows = _trained(folder, "topics", _topics(Path(folder)))
        theirs = _linear(rows)
        print(f"topics  accuracy  tfspark {ours['accuracy']:.4f}   scikit-learn {theirs:.4f}")
    return 0


def _trained(folder: str, name: str, more: dict[str, Any]) -> tuple[dict[str, float], Any]:
    """Metrics of the test split, and the splits' rows as they were prepared."""
    recipe = "houses" if name == "houses" else "reviews"
    settings = {
        "config": ROOT / "conf" / f"{recipe}.yaml",
        "contract": ROOT / "schemas" / f"{recipe}.yaml",
        "source.path": ROOT / "examples" / recipe / f"{recipe}.csv",
        "warehouse": folder,
        "registry.gate": "{}",
        **more,
    }
    flags = [text for key, value in settings.items() for text in (f"--{key}", str(value))]
    for step in ("prepare", "train"):
        if job(step, flags):
            raise SystemExit(f"{name}: {step} failed")
    told = json.loads(Path(folder, "models", name, "1", "tfspark.json").read_text())
    data = Path(folder, "datasets", name, "1")
    return told["metrics"]["test"], [
        pq.read_table(data / split).to_pandas() for split in ("train", "validation", "test")
    ]


def _boosted(rows: Any) -> float:
    import pandas as pd
    from sklearn.ensemble import HistGradientBoostingRegressor

    train, validation, test = rows
    fit = pd.concat([train, validation])
    named = ("city", "district", "kind", "energy", "heating")

    def columns(table: Any) -> Any:
        x = table.drop(columns=["id", "price"])
        x["sold_on"] = pd.to_datetime(x["sold_on"]).astype("int64")
        for name in named:
            x[name] = pd.Categorical(x[name], sorted(fit[name].dropna().unique()))
        return x

    model = HistGradientBoostingRegressor(categorical_features="from_dtype", random_state=0)
    model.fit(columns(fit), np.log1p(fit["price"]))
    found = np.expm1(model.predict(columns(test)))
    return float(np.sqrt(np.mean((found - test["price"]) ** 2)))


def _topics(folder: Path) -> dict[str, Any]:
    """Texts of 46 topics, of which a fifth of the words tells something; written as CSV."""
    draw = random.Random(0)
    words = [f"w{number}" for number in range(3_000)]
    own = [draw.sample(words, 60) for _ in range(TOPICS)]
    with (folder / "topics.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text", "topic"])
        for number in range(ROWS):
            topic = min(int(draw.expovariate(0.08)), TOPICS - 1)
            told = draw.choices(own[topic], k=5) + draw.choices(words, k=20)
            draw.shuffle(told)
            writer.writerow([number, " ".join(told), topic])
    (folder / "topics.yaml").write_text(CONTRACT)
    return {
        "name": "topics",
        "contract": folder / "topics.yaml",
        "source.path": folder / "topics.csv",
        "features": '[{"kind": "text", "column": "text", "encode": {"embedding": 64}}]',
        "model.task": "multiclass",
        "model.output": "probabilities",
        "model.threshold": 0.5,
    }


def _linear(rows: Any) -> float:
    import pandas as pd
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    train, validation, test = rows
    fit = pd.concat([train, validation])
    model = make_pipeline(TfidfVectorizer(), LogisticRegression(C=10, max_iter=500))
    model.fit(fit["text"], fit["topic"])
    return float((model.predict(test["text"]) == test["topic"]).mean())
