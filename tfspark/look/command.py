"""`tfspark show THING`: what a thing is, on the terminal or as a page."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfspark import storage
from tfspark.config import Settings, load_settings
from tfspark.config.day import as_day
from tfspark.errors import ConfigError, SourceMissing
from tfspark.flags import Parser
from tfspark.look import files, images, model, prepared, run, table
from tfspark.look.public import hidden
from tfspark.look.view import View
from tfspark.starter.images import holds_images
from tfspark.tablenames import is_delta


def main(argv: Sequence[str]) -> int:
    """See --help."""
    parser = Parser(
        prog="tfspark show",
        description="Show a dataset (a folder, or the name that prepare gave it), a table (CSV, "
        "JSON lines, Parquet, Delta, TFRecord), a folder or a zip of images, a model (a folder or "
        "models:/NAME@champion), a run of MLflow, a day of a scored table (--date), a contract or "
        "a recipe.",
    )
    parser.add_argument("thing", metavar="THING")
    parser.add_argument("--html", metavar="FILE", help="one page, which loads and runs nothing")
    parser.add_argument("--png", metavar="FILE", help="the curves of a run, as a picture")
    parser.add_argument("--rows", type=_rows, default=10, metavar="N", help="rows shown (10)")
    parser.add_argument("--date", metavar="YYYY-MM-DD", help="a day of a scored table")
    parser.add_argument(
        "--contract", metavar="FILE", help="of a table: only columns that it calls public are shown"
    )
    parser.add_argument("--config", metavar="FILE", help="whose warehouse and contract it is")
    given = parser.parse(argv)
    settings = load_settings(given.config, {})
    view, curves = _view(given, settings)
    if given.png:
        if not run.is_run(given.thing):
            raise ConfigError("--png: is for a run; of all else --html has the pictures")
        storage.write_bytes(given.png, run.png(curves, view.title))
    if given.html:
        storage.write_bytes(given.html, view.page().encode())
    if given.png or given.html:
        print("\n".join(filter(None, (given.html, given.png))))
    else:
        print(view.text())
    return 0


def _view(given: argparse.Namespace, settings: Settings) -> tuple[View, Mapping[str, run.Curve]]:
    thing = given.thing
    if run.is_run(thing) and not Path(thing).exists():
        return run.run(thing, settings.tracking_uri)
    return _of(thing, given, settings), {}


def _of(thing: str, given: argparse.Namespace, settings: Settings) -> View:
    place = thing
    if "://" not in thing and not Path(thing.partition("#")[0]).exists() and not model.find(thing):
        place = _named(thing, given.date is not None, settings)
    if model.find(place):
        return model.view(place, settings.registry.tracking_uri or settings.tracking_uri)
    if place.partition("#")[0].endswith((".yaml", ".yml")):
        return files.contract_or_recipe(place)
    if data := prepared.find(place):
        return prepared.view(data, given.rows)
    hide = hidden(given.contract or settings.contract or None)
    if given.date:
        if not is_delta(place):
            raise ConfigError(f"{place}: --date is for a scored table, and this is no Delta table")
        return table.day(place, as_day(given.date), given.rows, hide)
    if "://" in place:
        raise ConfigError(f"{place}: only tables of this machine can be shown; query it instead")
    if not is_delta(place) and table.is_records(place):
        return table.records(place, given.rows, hide)
    if holds_images(place):
        return images.images(place)
    return table.table(place, given.rows, hide)


def _named(name: str, scored: bool, settings: Settings) -> str:
    """What the warehouse has of a name: a scored table for a day, else a dataset."""
    kinds = ("scored", "datasets") if scored else ("datasets", "scored", "models")
    for kind in kinds:
        place = storage.join(settings.warehouse, kind, name)
        if "/" not in name and storage.is_dir(place):
            return place
    raise SourceMissing(
        f"{name}: no such file or folder, and {settings.warehouse} has no dataset, model or scored "
        "table of that name"
    )


def _rows(text: str) -> int:
    if not text.isdecimal() or int(text) > 1000:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number, at most 1000")
    return int(text)
