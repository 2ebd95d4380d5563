"""What is recorded of a day, and what `--status` says of it, without Spark."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tfspark.cli import main
from tfspark.config import Settings, load_settings
from tfspark.errors import ConfigError
from tfspark.night.decide import current, decide, skips_prepare
from tfspark.night.pin import Pin
from tfspark.night.record import Record, Records, is_done, new
from tfspark.night.repair import repair
from tfspark.night.table import Day

DAY = dt.date(2026, 11, 20)


def settings_of(folder: Path) -> Settings:
    return load_settings(None, {"name": "rows", "warehouse": str(folder)})


def pin_of(**more: Any) -> Pin:
    about: dict[str, Any] = {
        "source": {"value": "s", "missing": False},
        "model": {"uri": "m", "name": "m", "version": "1", "digest": "d"},
        "contract": "c",
        "settings": "x",
        "code": "1",
    }
    return Pin(**{**about, **more})


def record_of(run: str, rows: int = 3, code: int = 0, published: bool = True) -> Record:
    record = new("rows", DAY, run, False, dt.datetime(2026, 11, 21, tzinfo=dt.UTC))
    record |= {"exit_code": code, "verdict": "red" if code else "green", "pin": pin_of().to_json()}
    record["message"] = "said"
    if published:
        about = {"table": "t", "day": str(DAY), "version": 1, "rows": rows, "token": run}
        record["published"] = {**about, "key": pin_of().scored, "pin": pin_of().to_json()}
    return record


def day_of(run: str, rows: int = 3) -> Day:
    return Day(frozenset({run}), rows, ("day=2026-11-20/a.parquet",), frozenset())


def status(folder: Path) -> int:
    return main(
        "nightly", ["--name", "rows", "--warehouse", str(folder), "--date", str(DAY), "--status"]
    )


@pytest.mark.parametrize("code", [0, 2, 3, 4, 75])
def test_status_ends_with_the_recorded_code(
    code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Records(settings_of(tmp_path)).end(record_of("r", code=code))
    assert status(tmp_path) == code
    said = capsys.readouterr().out
    assert f"nightly 2026-11-20: {'red' if code else 'green'}" in said
    assert "said" in said


def test_a_day_without_a_record_or_whose_last_run_has_not_ended_is_not_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(tmp_path) == 75
    assert "not done" in capsys.readouterr().out
    records = Records(settings_of(tmp_path))
    records.end(record_of("first"))
    records.begin(record_of("second"))
    assert status(tmp_path) == 75
    assert "has not ended" in capsys.readouterr().out
    records.end(record_of("second"))
    assert status(tmp_path) == 0
    assert len(list((tmp_path / "nights" / "rows" / "runs").iterdir())) == 2


def test_status_starts_neither_spark_nor_tensorflow(tmp_path: Path) -> None:
    Records(settings_of(tmp_path)).end(record_of("r", code=3))
    script = (
        "import sys; from tfspark.cli import main; code = main('nightly', sys.argv[1:]); "
        "print(sorted({'pyspark', 'tensorflow', 'mlflow', 'deltalake', 'pandas'} & "
        "set(sys.modules))); sys.exit(code)"
    )
    flags = ["--name", "rows", "--warehouse", str(tmp_path), "--date", str(DAY), "--status"]
    ran = subprocess.run(
        [sys.executable, "-c", script, *flags],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 3, ran.stderr
    assert ran.stdout.endswith("[]\n"), ran.stdout


def test_a_day_is_redone_for_what_changed_and_for_nothing_else() -> None:
    record, there = record_of("r"), day_of("r")
    assert not decide(record, there, pin_of(), force=False).score
    assert decide(record, there, pin_of(), force=True).why == "--force"
    assert decide(None, None, pin_of(), force=False).why == "the day is not published"
    job = {**record, "published": {**record["published"], "key": None, "pin": None}}
    assert "which is no night's" in decide(job, there, pin_of(), force=False).why
    late = pin_of(source={"value": "other", "missing": False})
    assert decide(record, there, late, force=False).why == "the source changed"
    gone = decide(record, there, pin_of(source={"value": None, "missing": True}), force=False)
    assert (gone.score, gone.left) == (False, True)
    newer = decide(record, there, pin_of(code="2"), force=False)
    assert (newer.score, newer.left) == (False, True)
    assert newer.why == "tfspark is of another version; --force does it again"
    with pytest.raises(ConfigError, match="the source changed and the settings changed since run"):
        decide(record, there, pin_of(settings="y", source=late.source), force=False)
    model = pin_of(model={**pin_of().model, "digest": "e"})
    assert decide(record, there, model, force=False).why == "the model is another"


def test_the_table_has_the_last_word() -> None:
    record = record_of("r")
    assert current(record, day_of("r")) == record["published"]
    assert current(record, day_of("other")) is None
    assert current(record, day_of("r", rows=2)) is None
    assert current(record, None) is None
    assert current(record_of("r", rows=0), None) is not None


def test_prepare_is_skipped_for_the_same_rows_while_their_dataset_is_there(tmp_path: Path) -> None:
    record = record_of("r")
    step = {
        "name": "prepare",
        "state": "done",
        "seconds": 1,
        "said": "v1",
        "key": pin_of().prepared,
    }
    assert skips_prepare(record, pin_of(), force=False) is None
    record["steps"] = [step]
    record["dataset"] = str(tmp_path)
    assert skips_prepare(record, pin_of(), force=False) is None
    (tmp_path / "manifest.json").write_text("{}")
    assert skips_prepare(record, pin_of(), force=False) == step
    assert skips_prepare(record, pin_of(contract="other"), force=False) is None
    assert skips_prepare(record, pin_of(), force=True) is None


def test_records_follow_the_table(tmp_path: Path) -> None:
    records = Records(settings_of(tmp_path))

    def mend(there: Day | None) -> Record:
        assert repair(records, "rows", str(tmp_path / "scored"), DAY, there)
        assert not repair(records, "rows", str(tmp_path / "scored"), DAY, there)
        found = records.find(DAY)
        assert found is not None
        return found

    # Killed between its commit and its record.
    records.begin(record_of("killed", published=False, code=75))
    found = mend(day_of("killed"))
    assert (found["verdict"], found["exit_code"], found["published"]["key"]) == (
        "yellow",
        0,
        pin_of().scored,
    )
    assert records.running(DAY) is None
    # Killed before its commit: the table tells nothing of it.
    records.begin(record_of("early", published=False, code=75))
    assert not repair(records, "rows", str(tmp_path / "scored"), DAY, day_of("killed"))
    records.drop(DAY)
    # Another program has published the day.
    found = mend(day_of("job", rows=7))
    assert found["published"]["token"] == "job"
    assert found["published"]["key"] is None
    assert "which is no night's" in found["message"]
    # Somebody has removed it.
    found = mend(None)
    assert (found["exit_code"], found["published"], is_done(found)) == (75, None, False)
