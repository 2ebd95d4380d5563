"""The two files: a contract and a recipe, with what was seen of every column beside it."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfspark.console import printable
from tfspark.starter.facts import Facts, told
from tfspark.starter.guess import Guess
from tfspark.starter.look import Looked
from tfspark.starter.yamlline import yaml_line

_VOCABULARY = 200
"""Different values up to which each gets a place of its own."""
_FEW_NUMBERS = 10
_SKEWED = 100


def contract_text(
    name: str, where: str, looked: Looked, columns: Sequence[Facts], of: Guess
) -> str:
    """The contract, as YAML."""
    rows = looked.rows.num_rows
    seen = f"all {rows:,} rows" if looked.whole else f"the first {rows:,} rows"
    lines = [
        f"# What {printable(where)} must look like, guessed from {seen}.",
        "# Each line says what was seen. Correct what you know better: docs/contracts.md.",
        "apiVersion: v3.0.2",
        "kind: DataContract",
        f"id: {yaml_line(name)}",
        "version: 1.0.0",
        "schema:",
        f"  - name: {yaml_line(name)}",
        "    # More bad rows than this share stop a job; fewer go to the quarantine table.",
        f"    quarantine: {{maxShare: {_share(rows, looked, columns, of)}}}",
        "    properties:",
    ]
    for column in columns:
        lines.append(f"      # {_about(column, of)}")
        if column.type:
            lines.append(f"      - {yaml_line(_property(column, of))}")
    return "\n".join(lines) + "\n"


def recipe_text(
    name: str,
    where: str,
    contract: str,
    looked: Looked,
    columns: Sequence[Facts],
    of: Guess,
    day: dt.date,
) -> str:
    """The recipe, as YAML."""
    rows = looked.rows.num_rows
    source: dict[str, Any] = {"format": looked.format, "path": where}
    if looked.options:
        source["options"] = looked.options
    test = 0.2 if rows < 10_000 else 0.1
    batch = min(1024, max(32, 2 ** round(math.log2(max(rows, 1) / 100))))
    lines = [
        f"# From {printable(where)} to a scored table.",
        "# All settings: docs/training.md, docs/features.md.",
        f"name: {yaml_line(name)}",
        f"contract: {yaml_line(contract)}",
        "# The day that prepare and score work on; --date replaces it.",
        f"date: {day.isoformat()}",
        "",
        f"source: {yaml_line(source)}",
        "",
        "prepare:",
        "  split:",
        "    by: hash          # of the key: the same row is always in the same split",
        f"    test: {test}",
        "    validation: 0.1",
        "",
        "# What the model sees of a row.",
        "features:",
    ]
    used: set[str] = set()
    for column in columns:
        role, why = of.roles[column.name]
        if role in ("feature", "time"):
            lines.append(f"  - {yaml_line(_feature(column, used, why == 'text'))}")
        elif role == "ignore":
            lines.append(f"  # {printable(column.name)}: not used, {why}")
        elif why == "text":
            lines.append(f"  # {printable(column.name)}: not used: it is the key")
    lines += [
        "",
        "model:",
        *_model(rows, of),
        f"  task: {of.task}",
        "",
        "training:",
        "  epochs: 100         # at most; it stops when validation no longer gets better",
        f"  patience: {10 if rows < 100_000 else 3}",
        f"  batch_size: {batch}",
        "  learning_rate: 0.003",
        "",
        "score:",
        f"  model: models:/{name}@champion",
        f"  keep: {yaml_line(list(of.key))}",
    ]
    return "\n".join(lines) + "\n"


def _model(rows: int, of: Guess) -> list[str]:
    units = [64, 32] if rows < 100_000 else [256, 128]
    features = [why for role, why in of.roles.values() if role in ("feature", "time")]
    if all(why == "text" for why in features):
        return [
            "  builder: tfspark.models.text:bag   # or :conv, which reads words in their order",
            "  params: {dropout: 0.3}",
        ]
    return [
        "  builder: tfspark.models.structured:mlp   # or your own, module:function",
        f"  params: {{units: {units}}}",
    ]


def _share(rows: int, looked: Looked, columns: Sequence[Facts], of: Guess) -> float:
    """Room for twice as many bad rows as there are now, and at least a hundredth."""
    bad = looked.odd + of.doubled
    for column in columns:
        bad += len(column.odd)
        if of.roles[column.name][0] in ("key", "label"):
            bad += column.nulls
    return max(0.01, min(0.5, math.ceil(200 * bad / max(rows, 1)) / 100))


def _property(column: Facts, of: Guess) -> dict[str, Any]:
    role, _ = of.roles[column.name]
    said: dict[str, Any] = {"name": column.name, "physicalType": column.type}
    if role == "key":
        said |= {"primaryKey": True, "required": True, "role": "key"}
    elif role == "label":
        said |= {"required": True, "role": "label"}
        if of.task != "regression" and column.type != "boolean":
            values = sorted(column.values.drop_null().unique().to_pylist())
            said["validValues"] = [
                v if isinstance(v, str | int | float) else str(v) for v in values
            ]
    elif role in ("ignore", "time"):
        said["role"] = role
    if column.type.startswith("decimal"):
        said["tensor"] = {"dtype": "float64"}
    if column.number and role == "feature" and column.distinct > 2:
        low, high = _room(column)
        said["logicalTypeOptions"] = {"minimum": low, "maximum": high}
    return said


def _room(column: Facts) -> tuple[Any, Any]:
    """Bounds as far from what was seen as that is wide; what is never below 0 stays above."""
    finite = [v for v in (column.least, column.most) if math.isfinite(v)]
    least, most = (finite[0], finite[-1]) if finite else (0, 0)
    wide = (most - least) or abs(most) or 1
    low = 0 if least >= 0 else _round(least - wide, down=True)
    high = 0 if most <= 0 else _round(most + wide, down=False)
    limit = {"tinyint": 7, "smallint": 15, "int": 31, "bigint": 63}.get(column.type)
    if limit is not None:
        low, high = max(low, -(2**limit)), min(high, 2**limit - 1)
    return low, high


def _round(number: float, down: bool) -> int | float:
    """Outwards, to two digits."""
    unit = 10.0 ** (math.floor(math.log10(abs(number))) - 1)
    steps = math.floor(number / unit) if down else math.ceil(number / unit)
    found = steps * unit
    return int(found) if abs(found) >= 1 and float(found).is_integer() else float(f"{found:.3g}")


def _text(column: Facts) -> dict[str, Any]:
    """Of a text, its words: as many as nearly all have, those that are there twice at least."""
    length = min(500, max(10, 10 * math.ceil(column.words[1] / 10)))
    said: dict[str, Any] = {"kind": "text", "column": column.name, "length": length}
    return said | {"size": 10_000, "min_count": 2, "encode": {"embedding": 16}}


def _feature(column: Facts, used: set[str], prose: bool) -> dict[str, Any]:
    name = re.sub(r"[^A-Za-z0-9_]+", "_", column.name).strip("_") or "column"
    name = name if name[0].isalpha() else f"c_{name}"
    base, number = name, 2
    while name.lower() in used:
        name, number = f"{base}_{number}", number + 1
    used.add(name.lower())
    said: dict[str, Any] = {"name": name}
    if prose:
        return said | _text(column)
    if column.type == "string" or (
        column.type in ("tinyint", "smallint", "int", "bigint") and column.distinct <= _FEW_NUMBERS
    ):
        if column.distinct <= _VOCABULARY:
            return said | {"kind": "vocabulary", "column": column.name}
        buckets = min(2 ** math.ceil(math.log2(2 * column.distinct)), 1_000_000)
        width = min(32, max(4, round(column.distinct**0.25) * 2))
        encode = {"embedding": width}
        return said | {"kind": "hash", "column": column.name, "buckets": buckets, "encode": encode}
    said |= {"kind": "numeric", "column": column.name}
    if column.nulls and column.type != "boolean":
        said |= {"impute": "median", "missing_flag": True}
    if column.number and column.least is not None and column.least >= 0 and _skewed(column):
        said["transform"] = "log1p"
    return said


def _skewed(column: Facts) -> bool:
    values = np.asarray(column.values.drop_null(), "float64")
    values = np.sort(values[np.isfinite(values)])
    return len(values) > 0 and bool(values[-1] > _SKEWED * max(values[len(values) // 2], 1e-9))


def _about(column: Facts, of: Guess) -> str:
    role, why = of.roles[column.name]
    said = [f"{column.name}:"]
    if not column.type:
        return f"{told(column.name)}: left out, a contract has no type for it"
    if column.nulls:
        said.append(f"{column.nulls:,} of {column.rows:,} missing;")
    if column.unique:
        said.append("every row has its own;")
    elif column.distinct:
        said.append(f"{column.distinct:,} different;")
    if (column.distinct and column.distinct <= 12) or (
        column.type == "string" and not column.unique
    ):
        top = ", ".join(f"{told(value)} ({count:,})" for value, count in column.common[:5])
        said.append(f"most often {top};")
    elif column.least is not None:
        said.append(f"{told(column.least)} to {told(column.most)};")
    if column.zeros:
        said.append("begins with zeros, so it is text;")
    if column.odd:
        said.append(f"not {column.type}: {', '.join(told(w) for w in column.odd[:3])};")
    if column.doubt:
        said.append(f"{column.doubt};")
    if role == "ignore":
        said.append(f"not used: {why};")
    if role == "key" and of.doubled:
        said.append(f"{of.doubled:,} rows have the key of another one: bad rows;")
    if role == "label":
        said.append("what is predicted;")
    return printable(" ".join(said).rstrip(";"))
