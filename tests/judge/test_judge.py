"""Real models, judged on the test split of a dataset by a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.judge import world
from tfspark import storage
from tfspark.config import load_settings
from tfspark.console import Steps
from tfspark.judge import Verdict, judge
from tfspark.registry.resolve import resolve_model
from tfspark.registry.tracking import Version
from tfspark.scoring.worker.parent import Child

Judge = Callable[..., Verdict]
CHAMPION, CHALLENGER = (Version(n, None, complete=True, gate="passed") for n in (1, 2))


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    """One process for all of these tests: TensorFlow takes seconds to start."""
    one = Child()
    close, one.close = one.close, lambda: None  # type: ignore[method-assign]
    yield one
    close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse: a dataset of which 3,000 rows are for tests, and a champion that is good."""
    folder = tmp_path_factory.mktemp("judge")
    about = world.dataset(folder)
    for name, more in {
        "champion": {"x": 1.5, "z": 0.4},
        "better": world.RIGHT,
        "worse": {"x": 0.7, "z": -0.4},
        "noisy": {"x": 1.5, "z": 0.4, "noise": 0.3},
        "constant": {"bias": 0.3},
        "nan": {**world.RIGHT, "plan": "nan"},
        "slow": {**world.RIGHT, "plan": "slow"},
        "named": {**world.RIGHT, "output": "p"},
        "moved": {**world.RIGHT, "bias": 1.5},
        "at": {**world.RIGHT, "plan": "at"},
        "golden": {**world.RIGHT, "golden": [[0.5]] * 20},
        "poor": {"x": -0.05, "z": 0.02},
    }.items():
        world.model(folder / "models" / name, about, **more)
    world.model(folder / "models" / "swapped", about, x=1.0, z=1.5)
    weighed = world.dataset(folder, 2, weighed=True)
    for name, weights in {"one": {"x": 1.5, "z": 0.4}, "two": world.RIGHT}.items():
        world.model(folder / "models" / f"weighed-{name}", weighed, **weights)
    for task in ("regression", "multiclass"):
        for name, weights in {"one": {"x": 0.3}, "two": {"x": 0.25, "z": 0.15}}.items():
            target = folder / "models" / f"{task}-{name}"
            bias = 0.5 if task == "regression" else 0.0
            world.model(target, about, task=task, bias=bias, **weights)
    return folder


@pytest.fixture
def run(made: Path, child: Child, monkeypatch: pytest.MonkeyPatch) -> Judge:
    """Judges `challenger` beside `champion`, two folders; more are settings of the gate."""

    def run(challenger: str, champion: str = "champion", score: Any = None, **gate: Any) -> Verdict:
        folders = {1: made / "models" / champion, 2: made / "models" / challenger}
        monkeypatch.setattr("tfspark.judge.scores.Child", lambda: child)
        monkeypatch.setattr(
            "tfspark.judge.job._folder",
            lambda _, version: resolve_model(str(folders[version.number])),
        )
        given = {f"gate.{name}": value for name, value in gate.items()}
        given |= {f"score.{name}": value for name, value in (score or {}).items()}
        settings = load_settings(None, {"warehouse": str(made), "name": "small", **given})
        return judge(None, settings, Steps("judge"), CHAMPION, CHALLENGER)

    return run


def test_what_is_said_of_a_challenger(run: Judge, made: Path) -> None:
    better = run("better")
    assert (better.verdict, better.rows) == ("better", 3000), better.reason
    assert all(check.passed for check in better.checks)
    assert {check.name for check in better.checks} == {
        *("gate", "size", "signature", "scored", "finite", "not constant", "golden rows"),
        *("mean score", "bins", "latency", "leak"),
    }
    kept = storage.read_json(str(made / "judged/small/2-against-1.json"))
    assert kept == json.loads(json.dumps(better.to_json()))
    assert kept["metrics"]["auc"]["low"] > 0

    worse = run("worse")
    assert worse.verdict == "worse"
    assert worse.metrics["auc"]["high"] < 0
    equal = run("champion")
    assert equal.verdict == "not worse"
    assert equal.metrics["auc"]["difference"] == 0
    unclear = run("noisy", margin={"auc": 0.001})
    assert unclear.verdict == "cannot tell", unclear.reason
    assert unclear.rows_needed > 3000
    assert f"{unclear.rows_needed:,} rows would tell" in unclear.reason
    few = run("better", least_rows=4000)
    assert (few.verdict, few.rows_needed > 4000) == ("cannot tell", True)


@pytest.mark.parametrize(
    ("challenger", "gate", "check", "said"),
    [
        ("constant", {}, "not constant", "same score"),
        ("nan", {}, "finite", "NaN or infinite"),
        ("slow", {}, "latency", "ms a batch"),
        ("named", {}, "signature", "outputs p (float32[1]), the champion's are probability"),
        ("moved", {}, "mean score", "the labels' 0.49"),
        ("golden", {}, "golden rows", "20 scores differ"),
        ("better", {"size_mb": 0.001}, "size", "MiB, at most 0.001"),
        ("better", {"bins": 0.01}, "bins", "in another tenth"),
    ],
)
def test_what_is_refused(
    run: Judge, challenger: str, gate: dict[str, Any], check: str, said: str
) -> None:
    verdict = run(challenger, **gate)
    assert verdict.verdict == "refused"
    assert said in verdict.reason
    assert [one.name for one in verdict.checks if not one.passed] == [check]


