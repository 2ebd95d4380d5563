"""Nights of a small table, in one session: what is published is right, whatever stops them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.night.world import DAY, World
from tests.passengers import content
from tests.sizes import size
from tfspark.errors import SourceMissing
from tfspark.night import chain
from tfspark.night.lease import Lease
from tfspark.night.record import BEFORE, Record, Records

NEXT = "2026-11-21"


@pytest.mark.usefixtures("spark")
def test_an_empty_day_is_published_where_the_contract_has_such(tmp_path: Path) -> None:
    world = World(tmp_path / "w", least=0)
    assert world.night() == 75  # no file is no empty day
    world.arrive(rows=0)
    assert world.night() == 0, world.said
    record = json.loads((world.warehouse / "nights" / "rows" / f"{DAY}.json").read_text())
    assert record["rows"] == {"in": 0, "scored": 0, "quarantined": 0}
    assert [step["state"] for step in record["steps"] if step["name"] == "prepare"] == ["skipped"]
    assert (world.version(), world.rows()) == (0, [])
    assert world.night(DAY, "--status") == 0
    assert world.night() == 0
    assert "nothing to do" in world.said
    world.arrive()  # late
    assert world.night() == 0, world.said
    assert (world.version(), len(world.rows())) == (1, 40)
    assert world.nightly("--audit") == 0


class Killed(BaseException):
    """What no `except Exception` stops."""


@pytest.mark.usefixtures("spark")
def test_a_night_its_second_run_and_a_late_file(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    assert world.night() == 75
    assert "is not there" in world.said
    assert world.night(DAY, "--deadline", "12:00") == 3
    assert world.night(DAY, "--status") == 3
    assert world.nightly("--due", "--date", DAY, "--deadline", "12:00") == 3  # nothing changed
    assert "nothing changed since" in world.said
    world.arrive(bad=1)
    assert world.night(DAY, "--explain") == 0
    assert "score with model: the day is not published" in world.said
    assert world.version() == -1
    assert world.nightly("--due", "--date", DAY) == 0
    assert (world.version(), len(world.rows())) == (0, 39)
    record = json.loads((world.warehouse / "nights" / "rows" / f"{DAY}.json").read_text())
    assert record["verdict"] == "yellow"  # a folder without a manifest: nothing to compare with
    assert record["rows"] == {"in": 40, "scored": 39, "quarantined": 1}
    assert record["quarantine_examples"] == [{"row": {"id": "0"}, "reasons": ["f0: (not public)"]}]
    assert [step["name"] for step in record["steps"]][:5] == [*BEFORE]
    # Again: nothing is done, by any way of asking.
    before = content(world.warehouse / "scored")
    for flags in (["--date", DAY], ["--due", "--date", DAY], ["--from", DAY, "--to", DAY]):
        assert world.nightly(*flags) == 0
        assert "nothing to do" in world.said
    assert world.night(DAY, "--prepare.split.seed", "5") == 0
    assert "the settings changed; --force does it again" in world.said
    assert content(world.warehouse / "scored") == before
    assert world.nightly("--audit") == 0
    # A late file: seen by the next night, though that day is not there yet.
    world.arrive(name="b", rows=5)
    assert world.night(NEXT, "--lookback", "3") == 75
    assert (world.version(), len(world.rows())) == (1, 44)
    assert world.nightly("--audit") == 0
    assert world.night(DAY, "--status") == 0


@pytest.mark.usefixtures("spark")
def test_what_stops_a_night_leaves_the_table_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path / "w")
    world.arrive()
    records, real = str(world.warehouse / "nights" / "rows"), Records.begin
    # Killed at a border, and run again.
    borders = size(("prepare", "publish"), soak=tuple(BEFORE))
    for number, border in enumerate(borders):

        def begin(self: Records, record: Record, border: str = border) -> None:
            real(self, record)
            if record["steps"][-1]["name"] == border:
                raise Killed

        monkeypatch.setattr(Records, "begin", begin)
        with pytest.raises(Killed):
            world.night(DAY, "--force")
        monkeypatch.setattr(Records, "begin", real)
        assert world.night(DAY, "--status") == 75
        assert world.night() == 0
        assert world.night(DAY, "--status") == 0
        assert world.version() <= number
        assert len(world.rows()) == 40
        assert world.nightly("--audit") == 0
    before = content(world.warehouse / "scored"), (Path(records) / f"{DAY}.json").read_bytes()
    # Another run has the day.
    with Lease(f"{records}/leases", DAY, "other", 60):
        assert world.night(DAY, "--force") == 75
        assert "is done by run other" in world.said

    # It took the day over while this one was frozen; or the source changed while it was read.
    def frozen(*_: Any) -> Any:
        path = Path(records) / "leases" / f"{DAY}.json"
        about = json.loads(path.read_text())
        path.write_text(json.dumps({**about, "run": "other", "number": about["number"] + 1}))
        return {"kind": "delta", "value": None}

    with monkeypatch.context() as patch:
        patch.setattr(chain, "source_of", frozen)
        assert world.night(DAY, "--force") == 75
        assert "run other took the day over; this run changed nothing" in world.said
    after = content(world.warehouse / "scored"), (Path(records) / f"{DAY}.json").read_bytes()
    assert after == before
    with monkeypatch.context() as patch:
        patch.setattr(chain, "source_of", lambda *_: {"kind": "content", "value": "other"})
        assert world.night(DAY, "--force") == SourceMissing.exit_code
        assert "changed while it was read; nothing was published" in world.said
    assert content(world.warehouse / "scored") == before[0]
    assert world.night(DAY, "--status") == 75
    assert world.night() == 0
    assert content(world.warehouse / "scored") == before[0]
    assert world.night(DAY, "--status") == 0
