"""What killed runs have left, checkpoints of trainings that did not end, pages, records of runs."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from functools import partial

from pyarrow import fs as pafs

from tfspark import storage
from tfspark.clean.pieces import Asked, Piece, size
from tfspark.clean.versions import is_held
from tfspark.dayfiles.commit import end
from tfspark.night.table import target_of
from tfspark.page import write_index

_KEY = re.compile(r"[0-9a-f]{16}")
_PAGE = re.compile(r"(\d{4}-\d{2}-\d{2})\.html")
_RUN = re.compile(r"(\d{4}-\d{2}-\d{2})\..+\.json")
_MONTH = re.compile(r"index-\d{4}-\d{2}\.html")
_LEFT = "left by killed runs"


def staged(asked: Asked) -> Iterator[Piece]:
    """Staging folders whose process is gone, and files that were never whole."""
    settings = asked.settings
    target = target_of(settings)
    parent, _, name = target.rpartition("/")
    places = [(parent, f"score-{name}"), (settings.datasets, "prepare")]
    places += [(settings.models, settings.name)]
    places += [(folder, "clean") for folder in (settings.datasets, settings.models)]
    for place, label in places:
        for left in storage.abandoned(place, label):
            yield Piece(_LEFT, left, size(left), partial(_sweep, storage.join(place, "_staging")))
    yesterday = asked.today - dt.timedelta(days=1)
    for folder in (asked.records.folder, storage.join(settings.warehouse, "watch")):
        for name, found, changed in _below(folder):
            if name.endswith(".partial") and changed < yesterday:
                path = storage.join(folder, name)
                yield Piece(_LEFT, path, found, partial(storage.delete_file, path))


def checkpoints(asked: Asked) -> Iterator[Piece]:
    """Of trainings that nobody went on with; a stream's stay."""
    folder = storage.join(asked.settings.warehouse, "checkpoints", asked.settings.name)
    first = asked.first_kept(asked.settings.clean.checkpoints) or dt.date.min
    for key in filter(_KEY.fullmatch, storage.names(folder)):
        path = storage.join(folder, key)
        if is_held(path):
            asked.notes.append(f"{path}: a training runs")
            continue
        below = list(_below(path))
        if all(changed < first for _, _, changed in [*below, ("", 0, _changed(path))]):
            total = sum(found for _, found, _ in below)
            yield Piece("checkpoints", path, total, partial(storage.delete, path))


def pages(asked: Asked) -> Iterator[Piece]:
    """Pages of nights, and records of single runs: those of days stay as long as their days."""
    records, keep = asked.records, asked.settings.clean
    runs = storage.join(records.folder, "runs")
    for folder, form, days in ((records.folder, _PAGE, keep.pages), (runs, _RUN, keep.runs)):
        first = asked.first_kept(days)
        for name, found, _ in _below(folder) if first else ():
            match = form.fullmatch(name)
            if match and first and match[1] < first.isoformat():
                path = storage.join(folder, name)
                yield Piece("pages", path, found, partial(storage.delete_file, path))


def index(asked: Asked) -> None:
    """The index anew, after records or pages have gone."""
    root = asked.records.root
    if not storage.is_dir(root):
        return
    for name in filter(_MONTH.fullmatch, storage.names(root)):
        storage.delete_file(storage.join(root, name))
    write_index(root)


def _sweep(root: str) -> None:
    parent = root.rpartition("/")[0]
    with storage.locked(root, must=False):  # a folder that has no owner yet looks abandoned
        for name in storage.names(root):
            label = name.rpartition("-")[0]
            for left in storage.abandoned(parent, label):
                end(left)


def _below(folder: str) -> Iterator[tuple[str, int, dt.date]]:
    """Path, bytes and day of the last change of every file below a folder."""
    fs, inner = storage.filesystem(folder)
    chosen = pafs.FileSelector(inner, recursive=True, allow_not_found=True)
    for info in sorted(fs.get_file_info(chosen), key=lambda info: str(info.path)):
        if info.type == pafs.FileType.File:
            name = info.path.removeprefix(inner.rstrip("/") + "/")
            yield name, int(info.size), info.mtime.date()


def _changed(path: str) -> dt.date:
    fs, inner = storage.filesystem(path)
    day: dt.date = fs.get_file_info(inner).mtime.date()
    return day
