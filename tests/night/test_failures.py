"""The 25 worst failures of nights, as other systems had them: each has its test.

The numbers are those of the project's study of such systems; what is told of each is what must
hold here. Those without a better place are at the end of this file.
"""

from __future__ import annotations

import ast
import datetime as dt
import re
from pathlib import Path
from typing import Any

import jinja2
import pytest

from tests.conftest import ROOT
from tfspark.config import Settings, Source, load_settings
from tfspark.config.day import as_day
from tfspark.console import Steps
from tfspark.errors import ConfigError, ContractViolation, SourceMissing, StorageError
from tfspark.night import pin as pins
from tfspark.night import select as selection
from tfspark.night.chain import Chain
from tfspark.night.decide import Decision
from tfspark.night.lease import Lease
from tfspark.night.night import Asked
from tfspark.night.record import Records, new
from tfspark.night.select import select
from tfspark.quarantine import refuse_empty

# What holds, and the tests that show it: file below tests/, name.
TABLE: dict[int, tuple[str, list[str]]] = {
    1: (
        "a driver that died is not done, whatever spark-submit said",
        [
            "night/test_record.py::test_a_day_without_a_record_or_whose_last_run_has_not_ended_is_not_done",
            "night/test_kills.py::test_killed_at_any_moment",
        ],
    ),
    2: (
        "a second driver beside the first ends with 75 and changes nothing",
        ["night/test_chain.py::test_what_stops_a_night_leaves_the_table_as_it_was"],
    ),
    3: (
        "the dead free their day, the hung lose it",
        ["night/test_lease.py::test_the_dead_free_their_day_at_once_and_the_frozen_lose_it"],
    ),
    4: (
        "two first runs of a day give its rows once",
        [
            "scoring/table/test_table.py::test_runs_at_once_all_end_well",
            "scoring/table/test_commit.py::test_what_others_wrote_meanwhile_is_seen",
        ],
    ),
    5: (
        "a source that is missing, or has no row, is said as such, and is not waited for for ever",
        [
            "night/test_failures.py::test_no_rows_and_no_table_are_two_things",
            "night/test_chain.py::test_an_empty_day_is_published_where_the_contract_has_such",
            "night/test_moving_world.py::test_nights_of_a_moving_world",
        ],
    ),
    6: (
        "a late file is found within the days that are looked back at",
        ["night/test_chain.py::test_a_night_its_second_run_and_a_late_file"],
    ),
    7: (
        "a file that comes between two steps publishes nothing",
        ["night/test_chain.py::test_what_stops_a_night_leaves_the_table_as_it_was"],
    ),
    8: (
        "a retry on the next day does the same day",
        ["night/test_failures.py::test_a_retry_does_the_day_that_failed_first"],
    ),
    9: (
        "an Airflow run without a logical date says so",
        ["night/test_failures.py::test_a_run_by_hand_without_a_date_is_told"],
    ),
    10: (
        "days are days when the clocks change",
        [
            "night/test_days.py::test_ranges_cross_months_and_clock_changes",
            "night/test_days.py::test_the_deadline_is_of_the_day_after_utc",
        ],
    ),
    11: (
        "after days without a scheduler: oldest first, as many as are asked for",
        ["night/test_failures.py::test_a_retry_does_the_day_that_failed_first"],
    ),
    12: (
        "a backfill beside a night: other days may, the same day may not",
        ["night/test_lease.py::test_one_run_has_a_day_and_numbers_only_rise"],
    ),
    13: (
        "a day is not done again by other code or settings unless that is asked for",
        ["night/test_record.py::test_a_day_is_redone_for_what_changed_and_for_nothing_else"],
    ),
    14: (
        "a day that was filled in later is in no metric, one that is done again keeps its model",
        [
            "watch/test_late.py::test_a_day_counts_from_80_percent_or_after_its_delay",
            "watch/test_verdict.py::test_days_of_another_version_backfilled_or_judged_now_are_in_no_window",
            "night/test_beside.py::test_a_night_with_a_canary_and_a_shadow",
        ],
    ),
    15: (
        "a day is replaced by one commit",
        ["scoring/table/test_commit.py::test_a_day_is_made_replaced_emptied_and_others_stay"],
    ),
    16: (
        "no file goes that a run may still want",
        [
            "clean/test_clean.py::test_no_file_goes_that_is_younger_than_the_oldest_run",
            "clean/test_clean.py::test_replaced_files_go_after_their_days",
        ],
    ),
    17: (
        "who loses a race removes its own files alone",
        ["scoring/table/test_commit.py::test_the_end_of_a_run_leaves_what_counts"],
    ),
    18: (
        "a write that failed after its commit is known as written",
        ["scoring/table/test_commit.py::test_what_a_failure_says_of_the_day"],
    ),
    19: (
        "of two promotions one wins; the alias follows",
        [
            "champions/test_champions.py::test_of_racing_promotions_one_wins",
            "champions/test_champions.py::test_the_history_begins_with_the_alias_and_the_alias_follows",
        ],
    ),
    20: (
        "there is a champion to go back to",
        [
            "champions/test_champions.py::test_back_again",
            "clean/test_clean.py::test_what_is_old_goes_and_what_a_day_or_a_champion_needs_stays",
        ],
    ),
    21: (
        "a step is done again if what it read or made is another",
        [
            "night/test_source.py::test_files_of_a_day",
            "night/test_record.py::test_prepare_is_skipped_for_the_same_rows_while_their_dataset_is_there",
        ],
    ),
    22: (
        "every challenger gets a verdict",
        [
            "judge/test_judge.py::test_whatever_goes_wrong_is_a_refusal",
            "champions/test_champions.py::test_what_is_refused",
        ],
    ),
    23: (
        "a watch that breaks leaves the day published, and says so",
        [
            "watch/test_verdict.py::test_what_is_missing_is_said_and_is_no_alarm",
            "night/test_moving_world.py::test_nights_of_a_moving_world",
        ],
    ),
    24: (
        "nothing of a table runs in the reader's browser, and the page stays small",
        [
            "page/test_page.py::test_nothing_of_a_record_is_markup",
            "page/test_page.py::test_a_page_stays_small_whatever_a_night_says",
            "page/test_page.py::test_the_index_has_the_newest_nights_and_a_page_a_month",
            "night/test_source.py::test_only_public_columns_are_shown",
        ],
    ),
    25: (
        "where the registry is away, the last night's model scores if its files are here",
        ["night/test_failures.py::test_the_registry_is_away_at_three_in_the_morning"],
    ),
}


