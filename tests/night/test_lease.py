"""A day is one run's; the dead free it at once, the frozen when their lease has passed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tfspark.errors import StorageError
from tfspark.night.lease import Lease, LeaseLost

HOLD = """
import sys, time
from tfspark.night.lease import Lease, LeaseLost
lease = Lease(sys.argv[1], "d", sys.argv[2], float(sys.argv[3]))
print(lease.number, flush=True)
sys.stdin.readline()
try:
    lease.check()
    print("ours", flush=True)
except LeaseLost as error:
    print("lost", error.exit_code, flush=True)
lease.close()
"""


def holder(folder: Path, run: str, seconds: float) -> subprocess.Popen[str]:
    held = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), run, str(seconds)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert held.stdout
    assert held.stdout.readline().strip().isdigit()
    return held


def test_one_run_has_a_day_and_numbers_only_rise(tmp_path: Path) -> None:
    with Lease(str(tmp_path), "d", "one", 60) as first:
        first.check()
        with pytest.raises(LeaseLost, match=r"is done by run one \(process \d+ of") as lost:
            Lease(str(tmp_path), "d", "two", 60)
        assert lost.value.exit_code == 75
        with Lease(str(tmp_path), "other", "three", 60):
            pass
    with Lease(str(tmp_path), "d", "two", 60) as second:
        assert second.number == first.number + 1
    assert not list(tmp_path.glob("*.held"))


def test_a_lease_that_has_passed_is_taken_and_its_owner_is_told(tmp_path: Path) -> None:
    first = Lease(str(tmp_path), "d", "one", 60)
    about = json.loads((tmp_path / "d.json").read_text())
    (tmp_path / "d.json").write_text(json.dumps({**about, "until": time.time() - 1}))
    with Lease(str(tmp_path), "d", "two", 60) as second:
        with pytest.raises(LeaseLost, match="run two took the day over"):
            first.check()
        second.check()
        first.close()  # takes nothing from the second
        second.check()
        with pytest.raises(LeaseLost, match="run two"):
            Lease(str(tmp_path), "d", "three", 60)


def test_signs_of_life_keep_a_lease(tmp_path: Path) -> None:
    with Lease(str(tmp_path), "d", "one", 0.2):
        time.sleep(0.6)
        with pytest.raises(LeaseLost):
            Lease(str(tmp_path), "d", "two", 60)


def test_a_broken_lease_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text("{")
    with pytest.raises(StorageError, match="is no lease; remove it when no night runs"):
        Lease(str(tmp_path), "d", "one", 60)


def test_the_dead_free_their_day_at_once_and_the_frozen_lose_it(
    tmp_path: Path, kill: Callable[..., None]
) -> None:
    dead = holder(tmp_path, "dead", 600)
    kill(dead.pid)
    dead.communicate()
    frozen = holder(tmp_path, "frozen", 1.5)
    with pytest.raises(LeaseLost):
        Lease(str(tmp_path), "d", "early", 60)
    kill(frozen.pid, signal.SIGSTOP)
    for _ in range(200):
        try:
            other = Lease(str(tmp_path), "d", "other", 60)
            break
        except LeaseLost:
            time.sleep(0.1)
    frozen.send_signal(signal.SIGCONT)
    assert frozen.communicate("\n", timeout=60)[0].split() == ["lost", "75"]
    other.check()
    other.close()
