"""`tfspark promote`, `rollback` and `champions`."""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Sequence

from tfspark.champions.change import promote as promoted
from tfspark.champions.change import rollback as rolled_back
from tfspark.champions.days import days_of
from tfspark.champions.state import current, history, repair
from tfspark.champions.table import Champion
from tfspark.config import Settings, load_settings
from tfspark.config.day import as_day
from tfspark.console import print_summary, printable
from tfspark.errors import ConfigError
from tfspark.flags import Parser


def promote(argv: Sequence[str]) -> int:
    """Make a version the champion: `models:/NAME@champion`. The history keeps who, when and why.

    A version that the gate refused, or found worse, needs --force; one of which it could not tell,
    or that is not worse, needs a --reason.
    """
    parser = _parser("promote", promote.__doc__)
    parser.add_argument("version", type=_number)
    parser.add_argument("--reason", default="", help="kept in the history")
    parser.add_argument("--force", action="store_true", help="also what the gate refuses")
    parser.add_argument("--expected", type=_number, help="only if this version is the champion now")
    given = parser.parse(argv)
    settings = settings_of(given)
    before = current(settings, given.name)
    now = promoted(
        settings,
        given.name,
        given.version,
        expected=given.expected,
        reason=given.reason,
        force=given.force,
    )
    print_summary("promote: done", _said(now, before))
    return 0


def rollback(argv: Sequence[str]) -> int:
    """Give the office back to the champion before, and list the days that the other has scored."""
    parser = _parser("rollback", rollback.__doc__)
    parser.add_argument("--to", type=_number, metavar="VERSION", help="default: the one before")
    parser.add_argument("--reason", default="", help="kept in the history")
    parser.add_argument(
        "--rescore", type=_days, metavar="FROM..TO", help="print the commands for these days"
    )
    given = parser.parse(argv)
    settings = settings_of(given)
    before = current(settings, given.name)
    now = rolled_back(settings, given.name, to=given.to, reason=given.reason)
    print_summary("rollback: done", _said(now, before))
    if before is None:
        return 0
    days = days_of(settings.scored, given.name, before.version)
    if days is None:
        print(f"{settings.scored}: no Delta table in a folder; ask it by model_version which days")
        return 0
    print(f"days that version {before.version} has scored in {settings.scored}: {len(days)}")
    for day, rows in days.items():
        print(f"  {day}  {rows:,} rows")
    if given.rescore:
        first, last = given.rescore
        print("to score them again:")
        place = f"--config {given.config}" if given.config else f"--warehouse {given.warehouse}"
        for day in days:
            if first <= day <= last:
                print(f"  tfspark score {place} --date {day}")
    return 0


def champions(argv: Sequence[str]) -> int:
    """Show who was the champion, from when until when, by whom and why."""
    parser = _parser("champions", champions.__doc__)
    given = parser.parse(argv)
    settings = settings_of(given)
    past = history(settings, given.name)
    repair(settings, given.name)
    if not past:
        print(f"{given.name}: no champion yet")
        return 0
    names = ("version", "from", "until", "by", "how", "verdict", "reason")
    rows = [names, *(_row(champion) for champion in reversed(past))]
    widths = [max(len(row[at]) for row in rows) for at in range(len(names))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    return 0


def settings_of(given: argparse.Namespace) -> Settings:
    """The settings of a command on one model, which `--config` or `--warehouse` places.

    Raises:
        ConfigError: the configuration is another model's, or cannot be read.
    """
    overrides = {} if given.warehouse is None else {"warehouse": given.warehouse}
    settings = load_settings(given.config, overrides)
    if settings.name and settings.name != given.name:
        raise ConfigError(
            f"{given.config or 'TFSPARK_NAME'}: is of the model {settings.name}, not {given.name}"
        )
    return load_settings(given.config, {**overrides, "name": given.name})


def _parser(command: str, about: str | None) -> Parser:
    parser = Parser(prog=f"tfspark {command}", description=about)
    parser.add_argument("name", metavar="NAME", help="of the model")
    parser.add_argument("--config", metavar="FILE", help="the configuration of the model")
    parser.add_argument("--warehouse", metavar="FOLDER", help="default: the configuration's")
    return parser


def _said(now: Champion, before: Champion | None) -> dict[str, object]:
    return {
        "model": now.name,
        "champion": now.version,
        "before": before.version if before else None,
        "by": now.by,
        "verdict": now.verdict or "not judged",
        "reason": now.reason or None,
        "digest": now.digest,
    }


def _row(champion: Champion) -> tuple[str, ...]:
    since, until = _time(champion.since) or "before", _time(champion.until) or "now"
    texts = (champion.by, champion.action, champion.verdict or "not judged", champion.reason)
    return str(champion.version), since, until, *(printable(text) or "-" for text in texts)


def _time(at: dt.datetime | None) -> str:
    return "" if at is None else at.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no version: give its number")
    return int(text)


def _days(text: str) -> tuple[dt.date, dt.date]:
    first, found, last = text.partition("..")
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r}: write FROM..TO, two days YYYY-MM-DD")
    try:
        return as_day(first), as_day(last)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
