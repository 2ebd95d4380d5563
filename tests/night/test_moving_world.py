"""Nights of a world that moves, in one session: what is published and said is what it knows."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path

import pytest

from tests.night.moving import CHALLENGERS, FIRST, Moving
from tests.sizes import size
from tfspark.champions import current
from tfspark.night import after

ODD = ["late", "broken", "better", "unclear", "empty", "bad", "drifted"]
THIRTY = [
    *["plain"] * 5, "late", "plain", "plain", "empty", "plain", "bad", "plain", "broken",
    *["plain"] * 2, "better", *["plain"] * 2, "unclear", *["plain"] * 2, "unwatched", "new",
    *["drifted"] * 7,
]  # fmt: skip


@pytest.mark.usefixtures("spark", "whole_jobs")
@pytest.mark.timeout(1800)
def test_nights_of_a_moving_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world, took = Moving(tmp_path), []
    kinds: list[str] = size(ODD, soak=THIRTY)
    for number, kind in enumerate(kinds):
        day = FIRST + dt.timedelta(days=number)
        yesterday = day - dt.timedelta(days=1)
        began = time.monotonic()
        one_night(world, day, kind, monkeypatch)
        took.append(time.monotonic() - began)
        if number and kinds[number - 1] == "late":  # what came after its night is in the table now
            assert len(world.good[yesterday]) > 600
        assert world.wrong() == [], (day, kind)
    assert world.run("nightly", "--audit") == 0, world.said
    assert world.run("clean", "--yes", "--date", str(FIRST + dt.timedelta(days=60))) == 0
    assert world.run("nightly", "--audit") == 0, world.said
    assert world.wrong() == []
    print(f"a night: {sum(took) / len(took):.1f} s, at most {max(took):.1f} s")


def one_night(world: Moving, day: dt.date, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    version, verdict = CHALLENGERS.get(kind, (0, ""))
    if version:
        world.comes(version)
    world.arrives(day, kind)
    if kind == "empty":
        assert world.night(day) == 75, world.said
        assert "has no rows for" in world.said
        assert world.night(day, "--deadline", "12:00") == 3
        del world.good[day]
        return
    if kind == "bad":
        assert world.night(day) == 3, world.said
        assert "300 of 600 rows are bad" in world.said
        assert world.wrong() == []
        world.arrives(day)  # a better file, the next morning
    if kind in ("unwatched", "broken"):
        with monkeypatch.context() as patch:
            patch.setattr(after, "watched", lambda _: 1 / 0)
            assert world.night(day) == 0, world.said
        record = world.record(day)
        assert (record["verdict"], record["exit_code"]) == ("yellow", 0)
        assert "division by zero" in record["message"]
    before = world.champion
    # The nights after a late file look back.
    assert world.night(day, "--lookback", "3") == 0, world.said
    record = world.record(day)
    expected = "alert" if kind in ("new", "drifted") else "ok"
    assert record["watch"]["verdict"] == expected, (day, kind, record["watch"])
    assert record["published"]["pin"]["model"]["version"] == str(before)
    if version:
        assert record["gate"]["verdict"] == verdict, record["gate"]
        assert record["gate"]["promoted"] is (verdict == "better")
        if verdict == "better":
            world.champion = version
    else:
        assert record["gate"] is None
    now = current(world.settings, "small")
    assert now is not None
    assert now.version == world.champion
    if kind == "late":
        world.arrives(day, name="b")
        assert world.wrong() != []
        after_it = day + dt.timedelta(days=1)  # not there yet, so the call ends with 75
        assert world.run("nightly", "--date", str(after_it), "--lookback", "3") == 75
