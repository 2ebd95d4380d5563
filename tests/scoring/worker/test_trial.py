"""A model on trial behind the wall, before the JVM opens it; here the check lets all through."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from tests import saved_models as models
from tests.scoring import hostile
from tfspark.errors import StorageError
from tfspark.registry.resolve import resolve_model
from tfspark.scoring.plans import trial
from tfspark.scoring.worker import landlock
from tfspark.scoring.worker.parent import Child

pytestmark = [
    pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock"),
    pytest.mark.usefixtures("unchecked"),
]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Those of a session."""
    settings: dict[str, Any] = {"wall": "auto", "deadline": 60.0}
    child = Child()
    monkeypatch.setattr(trial, "_child", child)
    monkeypatch.setattr(trial, "scorer_settings", lambda _: settings)
    yield settings
    child.close()


def test_what_reaches_for_files_is_refused(
    settings: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spark: Any = None
    new, canary, words = tmp_path / "new", tmp_path / "canary", tmp_path / "words"
    canary.write_text("canary\n")
    words.write_text("a\nb\n")
    write = lambda: tf.raw_ops.WriteFile(filename=str(new), contents="new")  # noqa: E731
    made = [
        hostile.at_opening(tmp_path / "opener", words, write),
        hostile.reader(tmp_path / "reader", canary),
    ]
    for folder in made:
        with pytest.raises(StorageError, match="cannot be opened: .*Permission denied"):
            trial.tried(spark, resolve_model(folder))
    assert not new.exists()
    # Honest ones pass, and once is enough; what fails otherwise is the JVM's to tell.
    honest = resolve_model(models.mixed(tmp_path / "mixed"))
    trial.tried(spark, honest)
    trial._child.close()
    trial.tried(spark, honest)
    assert trial._child._process is None
    gone = resolve_model(models.picky(tmp_path / "gone"))
    Path(gone.path, "saved_model.pb").write_bytes(b"x")
    with caplog.at_level(logging.WARNING):
        trial.tried(spark, gone)
    assert "gone: could not be tried behind a wall: " in caplog.text
    settings["wall"] = "never"
    trial.tried(spark, resolve_model(made[0]))
