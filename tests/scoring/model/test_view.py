"""What one process sees of the machine's models."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tfspark.scoring.model import cache as models
from tfspark.scoring.model.view import View


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "a" / "variables").mkdir(parents=True)
    (tmp_path / "a" / "saved_model.pb").write_text("graph")
    (tmp_path / "a" / "variables" / "data").write_text("numbers")
    return tmp_path / "a"


def test_it_holds_links_to_the_models_that_are_shown(tmp_path: Path, model: Path) -> None:
    view = View(tmp_path)
    assert list(view.path.iterdir()) == []
    for _ in range(2):
        seen = view.show(model)
        assert seen == view.path / "a"
        assert (seen / "variables" / "data").samefile(model / "variables" / "data")
        model.rename(tmp_path / "old")  # as a repair does it
        (tmp_path / "a").mkdir()
        (model / "variables").mkdir()
        (model / "variables" / "data").write_text("mended")
        (tmp_path / "old").rename(tmp_path / f"old-{os.urandom(2).hex()}")
    view.close()
    assert not view.path.exists()
    assert (model / "variables" / "data").read_text() == "mended"


def test_without_links_it_holds_copies(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: str, target: str) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    view = View(tmp_path)
    assert (view.show(model) / "saved_model.pb").read_text() == "graph"
    view.close()


def test_it_goes_when_its_process_is_gone(tmp_path: Path, model: Path) -> None:
    alive, gone = View(tmp_path), View(tmp_path)
    gone.show(model)
    os.close(gone._lock)  # as the kernel does
    models.sweep(str(tmp_path), 1 << 30)
    assert [alive.path.exists(), gone.path.exists()] == [True, False]
    assert (model / "saved_model.pb").read_text() == "graph"
    alive.close()
