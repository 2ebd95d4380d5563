"""A night that is killed, and run again, is a night that was not killed."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.night.world import DAY, World
from tests.passengers import content
from tests.sizes import size

LONGEST = 40.0  # seconds of a night, and more
MOMENTS: list[str | None] = size(
    ["score"], soak=["pin", "prepare", "gate", "score", "publish", "watch", *[None] * 294]
)
"""After which step it is killed; None: at any time."""


@pytest.mark.usefixtures("spark")
@pytest.mark.timeout(60 + 120 * len(MOMENTS))
def test_killed_at_any_moment(tmp_path: Path, kill: Callable[..., None]) -> None:
    world, chance = World(tmp_path / "w"), random.Random(7)
    for number, moment in enumerate(MOMENTS):
        day = str(dt.date(2026, 1, 1) + dt.timedelta(days=number))
        world.arrive(day, bad=number % 2)
        night = started(world, day)
        wait_for(world, day, moment, night, chance)
        victim = night.pid if moment else chance.choice([night.pid, *below(night.pid)])
        if night.poll() is None:
            kill(victim)
        code = night.wait(LONGEST * 3)
        if code == 0:
            assert world.night(day, "--status") == 0
        assert world.night(day) == 0, world.said
        assert world.night(day, "--status") == 0
        assert world.rows(day) == list(range(number % 2, 40))
        assert world.nightly("--audit") == 0, world.said
    staged = world.warehouse / "scored" / "_staging"
    assert not list(staged.glob("*"))


@pytest.mark.usefixtures("spark", "soak")  # test_chain.py: another run takes the day over
@pytest.mark.timeout(600)
def test_a_whole_night_that_freezes_and_wakes_up_changes_nothing(
    tmp_path: Path, kill: Callable[..., None]
) -> None:
    """Two processes have one day: the second is sent away, until the first gives no sign of life.

    One of two at once wins, the other ends with 75: which steps it had done does not matter.
    """
    for moment in size(["prepare"], soak=["pin", "prepare", "gate", "score"]):
        world = World(tmp_path / moment)
        world.arrive()
        night = started(world, DAY, "--nightly.lease_seconds", "4")
        wait_for(world, DAY, moment, night, random.Random(7))
        assert world.night(DAY) == 75, world.said
        assert "is done by run" in world.said
        frozen = [night.pid, *below(night.pid)]
        for pid in frozen:
            kill(pid, signal.SIGSTOP)
        until = time.monotonic() + LONGEST * 3
        while (code := world.night(DAY)) == 75 and time.monotonic() < until:
            time.sleep(0.5)
        assert code == 0, world.said
        before = content(world.warehouse / "scored"), world.version()
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        assert night.wait(LONGEST * 3) == 75
        rows = {name: sum for name, sum in before[0].items() if "_staging" not in name}
        after = content(world.warehouse / "scored")
        assert {name: sum for name, sum in after.items() if "_staging" not in name} == rows
        assert world.version() == before[1]
        assert world.rows() == list(range(40))
        assert world.nightly("--audit") == 0, world.said
        assert world.night(DAY, "--status") == 0


def started(world: World, day: str, *flags: str) -> subprocess.Popen[bytes]:
    """A night in a process of its own."""
    command = [sys.executable, "-m", "tfspark", "nightly", "--conf", "spark.master=local[1]"]
    return subprocess.Popen(
        [*command, "--config", str(world.config), "--date", day, *flags],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for(
    world: World,
    day: str,
    moment: str | None,
    night: subprocess.Popen[bytes],
    chance: random.Random,
) -> None:
    """Until the night has come so far, or for so long."""
    file = world.warehouse / "nights" / "rows" / "running" / f"{day}.json"
    until = time.monotonic() + (LONGEST * 3 if moment else chance.uniform(0, LONGEST))
    while time.monotonic() < until and night.poll() is None:
        if moment and file.exists():
            try:
                steps = json.loads(file.read_text())["steps"]
            except FileNotFoundError:
                return
            if any(step["name"] == moment for step in steps):
                return
        time.sleep(0.02)


def below(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in children:
            found += [int(child), *below(int(child))]
    return found
