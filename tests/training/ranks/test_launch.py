"""The launcher with real Spark, real processes, real Horovod."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import ROOT
from tests.sizes import size
from tfspark.config import Distributed
from tfspark.errors import ConfigError, TfsparkError, TrainingError
from tfspark.training.ranks.attempt import Attempt
from tfspark.training.ranks.launch import launch

HERE = Path(__file__).parents[1]
MEET = "tfspark.training.ranks.rank:meet"
APART = "rank_functions:no_horovod"
Reports = list[dict[str, Any]]


@pytest.fixture(scope="module")
def session(spark: Any) -> Any:
    """Spark ships the module of the ranks' work, as `--py-files` does."""
    spark.sparkContext.addPyFile(str(HERE / "rank_functions.py"))
    return spark


@pytest.fixture
def start(session: Any, process: None, tmp_path: Path) -> Callable[..., Reports]:
    """Launch `rank_functions:NAME`; gives the reports. No process of it may be left."""

    def run(
        name: str,
        spec: dict[str, Any] | None = None,
        meet: str = APART,
        answer: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda report: None,
        reports: Reports | None = None,
        **settings: Any,
    ) -> Reports:
        said: Reports = [] if reports is None else reports

        def on_report(report: dict[str, Any]) -> dict[str, Any] | None:
            said.append(report)
            return answer(report)

        asked = Distributed(**{"ranks": 2, "launcher": "spark", **settings})
        whole = {"folder": str(tmp_path), **(spec or {})}
        work = f"rank_functions:{name}"
        try:
            launch(whole, asked, on_report, lambda: session, run=work, meet=meet)
        finally:
            assert left(tmp_path) == []
        return said

    return run


def left(folder: Path) -> list[str]:
    """Ranks whose processes stay; one that has closed its connections may take a moment to end."""
    until = time.monotonic() + 120
    while (found := alive(folder)) and time.monotonic() < until:
        time.sleep(0.05)
    return found


def alive(folder: Path) -> list[str]:
    """Ranks whose processes are still there (a zombie is none)."""
    found = []
    for file in folder.glob("pid-*"):
        with suppress(psutil.NoSuchProcess):
            if psutil.Process(int(file.read_text())).status() != psutil.STATUS_ZOMBIE:
                found.append(file.name)
    return found


def of(reports: Reports, kind: str) -> Reports:
    return [report for report in reports if report["kind"] == kind]


@pytest.mark.parametrize("ranks", size([2], soak=[1, 2]))
def test_ranks_meet(ranks: int, start: Callable[..., Reports]) -> None:
    sums = of(start("add", meet=MEET, ranks=ranks), "sum")
    assert {report["rank"] for report in sums} == set(range(ranks))
    for report in sums:
        assert report["total"] == ranks * (ranks + 1) / 2
        assert report["size"] == ranks
        assert report["local_rank"] == report["rank"]


