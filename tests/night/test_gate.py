"""The gate of a night: who is promoted, against whom, and that a pair is judged once."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from tfspark.config import load_settings
from tfspark.console import Steps
from tfspark.errors import Conflict
from tfspark.judge import Verdict
from tfspark.night import gate as module
from tfspark.night.gate import gate
from tfspark.night.record import Records, new
from tfspark.registry.tracking import Version

CHAMPION, CHALLENGER = (Version(n, None, complete=True, gate="passed") for n in (1, 2))


@pytest.mark.parametrize(
    ("verdict", "reason", "promoted"),
    [
        ("better", "", True),
        ("not worse", "", False),
        ("not worse", "retrained on schedule", True),
        ("worse", "retrained on schedule", False),
        ("cannot tell", "retrained on schedule", False),
        ("refused", "", False),
    ],
)
def test_what_a_verdict_leads_to(
    verdict: Any, reason: str, promoted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(
        None, {"name": "m", "warehouse": str(tmp_path), "nightly.reason": reason}
    )
    records, asked = Records(settings), []

    def promote(*given: Any, **named: Any) -> None:
        asked.append((given[1:], named["expected"], named["reason"]))

    monkeypatch.setattr(module, "pair_of", lambda _: (CHAMPION, CHALLENGER))
    monkeypatch.setattr(module, "open_session", lambda *_: None)
    monkeypatch.setattr(module, "judge", lambda *_: Verdict(verdict, "it is said"))
    monkeypatch.setattr(module, "promote", promote)
    found = gate(settings, Steps("nightly"), records)
    assert (found.state, bool(asked)) == ("done", promoted)
    assert found.verdict is not None
    assert found.verdict["promoted"] is promoted
    if promoted:
        assert asked == [(("m", 2), 1, reason or "it is said")]
        assert "it scores from the next night on" in found.said
    record = new("m", dt.date(2026, 11, 20), "r", False, dt.datetime.now(dt.UTC))
    step = {"name": "gate", "state": found.state, "said": found.said, "key": found.key}
    records.put({**record, "steps": [step]})
    again = gate(settings, Steps("nightly"), records)
    assert again.state == "skipped"
    assert again.said == "version 2 was judged on 2026-11-20"


def test_another_promotion_that_was_faster_is_said_and_there_may_be_no_challenger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(None, {"name": "m", "warehouse": str(tmp_path)})
    assert gate(settings, Steps("nightly"), Records(settings)).state == "skipped"
    assert not (tmp_path / "mlflow.db").exists()

    def promote(*_: Any, **__: Any) -> None:
        raise Conflict("another promotion was faster")

    monkeypatch.setattr(module, "pair_of", lambda _: (CHAMPION, CHALLENGER))
    monkeypatch.setattr(module, "open_session", lambda *_: None)
    monkeypatch.setattr(module, "judge", lambda *_: Verdict("better", "it is said"))
    monkeypatch.setattr(module, "promote", promote)
    found = gate(settings, Steps("nightly"), Records(settings))
    assert (found.state, found.key) == ("degraded", None)
    assert "not promoted: another promotion was faster" in found.said
