"""What a model may reach: the parts of the wall, and the limit of memory."""

from __future__ import annotations

import resource
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tfspark.scoring.worker import limits, seccomp
from tfspark.scoring.worker.readable import readable


def verdict(calls: seccomp._Calls, machine: int, number: int) -> int:
    """What the filter says of a call, as the kernel runs it."""
    steps, at, held = seccomp._steps(calls), 0, 0
    while True:
        step = steps[at]
        at += 1
        if step.code == seccomp._LOAD:
            held = {seccomp._NUMBER: number, seccomp._MACHINE: machine}[step.value]
        elif step.code == seccomp._RETURN:
            return int(step.value)
        else:
            equal = step.code == seccomp._EQUAL
            found = held == step.value if equal else held >= step.value
            at += step.then if found else step.otherwise


@pytest.mark.parametrize("machine", seccomp._MACHINES)
def test_which_calls_are_refused(machine: str) -> None:
    calls = seccomp._MACHINES[machine]
    refused = {n for n in range(600) if verdict(calls, calls.machine, n) == seccomp._REFUSE}
    assert refused == set(calls.refused)
    assert verdict(calls, calls.machine, seccomp._FOREIGN) == seccomp._REFUSE
    assert verdict(calls, 0x40000003, 1) == seccomp._REFUSE  # a process of 32 bits
    assert verdict(calls, calls.machine, 1) == seccomp._GO_ON


def test_places_of_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, target, archive = tmp_path / "project", tmp_path / "target", tmp_path / "lib.zip"
    (project / "mine").mkdir(parents=True)
    (project / "mine" / "__init__.py").touch()
    (target / "numbers-1.0.dist-info").mkdir(parents=True)
    zipfile.ZipFile(archive, "w").close()
    for place in (project, target, archive):
        monkeypatch.syspath_prepend(str(place))
    __import__("mine")
    try:
        found = readable(gpu=False)
    finally:
        del sys.modules["mine"]
    assert {target, archive, project / "mine", Path(sys.prefix)} <= set(found)
    assert not {project, tmp_path, Path("/"), Path("/proc"), Path("/etc")} & set(found)


def test_a_model_that_is_not_open_in_time_ends_its_worker() -> None:
    code = (
        "import time\n"
        "from tfspark.scoring.worker.deadline import opening\n"
        "with opening('early', 60): pass\n"
        "with opening('late', 0.01): time.sleep(60)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 75
    assert ran.stderr.startswith("tfspark: model late: was not open after 0.01 s (spark.tfspark.d")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2g", 2 << 30), ("700m", 700 << 20), ("1024", 1 << 30), ("5 GB", 5 << 30), ("7b", 7)],
)
def test_sizes(text: str, expected: int) -> None:
    assert limits.bytes_of(text) == expected


GB = 10**9
FREE = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("given", "heap", "address_space", "before", "expected"),
    [
        (0, 3 * GB, FREE, FREE, 8 * GB),  # 10 in all, 1 of them allocated
        (0, 9 * GB, FREE, FREE, 6 * GB),
        (2 * GB, 3 * GB, FREE, FREE, 3 * GB),
        (0, 3 * GB, FREE, 4 * GB, 4 * GB),
        (0, 3 * GB, 2 * GB, FREE, None),
        (2 * GB, 0, 2 * GB, FREE, 3 * GB),
        (0, 0, FREE, FREE, None),
    ],
)
def test_the_limit(
    monkeypatch: pytest.MonkeyPatch,
    given: int,
    heap: int,
    address_space: int,
    before: int,
    expected: int | None,
) -> None:
    set_to: list[Any] = []
    now = {resource.RLIMIT_AS: address_space, resource.RLIMIT_DATA: before}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (now[kind], FREE))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: set_to.append(limits))
    monkeypatch.setattr(limits, "_allocated", lambda: GB)
    monkeypatch.setattr(limits, "_total", lambda: 10 * GB)
    limits.limit_memory(given, heap)
    limits.limit_memory(given, heap, hard=True)
    assert set_to == ([] if expected is None else [(expected, FREE), (expected, expected)])


def test_memory_of_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_CGROUPS", tmp_path)
    machine = limits._total()
    assert machine == limits._kib(limits._MACHINE, "MemTotal") > 0
    (tmp_path / "memory.max").write_text("max\n")
    assert limits._total() == machine
    (tmp_path / "memory.max").write_text("1000000\n")
    assert limits._total() == 1_000_000
    assert limits._allocated() > 0
