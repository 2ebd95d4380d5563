"""Fixtures of tests of the process that scores."""

from __future__ import annotations

import pytest

from tests.conftest import ROOT
from tfspark.registry import resolve
from tfspark.scoring.worker import guard, opened


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are opened unchecked, here and in a child: the wall alone stops them."""
    guard.close()
    monkeypatch.setattr(resolve, "check_ops", lambda *_, **_more: None)
    monkeypatch.setattr(opened, "check_ops", lambda *_, **_more: None)
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "scoring" / "check_off"))  # which a child runs
