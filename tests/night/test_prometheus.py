"""The text file for Prometheus."""

from __future__ import annotations

import re
from pathlib import Path

from tests.page.nights import record
from tfspark.night.prometheus import prometheus, write_prometheus

LINE = re.compile(r'tfspark_night_\w+\{\w+="(?:[^"\\\n]|\\.)*"(?:,\w+="(?:[^"\\\n]|\\.)*")*\} \S+')


def test_a_night_is_told_in_numbers(tmp_path: Path) -> None:
    path = Path(write_prometheus(record(), str(tmp_path)))
    assert path == tmp_path / "passengers.prom"
    text = path.read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(LINE.fullmatch(line) for line in lines)
    assert 'tfspark_night_rows_in{name="passengers"} 891' in lines
    assert 'tfspark_night_verdict{name="passengers",verdict="yellow"} 1' in lines
    assert 'tfspark_night_verdict{name="passengers",verdict="red"} 0' in lines
    assert 'tfspark_night_psi_max{name="passengers"} 0.081' in lines
    assert 'tfspark_night_day_info{name="passengers",day="2026-11-20"} 1' in lines


def test_what_is_not_known_is_left_out_and_names_are_escaped() -> None:
    text = prometheus({"name": 'a"b\\c\nd', "watch": None, "rows": {"in": None}})
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(LINE.fullmatch(line) for line in lines)
    assert len(lines) == 4
