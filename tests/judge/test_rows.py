"""Which rows neither of two models was trained on, by their manifests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.judge import world
from tfspark.config import load_settings
from tfspark.errors import GateError
from tfspark.judge.rows import unseen
from tfspark.registry.resolve import ModelFolder
from tfspark.registry.signature import Signature

TIME = {"by": "time", "column": "day", "test_from": "2026-11-01"}


def of(about: dict[str, Any], version: str) -> ModelFolder:
    signature = Signature({}, {}, "serving_default")
    return ModelFolder("small", version, "", "", {}, signature, {"dataset": about})


@pytest.mark.parametrize(
    ("first", "second", "taken"),
    [
        ({}, {}, 2),
        ({"test": 0.2}, {"test": 0.6}, 1),  # what is tested by the smaller share is by the other
        ({"test": 0.6}, {"test": 0.2}, 2),
        ({"seed": 1}, {}, "other seeds"),
        (TIME, {**TIME, "test_from": "2026-12-01"}, 2),
        ({**TIME, "test_from": "2026-12-01"}, TIME, 1),
        (TIME, {**TIME, "column": "other"}, "other columns of time"),
        (TIME, {}, "not split alike"),
    ],
)
def test_two_datasets(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any], taken: int | str
) -> None:
    settings = load_settings(None, {"warehouse": str(tmp_path)})
    one, other = world.dataset(tmp_path, 1, **first), world.dataset(tmp_path, 2, 1, **second)
    if isinstance(taken, int):
        assert unseen(settings, of(one, "1"), of(other, "2")).version == taken
        assert unseen(settings, of(one, "1"), of(one, "2")).version == 1
        return
    with pytest.raises(GateError, match=taken) as refused:
        unseen(settings, of(one, "1"), of(other, "2"))
    assert refused.value.exit_code == 4


def test_what_cannot_be_known(tmp_path: Path) -> None:
    settings = load_settings(None, {"warehouse": str(tmp_path)})
    one = world.dataset(tmp_path, 1)
    gone = {**one, "version": 7, "digest": "0"}
    with pytest.raises(GateError, match="is gone"):
        unseen(settings, of(gone, "1"), of(one, "2"))
    with pytest.raises(GateError, match="another dataset than it was trained on"):
        unseen(settings, of({**one, "digest": "0"}, "1"), of(one, "2"))
    with pytest.raises(GateError, match="names no dataset"):
        unseen(settings, of({}, "1"), of(one, "2"))