def test_each_of_the_25_has_a_test() -> None:
    assert [*TABLE] == [*range(1, 26)]
    for number, (_, shown) in TABLE.items():
        for test in shown:
            file, _, name = test.partition("::")
            text = (ROOT / "tests" / file).read_text("utf-8")
            assert re.search(rf"^def {name}\(", text, re.MULTILINE), f"{number}: {test}"


@pytest.mark.parametrize(
    ("source", "kind", "said"),
    [
        (Source(path="raw/{date}"), SourceMissing, "has no rows for 2026-11-20; try again"),
        (Source(path="raw"), ContractViolation, "the table has no rows; there is nothing to do"),
    ],
)
def test_no_rows_and_no_table_are_two_things(
    source: Source, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        refuse_empty("raw", source, dt.date(2026, 11, 20))


def asked_at(now: dt.datetime) -> Asked:
    return Asked(False, "recorded", False, now)


def settings_of(folder: Path, **more: Any) -> Settings:
    given = {"name": "rows", "warehouse": str(folder), "source": {"path": f"{folder}/{{date}}"}}
    return load_settings(None, {**given, **{k.replace("__", "."): v for k, v in more.items()}})


def test_a_retry_does_the_day_that_failed_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "_mirror", lambda _: None)
    settings = settings_of(tmp_path, nightly__at_most=2, nightly__start="2026-11-01")
    records = Records(settings)
    for day in (1, 2, 4):
        record = new("rows", dt.date(2026, 11, day), "r", False, dt.datetime.now(dt.UTC))
        code = 75 if day == 2 else 0
        published = None if code else {"rows": 0, "token": "r"}
        records.end({**record, "exit_code": code, "published": published})
    for hour in (3, 23):
        now = dt.datetime(2026, 11, 21, hour, tzinfo=dt.UTC)
        found = select(settings, asked_at(now), None, None, due=True)
        assert found.days == [dt.date(2026, 11, 2), dt.date(2026, 11, 3)]
        assert found.notes == ["16 more days are due (--at-most 2)"]


def test_a_run_by_hand_without_a_date_is_told() -> None:
    tree = ast.parse((ROOT / "conf" / "airflow_passengers.py").read_text("utf-8"))
    dates = [
        value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == "date" and isinstance(value, ast.Constant)
    ]
    (date,) = (text for text in dates if isinstance(text, str) and "{{" in text)

    def rendered(**given: Any) -> str:
        return jinja2.Environment(autoescape=True).from_string(date).render(**given)

    assert rendered(params={"date": None}, ds="2026-11-20") == "2026-11-20"
    assert rendered(params={"date": "2026-11-07"}, ds="2026-11-20") == "2026-11-07"
    with pytest.raises(ConfigError, match="none: give the parameter date"):
        as_day(rendered(params={"date": None}))


def test_the_registry_is_away_at_three_in_the_morning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(tmp_path)

    def away(*_: Any) -> Any:
        raise StorageError("the registry does not answer")

    monkeypatch.setattr(pins, "_known", away)
    last = {"uri": "models:/rows/7", "name": "rows", "version": "7", "digest": "d", "canary": {}}
    with pytest.raises(StorageError):
        pins.pinned_model(settings, last)  # its files are not here
    folder = Path(settings.models, "rows", "7")
    folder.mkdir(parents=True)
    for digest, known in (("other", None), ("d", str(folder))):
        monkeypatch.setattr(pins, "_local", lambda _, digest=digest: {"digest": digest})
        if known is None:
            with pytest.raises(StorageError):
                pins.pinned_model(settings, last)
            continue
        found = pins.pinned_model(settings, last)
        assert (found["uri"], found["version"]) == (known, "7")
        assert "canary" not in found
        said = (
            "the registry is away, so the last night's model scores: the registry does not answer"
        )
        assert found["said"] == said
        # The night says it.
        source = {"kind": "content", "value": None, "missing": True}
        pinned = pins.Pin(source, found, None, "s", "1")
        record = new("rows", dt.date(2026, 11, 20), "r", False, dt.datetime.now(dt.UTC))
        records = Records(settings)
        with Lease(records.leases, "2026-11-20", "r", 60) as lease:
            chain = Chain(settings, Steps("nightly"), records, lease, record, None, pinned)
            with pytest.raises(SourceMissing):
                chain.publish(Decision(True, "why"), False, dt.datetime.now(dt.UTC))
        assert [(s["name"], s["state"], s["said"]) for s in record["steps"]] == [
            ("pin", "degraded", said)
        ]
