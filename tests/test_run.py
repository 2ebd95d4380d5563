"""What a job's settings become: the arguments of the library's functions."""

from __future__ import annotations

from typing import Any

import pytest

from tfspark import run, scoring
from tfspark.config import Settings
from tfspark.console import Steps
from tfspark.contracts.contract import Quarantine

ASKED: dict[str, Any] = {
    "model": "models/m/1",
    "signature": "regress",
    "inputs": {"x": ["a", "b"]},
    "constants": {"rate": 0.5},
    "outputs": {"y": "p"},
    "binary": ["y", "image"],
    "max_bad_rows": 7,
}
GIVEN = {
    "limit": Quarantine(max_share=None, max_rows=7),
    "signature": "regress",
    "inputs": {"x": ["a", "b"], "rate": {"constant": 0.5}},
    "outputs": {"y": {"name": "p", "type": "binary"}, "image": {"type": "binary"}},
}


class Ended(Exception):
    pass


@pytest.mark.parametrize(
    ("job", "settings"),
    [
        (run.score, {"score": {**ASKED, "input": "in", "output": "./out"}, "date": "2026-11-20"}),
        (run.stream, {"stream": {**ASKED, "input": "in", "output": "./out", "checkpoint": "c"}}),
    ],
)
def test_settings_reach_the_model(job: Any, settings: Any, monkeypatch: Any) -> None:
    given: dict[str, Any] = {}

    def called(*arguments: Any, **named: Any) -> None:
        inputs = {"inputs": arguments[5]} if len(arguments) > 5 else {}
        given.update(inputs, model=arguments[2], **named)
        raise Ended

    monkeypatch.setattr(run, "_session", lambda *_: None)
    for name in ("score_table", "score_stream"):
        monkeypatch.setattr(scoring, name, called, raising=False)
    with pytest.raises(Ended):
        job(Settings(**settings), Steps("test", "run"))
    assert given["model"] == "models/m/1"
    assert {name: given[name] for name in GIVEN} == GIVEN
