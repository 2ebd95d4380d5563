"""Whether what is published is what the records say: the judge of every test of kills."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator

from tfspark import storage
from tfspark.config import Settings
from tfspark.console import print_summary, printable
from tfspark.errors import IntegrityError, TfsparkError
from tfspark.night.record import Record, Records
from tfspark.night.table import STATISTIC, Day, published, target_of
from tfspark.registry.manifest import digest_folder, read_manifest
from tfspark.rowgroups import footers


def audit(settings: Settings) -> int:
    """Compare every published day with its record, model and files; print what is wrong.

    Returns:
        0, or 6 where something is wrong.
    """
    target, records = target_of(settings), Records(settings)
    there, kept = published(target), records.kept_from() or dt.date.min
    wrong = [
        f"{day}: {said}"
        for day, found in there.items()
        for said in faults(settings, records.find(day), target, found)
    ]
    wrong += [
        f"{day}: its record says that it is published, the table does not have it"
        for day in records.days()
        if day not in there
        and day >= kept
        and ((records.find(day) or {}).get("published") or {}).get("rows")
    ]
    for said in wrong:
        print(f"nightly: audit: {printable(said)}", file=sys.stderr)
    rows = sum(day.rows for day in there.values())
    about = {"table": target, "days": len(there), "rows": rows, "faults": len(wrong)}
    print_summary("nightly: audit", about)
    return IntegrityError.exit_code if wrong else 0


def faults(settings: Settings, record: Record | None, target: str, day: Day) -> Iterator[str]:
    """What is wrong with a published day."""
    if len(day.tokens) > 1:
        yield f"has rows of several runs: {', '.join(sorted(day.tokens))}"
    if record is None:
        yield "has no record; the next night makes it"
    elif (said := record["published"]) is None:
        yield "its record says that it is not published; the next night repairs it"
    else:
        if not day.tokens <= {said["token"]}:
            tokens = ", ".join(sorted(day.tokens))
            yield f"is of the run {tokens}, its record says {said['token']}"
        if day.rows != said["rows"]:
            yield f"has {day.rows} rows by the log, its record says {said['rows']}"
        yield from _model(settings, said, day)
    yield from _files(target, day)


def _files(target: str, day: Day) -> Iterator[str]:
    paths = [storage.join(target, name) for name in day.files]
    lost = [path for path in paths if not storage.exists(path)]
    for path in lost:
        yield f"{path}: is missing"
    if lost:
        return
    try:
        found = sum(group.rows for footer in footers(paths, []) for group in footer.groups)
    except TfsparkError as error:
        yield str(error)
        return
    if found != day.rows:
        yield f"its files hold {found} rows, the log says {day.rows}"


def _model(settings: Settings, said: Record, day: Day) -> Iterator[str]:
    model = (said.get("pin") or {}).get("model")
    if model is None:
        return
    known = model["uri"]
    alone = isinstance(known, str)
    canary = model.get("canary")
    digests = {one["digest"][:STATISTIC] for one in (model, canary) if one}
    if alone and day.models - digests:
        yield f"was scored by the model {', '.join(day.models)}, its record says {model['digest']}"
    for uri, name, version, said_digest in _named(model):
        folder = uri if "models:/" not in uri else storage.join(settings.models, name, version)
        if not storage.is_dir(folder):
            if "models:/" not in uri or storage.is_dir(storage.join(settings.models, name)):
                yield f"its model {uri} is gone: {folder}: is not there"
            continue
        manifest = read_manifest(folder)
        digest = manifest["digest"] if manifest else digest_folder(folder)
        if said_digest not in (None, digest):
            yield f"its model {folder} was changed: its digest is {digest}, not {said_digest}"


def _named(model: Record) -> Iterator[tuple[str, str, str, str | None]]:
    """URI, name, version and digest of every model that scored a day."""
    uri = model["uri"]
    if isinstance(uri, dict):
        for one in uri.values():
            _, _, rest = one.partition("models:/")
            name, _, version = rest.partition("/")
            yield one, name, version, None
    else:
        yield uri, model["name"], model["version"], model["digest"]
    if canary := model.get("canary"):
        yield canary["uri"], model["name"], canary["version"], canary["digest"]
