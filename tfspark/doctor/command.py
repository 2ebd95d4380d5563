"""`tfspark doctor`: look at this machine, and say what is wrong and what mends it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tfspark.console import printable
from tfspark.doctor import machine, software
from tfspark.doctor.child import ChildError, ask
from tfspark.doctor.finding import Finding, Probe, guarded
from tfspark.errors import ConfigError
from tfspark.flags import Parser
from tfspark.mask import mask_text

PROBES: dict[str, Probe] = {
    "Python": software.python,
    "Java": software.java,
    "Spark": software.spark,
    "TensorFlow": software.tensorflow,
    "packages": software.packages,
    "processor": machine.processor,
    "memory": machine.memory,
    "folders": machine.folders,
    "limits": machine.limits,
    "wall around models": machine.wall,
}
_SIGNS = {"ok": "✓", "look": "▲", "bad": "✗"}


def main(argv: Sequence[str]) -> int:
    """See --help."""
    parser = Parser(
        prog="tfspark doctor",
        description="Look at Python, Java, Spark, TensorFlow, packages, processor, memory, folders "
        "and the wall around models, and say what is wrong and what mends it. Ends with "
        f"{ConfigError.exit_code} if jobs would fail here.",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--spark", action="store_true", help="start Spark, too")
    parser.add_argument(
        "--time", action="store_true", help="time a product and a training step, CPU against GPU"
    )
    given = parser.parse(argv)
    probes = {**PROBES, **({"Spark's start": _spark} if given.spark else {})}
    with ThreadPoolExecutor(len(probes)) as pool:
        found = [
            one
            for part in pool.map(lambda item: list(guarded(*item)), probes.items())
            for one in part
        ]
    times: dict[str, dict[str, float]] = {}
    if given.time:  # alone, after all others
        try:
            times = ask("timing", 180)
        except ChildError as error:
            found.append(Finding("timing", "look", str(error)))
    bad = [one for one in found if one.state == "bad"]
    if given.json:
        shown: dict[str, Any] = {"ok": not bad, "findings": [one.to_json() for one in found]}
        print(json.dumps(shown | ({"milliseconds": times} if times else {}), ensure_ascii=False))
    else:
        print("\n".join([*_lines(found), *_times(times)]))
    sys.stdout.flush()
    return ConfigError.exit_code if bad else 0


def _spark() -> list[Finding]:
    name = "Spark's start"
    try:
        found = ask("spark", 180)
    except ChildError as error:
        return [Finding(name, "bad", str(error), "see what is wrong above, Java first")]
    return [Finding(name, "ok", f"{found['version']} in {found['seconds']} s")]


def _lines(found: Sequence[Finding]) -> list[str]:
    width = max(len(one.name) for one in found)
    lines = []
    for one in found:
        said = printable(mask_text(one.said))
        lines.append(f"  {_SIGNS[one.state]} {one.name:<{width}}  {said}")
        if one.todo:
            lines.append(f"    {'':<{width}}  → {printable(mask_text(one.todo))}")
    counts = {state: sum(one.state == state for one in found) for state in ("bad", "look")}
    if counts["bad"]:
        lines.append(f"\n{counts['bad']} wrong, {counts['look']} to look at")
    else:
        lines.append(f"\nall is well{', but look at ▲' if counts['look'] else ''}")
    return lines


def _times(times: dict[str, dict[str, float]]) -> list[str]:
    lines = []
    for name, by in times.items():
        cpu, gpu = by["CPU:0"], by.get("GPU:0")
        beside = f", GPU {gpu:g} ms: {cpu / gpu:.1f} times as fast" if gpu else ""
        lines.append(f"  {name}: CPU {cpu:g} ms{beside}")
    return ["", *lines] if lines else []