def test_a_leak_and_a_slice(run: Judge) -> None:
    leak = run("better", champion="poor", mean=9.0)
    assert (leak.verdict, leak.reason.split(":")[0]) == ("refused", "leak suspected")
    assert [check.name for check in leak.checks if not check.passed] == ["leak"]
    whole = run("at", champion="poor", leak=1.0, mean=9.0, slices=["country"])
    assert whole.verdict == "worse"
    assert "country=AT (gate.slices)" in whole.reason
    assert {one["value"]: one["worse"] for one in whole.slices} == {
        "AT": True,
        **dict.fromkeys(["DE", "FR", "IT"], False),
    }
    fine = run("better", slices=["country"])
    assert fine.verdict == "better"
    assert not any(one["worse"] for one in fine.slices)
    unknown = run("better", slices=["town"])
    assert (unknown.verdict, "no column town" in unknown.reason) == ("refused", True)


def test_columns_that_feed_other_inputs(run: Judge) -> None:
    turned = run("swapped", score={"inputs": {"x": "z", "z": "x"}}, mean=9.0, latency=1000)
    plain = run("better", latency=1000)
    assert turned.metrics["auc"]["challenger"] == plain.metrics["auc"]["challenger"]
    assert turned.metrics["auc"]["champion"] != plain.metrics["auc"]["champion"]
    fixed = run("swapped", "champion", score={"constants": {"x": 0.0}}, mean=9.0, latency=1000)
    # Both rank by z alone, but for ties of float32.
    assert fixed.metrics["auc"]["difference"] == pytest.approx(0, abs=1e-4), fixed.reason
    wrong = run("better", score={"inputs": {"x": "town"}})
    assert wrong.verdict == "refused"
    assert "input x (float64, shape []) is mapped to the column town" in wrong.reason


def test_rows_with_weights_and_rows_that_belong_together(run: Judge) -> None:
    weighed, plain = run("weighed-two", "weighed-one", latency=1000), run("better", latency=1000)
    assert weighed.rows == plain.rows
    # Of the rows that count x is above 0, so it tells less of them.
    assert weighed.metrics["auc"]["champion"] < plain.metrics["auc"]["champion"] - 0.05
    by_key = run("better", cluster="id", slices=["country"], latency=1000)
    assert by_key.verdict == "better", by_key.reason
    assert by_key.metrics["auc"]["difference"] == plain.metrics["auc"]["difference"]
    assert by_key.metrics["auc"]["low"] == pytest.approx(plain.metrics["auc"]["low"], abs=0.003)
    assert {one["column"] for one in by_key.slices} == {"country"}
    few = run("better", cluster="country", latency=1000)
    assert few.verdict == "cannot tell", few.reason
    assert "6 values of gate.cluster (country), at least 30 are wanted" in few.reason


@pytest.mark.parametrize(("task", "metric"), [("regression", "mse"), ("multiclass", "logloss")])
def test_other_tasks(run: Judge, task: str, metric: str) -> None:
    better = run(f"{task}-two", f"{task}-one", leak=0.001, mean=9.0, slices=["country"])
    assert better.verdict == "better", better.reason
    assert next(iter(better.metrics)) == metric
    back = run(f"{task}-one", f"{task}-two", mean=9.0)
    assert back.verdict == "worse"
    assert back.metrics[metric]["difference"] == -better.metrics[metric]["difference"]
    other = run(f"{task}-one")
    assert other.verdict == "refused"


def test_whatever_goes_wrong_is_a_refusal(
    run: Judge, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = run("better", deadline=1e-9)
    assert (late.verdict, "gate.deadline" in late.reason) == ("refused", True)
    missing = run("nobody")
    assert (missing.verdict, missing.reason.split(":")[0]) == ("refused", "ModelNotFound")
    world.model(made / "models" / "unknown", None, **world.RIGHT)
    unknown = run("unknown")
    assert "cannot be known which rows" in unknown.reason
    assert run("better").verdict == "better"
    monkeypatch.setattr("tfspark.judge.job.measure", lambda *_: 1 / 0)
    assert run("better").reason == "ZeroDivisionError: division by zero"
    kept = storage.read_json(str(made / "judged/small/2-against-1.json"))
    assert kept["verdict"] == "refused"  # and not what was said before


def test_the_first_has_only_its_own_gate(run: Judge, made: Path) -> None:
    run("better")
    settings = load_settings(None, {"warehouse": str(made), "name": "small"})
    assert judge(None, settings, Steps("judge"), None, CHALLENGER).verdict == "better"
    failed = Version(2, None, complete=True, gate="failed")
    assert judge(None, settings, Steps("judge"), None, failed).verdict == "refused"
    beside = judge(None, settings, Steps("judge"), CHAMPION, failed)
    assert beside.reason == "gate: registry.gate: failed"