def test_what_a_rank_finds(start: Callable[..., Reports]) -> None:
    spec = {"text": "é ✓", "deep": [{"of": [1, 2.5, None]}]}
    reports = start("surroundings", spec=spec)
    assert reports[0] == {"kind": "attempt", "rank": None, "attempt": 1, "tries": 3, "ranks": 2}
    first, second = sorted(of(reports, "surroundings"), key=lambda report: report["rank"])
    cores = sorted(os.sched_getaffinity(0))
    for number, report in enumerate((first, second)):
        assert report["environment"]["CUDA_VISIBLE_DEVICES"] == "-1"
        assert report["environment"]["HOROVOD_CYCLE_TIME"] == "20"
        assert report["environment"]["TF_NUM_INTRAOP_THREADS"] == str(max(1, len(cores) // 2))
        assert report["spec"].items() >= spec.items()
        assert report["world"] == [number, 2]
        assert "tensorflow" not in report["modules"]
    if len(cores) > 1:
        assert not set(first["cores"]) & set(second["cores"])


def test_threads_and_binding_as_asked(start: Callable[..., Reports]) -> None:
    for report in of(start("surroundings", threads=3, pin=False), "surroundings"):
        assert report["environment"]["TF_NUM_INTRAOP_THREADS"] == "3"
        assert report["cores"] == sorted(os.sched_getaffinity(0))


def test_after_a_worker_that_has_tensorflow(session: Any, start: Callable[..., Reports]) -> None:
    """Spark keeps its Python workers; a rank has nothing of what they imported."""

    def import_tensorflow(_: Iterable[int]) -> Iterator[int]:
        import tensorflow as tf

        assert tf.__version__
        yield os.getpid()

    tasks = session.sparkContext.parallelize(range(2), 2)
    workers = set(tasks.mapPartitions(import_tensorflow).collect())
    for _ in range(2):
        found = of(start("surroundings"), "surroundings")
        assert {report["spark_worker"] for report in found} & workers
        for report in found:
            assert "tensorflow" not in report["modules"]


def test_too_few_slots_of_this_machine_are_not_waited_for(start: Callable[..., Reports]) -> None:
    with pytest.raises(
        ConfigError, match=r"3 ranks need 3 slots.*local\[2\].* has 2 after 0 s.*--ranks"
    ):
        start("add", ranks=3, slots_seconds=500)


def test_fewer_ranks_where_that_is_allowed(start: Callable[..., Reports]) -> None:
    reports = start("surroundings", ranks=3, least_ranks=2)
    assert of(reports, "attempt")[0]["ranks"] == 2
    assert len(of(reports, "surroundings")) == 2
    assert "2 ranks instead of 3" in of(reports, "note")[0]["text"]


def test_an_error_of_a_rank_arrives_as_it_is_at_once(start: Callable[..., Reports]) -> None:
    reports: Reports = []
    with pytest.raises(TrainingError) as caught:
        start("refuse", reports=reports)
    assert str(caught.value) == "loss is NaN at step 7"
    assert caught.value.exit_code == 5
    assert len(of(reports, "attempt")) == 1


def test_a_fault_in_a_rank_is_not_tried_again(start: Callable[..., Reports]) -> None:
    reports: Reports = []
    with pytest.raises(TfsparkError) as caught:
        start("crash", reports=reports)
    assert type(caught.value) is TfsparkError
    assert caught.value.exit_code == 1
    assert str(caught.value).startswith("rank 0 (host ")
    assert "ValueError: a mistake in the model" in str(caught.value)
    assert len(of(reports, "attempt")) == 1


@pytest.mark.usefixtures("kill")
def test_a_killed_rank_costs_a_try(start: Callable[..., Reports], tmp_path: Path) -> None:
    reports = start("die_once")
    assert [report["attempt"] for report in of(reports, "attempt")] == [1, 2]
    (note,) = of(reports, "note")
    assert "try 1 of 3 was lost: rank 1 (host " in note["text"]
    assert "was killed by SIGKILL" in note["text"]
    assert {report["attempt"] for report in of(reports, "working")} == {1, 2}
    assert len(list(tmp_path.glob("pid-*"))) == 4


@pytest.mark.usefixtures("kill")
def test_a_rank_killed_while_the_others_wait_for_it(start: Callable[..., Reports]) -> None:
    reports = start("die_in_collective", meet=MEET)
    (note,) = of(reports, "note")
    assert "rank 1 (host " in note["text"]
    assert "SIGKILL" in note["text"]
    assert [(r["attempt"], r["total"]) for r in of(reports, "sum")] == [(2, 2.0)] * 2


@pytest.mark.usefixtures("kill")
@pytest.mark.parametrize(
    ("patience", "late", "said"),
    [
        (400, 3, r"rank 1 \(host \S+, pid .* was killed by SIGKILL"),
        (0, 600, r"rank 0 .* its peers"),
    ],
)
def test_who_was_killed_is_said_where_the_others_are_quicker(
    patience: int,
    late: int,
    said: str,
    start: Callable[..., Reports],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tfspark.training.ranks.attempt._NEWS_SECONDS", patience)
    (note,) = of(start("miss", {"late": late}), "note")
    assert re.search(said, note["text"])


@pytest.mark.usefixtures("kill")
def test_a_driver_that_was_stopped_blames_no_rank(
    start: Callable[..., Reports], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came in meanwhile is not read yet when it looks at the clock again."""
    take_all, reports, stopped = Attempt._take_all, list[dict[str, Any]](), list[bool]()

    def stopped_once(attempt: Attempt, patience: float) -> None:
        if not stopped and len({report["rank"] for report in of(reports, "step")}) == 2:
            stopped.append(True)
            time.sleep(12)
        else:
            take_all(attempt, patience)

    monkeypatch.setattr(Attempt, "_take_all", stopped_once)
    start(
        "until_told",
        answer=lambda _: {"stop": bool(stopped)},
        reports=reports,
        stall_seconds=9,
    )
    assert len(of(reports, "attempt")) == len(stopped) == 1


@pytest.mark.usefixtures("kill")
def test_after_the_last_try_all_that_was_seen_is_said(start: Callable[..., Reports]) -> None:
    reports: Reports = []
    with pytest.raises(TrainingError) as caught:
        start("die_once", {"times": 9}, reports=reports, tries=2)
    assert len(of(reports, "attempt")) == 2
    for number in (1, 2):
        assert f"try {number}: rank 1 (host " in str(caught.value)


@pytest.mark.usefixtures("kill")
@pytest.mark.parametrize(
    ("how", "said"),
    [("sleep", r"step 1, in read\) made no step for"), ("stop", "gave no sign of life for")],
)
def test_a_rank_that_hangs_is_named(how: str, said: str, start: Callable[..., Reports]) -> None:
    reports: Reports = []
    with pytest.raises(TrainingError, match=rf"^rank 1 \(host \S+, pid \d+, .*{said}") as caught:
        start("hang", {"how": how}, reports=reports, stall_seconds=8)
    assert caught.value.exit_code == 5
    assert len(of(reports, "attempt")) == 1


@pytest.mark.usefixtures("kill")
def test_ranks_that_do_not_meet_are_named(start: Callable[..., Reports]) -> None:
    with pytest.raises(TrainingError, match=r"rank 1 \(.*did not get as far as meeting"):
        start("add", meet="rank_functions:meet_late", start_seconds=12)


@pytest.mark.usefixtures("kill")
def test_a_killed_spark_worker_takes_its_rank_along(
    start: Callable[..., Reports], tmp_path: Path
) -> None:
    workers: dict[int, int] = {}

    def answer(report: dict[str, Any]) -> dict[str, Any]:
        if report["kind"] == "step" and len(workers) < 2:
            workers[report["rank"]] = report["spark_worker"]
            if len(workers) == 2:
                os.kill(workers[1], signal.SIGKILL)
        return {"stop": report.get("attempt") == 2}

    reports = start("until_told", answer=answer)
    assert [report["attempt"] for report in of(reports, "attempt")] == [1, 2]
    assert len(list(tmp_path.glob("pid-1-*"))) == 2


def test_ctrl_c_ends_the_stage(start: Callable[..., Reports], session: Any) -> None:
    def running() -> list[int]:
        return list(session.sparkContext.statusTracker().getActiveJobsIds())

    def interrupt(report: dict[str, Any]) -> None:
        if report["kind"] == "working":
            assert running() != []
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        start("sleep", answer=interrupt)
    until = time.monotonic() + 120  # Spark's own tracker hears of it a little later
    while (jobs := running()) and time.monotonic() < until:
        time.sleep(0.05)
    assert jobs == []


def test_an_error_of_the_driver_ends_the_stage(start: Callable[..., Reports]) -> None:
    def fail(report: dict[str, Any]) -> None:
        if report["kind"] == "working":
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        start("sleep", answer=fail)


def test_one_rank_needs_no_spark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    said: Reports = []
    spec = {"folder": str(tmp_path)}
    launch(spec, Distributed(), said.append, no_spark, run="rank_functions:surroundings")
    assert [report["kind"] for report in said] == ["surroundings"]
    assert said[0]["world"] == [0, 1]


def no_spark() -> Any:
    raise AssertionError("Spark was started")


def driver(scenario: str, master: str, folder: Path, *conf: str) -> tuple[int, Reports]:
    """Run `cluster_driver.py` as a process of its own."""
    done = subprocess.run(
        [sys.executable, str(HERE / "cluster_driver.py"), scenario, master, str(folder), *conf],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert lines, done.stderr[-3000:]
    return done.returncode, lines


@pytest.mark.usefixtures("process", "soak")  # a job under horovodrun: test_strategies.py
def test_horovodrun_starts_the_ranks(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("horovodrun")), "--gloo", "-np", "2"]
    command += ["--start-timeout", "300", "--gloo-timeout-seconds", "300"]
    done = subprocess.run(
        [*command, sys.executable, str(HERE / "cluster_driver.py"), "add", "none", str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said = [json.loads(line[line.index("{") :]) for line in done.stdout.splitlines() if "{" in line]
    sums = of(said, "sum")
    assert {(report["rank"], report["total"]) for report in sums} == {(0, 3.0), (1, 3.0)}


def test_dynamic_allocation_is_refused(tmp_path: Path) -> None:
    code, said = driver("add", "local[2]", tmp_path, "spark.dynamicAllocation.enabled=true")
    assert code == 2
    assert "spark.dynamicAllocation.enabled=false" in said[-1]["message"]


@pytest.mark.usefixtures("kill")
def test_executors_that_are_killed(tmp_path: Path, standalone_cluster: Any) -> None:
    """One comes back: again two ranks."""
    with standalone_cluster(tmp_path / "cluster", workers=2, cores=1) as master:
        code, said = driver("executor_killed", master, tmp_path)
        assert code == 0, said
        assert [report["ranks"] for report in of(said, "attempt")] == [2, 2]
        assert "ExecutorLostFailure" in of(said, "note")[0]["text"]
        assert left(tmp_path) == []


@pytest.mark.usefixtures("kill", "soak")  # test_survive.py trains on fewer than before
def test_executors_that_stay_away(tmp_path: Path, standalone_cluster: Any) -> None:
    """One goes with its worker: one rank is enough."""
    with standalone_cluster(tmp_path / "cluster", workers=2, cores=1) as master:
        code, said = driver("too_many", master, tmp_path)
        assert code == 2
        assert "4 ranks need 4 slots" in said[-1]["message"]
        assert "has 2 after 2 s" in said[-1]["message"]
        code, said = driver("worker_killed", master, tmp_path)
        assert code == 0, said
        assert [report["ranks"] for report in of(said, "attempt")] == [2, 1]
        assert left(tmp_path) == []


@pytest.mark.usefixtures("kill", "soak")  # test_survive.py kills one that trains
def test_a_killed_driver_leaves_no_rank(tmp_path: Path, standalone_cluster: Any) -> None:
    with standalone_cluster(tmp_path / "cluster", workers=2, cores=1) as master:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "cluster_driver.py"), "sleep", master, str(tmp_path)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        with process.stdout as lines:
            working = 0
            while working < 2:
                line = next(lines)
                working += line.startswith("{") and json.loads(line)["kind"] == "working"
            assert len(alive(tmp_path)) == 2
            process.kill()
            process.wait()
        assert left(tmp_path) == []
