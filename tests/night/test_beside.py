"""The challenger beside the champion: a share of the keys, all rows in a table of its own."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml
from deltalake import DeltaTable

from tests import saved_models as models
from tests.night.world import DAY, World
from tfspark import storage
from tfspark.champions.state import verdict_file
from tfspark.config import load_settings
from tfspark.errors import ModelFailed, StorageError
from tfspark.night import beside
from tfspark.night.pin import model_of
from tfspark.night.record import Records, new
from tfspark.registry.manifest import write_manifest
from tfspark.registry.signature import Signature
from tfspark.registry.tracking import Version
from tfspark.scoring.kinds.model import ABOUT
from tfspark.scoring.worker.many import ShareScorer, in_share
from tfspark.tensors import TensorSpec

CHAMPION, CHALLENGER = (Version(n, None, complete=True, gate="passed") for n in (1, 2))


def test_a_share_of_the_keys_is_the_same_on_all_days_and_another_for_another_salt() -> None:
    keys = [pa.array(range(20_000)), pa.array(["a", None] * 10_000)]
    first = in_share(keys, "m/2", 0.1)
    assert 1_800 < first.sum() < 2_200
    assert (in_share([keys[0].cast(pa.int32()), keys[1]], "m/2", 0.1) == first).all()
    assert (in_share([key[500:900] for key in keys], "m/2", 0.1) == first[500:900]).all()
    both = first & in_share(keys, "m/3", 0.1)
    assert both.sum() < 300
    assert not in_share(keys, "m/2", 0).any()


def test_who_scores_beside_the_champion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"name": "m", "warehouse": str(tmp_path), "nightly.canary.key": ["id"]}
    given |= {"nightly.canary.share": 0.1, "nightly.canary.days": 2}
    settings = load_settings(None, given)
    records, day = Records(settings), dt.date(2026, 11, 20)
    champion = {"uri": "models:/m/1", "name": "m", "version": "1", "digest": "a"}
    found = {"uri": "models:/m/2", "name": "m", "version": "2", "digest": "b"}
    monkeypatch.setattr(beside, "pair_of", lambda _: (CHAMPION, CHALLENGER))
    monkeypatch.setattr(beside, "model_of", lambda *_: found)
    said = verdict_file(settings, "m", 2, 1)
    for verdict in (None, "refused", "worse"):  # nobody has judged it, or the gate refused it
        if verdict:
            storage.write_json(said, {"verdict": verdict})
        assert beside.with_challenger(settings, champion, records, day) == champion
    storage.write_json(said, {"verdict": "cannot tell"})
    both = beside.with_challenger(settings, champion, records, day)
    about = {"uri": "models:/m/2", "version": "2", "digest": "b"}
    assert both == {
        **champion,
        "canary": {**about, "share": 0.1, "salt": "m/2", "keys": ["id"]},
    }
    # Its days end; a day that is done again is no further one.
    for number in (18, 19):
        record = new("m", day.replace(day=number), "r", False, dt.datetime.now(dt.UTC))
        records.put({**record, "published": {"pin": {"model": both}}})
    assert beside.with_challenger(settings, champion, records, day) == champion
    again = beside.with_challenger(settings, champion, records, day.replace(day=19))
    assert "canary" in again
    # Another champion scores tonight, or the registry is away: it scores alone.
    other = {**champion, "version": "7"}
    assert beside.with_challenger(settings, other, records, day.replace(day=19)) == other

    def away(_: object) -> None:
        raise StorageError("is away")

    monkeypatch.setattr(beside, "pair_of", away)
    alone = beside.with_challenger(settings, champion, records, day.replace(day=19))
    assert alone["said"] == "the challenger is left out: is away"


@pytest.mark.usefixtures("spark")
def test_a_night_with_a_canary_and_a_shadow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, other = World(tmp_path / "w"), models.mlp(tmp_path / "other", features=2)
    for number, folder in enumerate((world.model, other), 1):
        write_manifest(folder, {"name": "rows", "version": str(number)})
    config = yaml.safe_load(world.config.read_text())
    config["nightly"] = {"shadow": True, "canary": {"share": 0.4}, "prepare": False}
    world.config.write_text(yaml.safe_dump(config))
    settings = load_settings(str(world.config))
    monkeypatch.setattr(beside, "pair_of", lambda _: (CHAMPION, CHALLENGER))
    monkeypatch.setattr(beside, "model_of", lambda settings, _: model_of(settings, other))
    storage.write_json(verdict_file(settings, "rows", 2, 1), {"verdict": "not worse"})
    world.arrive(bad=1)
    assert world.night() == 0, world.said
    assert "canary 2 on 40.0%" in world.said
    scored = DeltaTable(settings.scored).to_pyarrow_table().to_pylist()
    chosen = in_share([pa.array([row["id"] for row in scored])], "rows/2", 0.4)
    assert [row["model_version"] == "2" for row in scored] == chosen.tolist()
    assert 0 < sum(chosen) < 39
    shadow = DeltaTable(f"{settings.scored}_shadow").to_pyarrow_table().to_pylist()
    assert len(shadow) == 39
    assert {row["model_version"] for row in shadow} == {"2"}
    assert world.nightly("--audit") == 0, world.said
    assert world.night() == 0
    assert "nothing to do" in world.said
    # Done again, its split is the recorded one, whatever is asked for now.
    assert world.night(DAY, "--force", "--nightly.canary.share", "0") == 0, world.said
    again = DeltaTable(settings.scored).to_pyarrow_table().to_pylist()
    versions = {row["id"]: row["model_version"] for row in scored}
    assert {row["id"]: row["model_version"] for row in again} == versions
    record = json.loads((world.warehouse / "nights" / "rows" / f"{DAY}.json").read_text())
    assert [step["state"] for step in record["steps"] if step["name"] == "shadow"] == ["done"]


class Fake:
    """A model that adds to its one column, and fails for what is above a bound, or for all."""

    feeds = (SimpleNamespace(columns=1),)
    signature = Signature({}, {"y": TensorSpec("int64")})

    def __init__(self, plus: int, bound: int, broken: bool = False) -> None:
        self.plus, self.bound, self.broken = plus, bound, broken

    def __call__(self, columns: Sequence[pa.Array]) -> tuple[list[pa.Array], pa.Array]:
        if self.broken:
            raise ModelFailed("it crashed")
        (x,) = columns
        high = pc.greater(x, self.bound)
        said = pc.if_else(high, pa.scalar("too high"), pa.scalar(None, pa.string()))
        return [pc.add(x, self.plus)], said


@pytest.mark.parametrize("broken", [False, True])
def test_what_the_canary_fails_for_is_the_champions(broken: bool) -> None:
    outputs = {"y": TensorSpec("int64"), **dict.fromkeys(ABOUT, TensorSpec("string"))}
    about = (("m", "1", "a"), ("m", "2", "b"))
    pair: Any = Fake(1000, 90), Fake(2000, 50, broken)
    scorer = ShareScorer(1, 0.5, "m/2", about, pair, Signature({}, outputs))
    x = pa.array(range(100))
    chosen = in_share([x], "m/2", 0.5)
    (y, _, version, _), reasons = scorer([x, x, x])
    for row in range(100):
        second = chosen[row] and row <= 50 and not broken
        if row > 90:
            assert (reasons[row].as_py(), version[row].as_py()) == ("too high", None)
        else:
            told = (2000 + row, "2") if second else (1000 + row, "1")
            assert (y[row].as_py(), version[row].as_py()) == told
            assert reasons[row].as_py() is None
