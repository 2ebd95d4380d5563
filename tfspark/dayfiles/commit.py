"""Files that tasks wrote below a Delta table: one commit makes them a day of it, the rest goes.

The names of a run's files hold its token, and so does its commit: whoever comes later, even after
a kill, can tell from the table's log which files count.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tfspark import storage
from tfspark.deltalog import commit_of, is_empty, latest
from tfspark.errors import StorageError

if TYPE_CHECKING:
    from deltalake import DeltaTable

OPEN = "open"
"""A file in the staging folder, there as long as the run takes files of its tasks."""

_CLAIM = "scan.json"
_TOKEN = "tfsparkFiles"  # noqa: S105 - a key of the commit's metadata
_TRIES = 10
_INNER = ("quarantine",)
"""Folders in a run's staging folder that claim files of another table."""


class DayFile(Protocol):
    """A file that a task wrote.

    Attributes:
        file: its name in the day's folder; None: there is none.
        stats: its statistics, as Delta's log has them.
    """

    @property
    def file(self) -> str | None: ...

    @property
    def bytes(self) -> int: ...

    @property
    def stats(self) -> str: ...


def table_place(target: str) -> str:
    """Where the files of a Delta table in a folder lie."""
    return storage.filesystem(target)[1] if target.startswith("file:") else storage.absolute(target)


def day_folder(day: dt.date, where: Mapping[str, str]) -> str:
    """The folder of a day in its table; `where` as in `commit_day`."""
    return "/".join([f"day={day.isoformat()}", *(f"{k}={v}" for k, v in where.items())])


def claim(staging: str, target: str, folder: str, token: str) -> None:
    """Note in a run's staging folder which files it may leave, before the first is written."""
    about = {"target": target, "folder": folder, "token": token}
    storage.write_json(storage.join(staging, _CLAIM), about)
    storage.write_bytes(storage.join(staging, OPEN), b"")


def created(path: str) -> Any:
    """A new file in a day's folder: a stream of Arrow.

    Raises:
        StorageError: others remove its folder all the time.
        OSError: it cannot be made.
    """
    fs, inner = storage.filesystem(path)
    for _ in range(_TRIES):
        storage.make_dir(path.rpartition("/")[0])
        with suppress(FileNotFoundError):  # another run that ends took the empty folder away
            return fs.open_output_stream(inner)
    raise StorageError(f"cannot write {path}: others remove its folder all the time")


def sweep(staging: str) -> None:
    """Remove the files of a run that its commits, if there are some, do not name.

    Raises:
        StorageError: the files or the table's log cannot be read.
    """
    for inner in _INNER:
        _sweep(storage.join(staging, inner))
    _sweep(staging)


def _sweep(staging: str) -> None:
    if not storage.exists(storage.join(staging, _CLAIM)):
        return
    with suppress(FileNotFoundError):
        storage.delete_file(storage.join(staging, OPEN))  # late tasks remove their own files
    claim = storage.join(staging, _CLAIM)
    about = storage.checked(storage.read_json(claim), claim, folder=str, target=str, token=str)
    found = [name for name in storage.names(about["folder"]) if about["token"] in name]
    if found:
        counting = _committed(about["target"], about["token"])
        for name in set(found) - counting:
            with suppress(FileNotFoundError):  # its task was faster
                storage.delete_file(storage.join(about["folder"], name))
    storage.abort_uploads(about["folder"], about["token"])
    if "://" not in about["folder"]:
        for folder in (about["folder"], about["target"]):
            with suppress(OSError):  # not empty, or never made
                Path(folder).rmdir()


def end(staging: str) -> None:
    """Remove a run's staging folder and those of its files that do not count.

    Where they cannot be removed now, the folder stays, for the next run to do it.
    """
    with suppress(OSError, StorageError):
        sweep(staging)
        storage.delete(staging)


def commit_day(
    target: str,
    schema: dict[str, Any],
    parts: Sequence[DayFile],
    day: dt.date,
    *,
    run_id: str,
    token: str,
    where: Mapping[str, str] | None = None,
    allowed: Callable[[], None] = lambda: None,
) -> int:
    """Replace a day of a Delta table by files that lie in its folder; made when it is not there.

    Args:
        schema: the table's schema, as Delta's log has it.
        run_id: recorded in the commit, as Delta's `userMetadata`.
        where: further columns by which the table is partitioned, and the value of the rows that are
            replaced: texts that need no quoting in a path.
        allowed: called before each try, when the table has been looked at: what others commit
            after that makes the try fail. It may raise.

    Returns:
        The version of the table that the commit made.

    Raises:
        StorageError: the table has other columns now, or the commit failed; it is unchanged,
            unless the message says that the day is written.
    """
    from deltalake import CommitProperties, DeltaTable, Schema
    from deltalake.exceptions import CommitFailedError, DeltaError
    from deltalake.transaction import AddAction, create_table_with_add_actions

    now = int(time.time() * 1000)
    value, folder = {"day": day.isoformat(), **(where or {})}, day_folder(day, where or {})
    actions = [
        AddAction(f"{folder}/{p.file}", p.bytes, value, now, True, p.stats)
        for p in parts
        if p.file is not None
    ]
    said = f"{target}: the day {day} could not be written, the table is unchanged: "
    properties = CommitProperties(
        custom_metadata={"userMetadata": run_id, _TOKEN: token},
        # One try a snapshot: a second one would not see what others added to the day meanwhile.
        max_commit_retries=1,
    )
    place = storage.for_delta(target)
    since, failure = latest(target) + 1, ""
    for attempt in range(_TRIES):
        time.sleep(0.1 * attempt * random.uniform(0.5, 1.5))  # noqa: S311 - so that two part
        failure, again = "", True
        try:
            if DeltaTable.is_deltatable(place):
                table = DeltaTable(place)
                if differs(table, schema):
                    raise StorageError(said + "it has other columns now")
                allowed()
                table.create_write_transaction(
                    actions,
                    mode="overwrite",
                    schema=table.schema(),
                    partition_by=list(value),
                    partition_filters=[(name, "=", one) for name, one in value.items()],
                    commit_properties=properties,
                )
            else:
                allowed()
                create_table_with_add_actions(
                    place,
                    Schema.from_json(json.dumps(schema)),
                    actions,
                    mode="error",
                    partition_by=list(value),
                    commit_properties=properties,
                )
        except CommitFailedError as error:
            failure = str(error)
        except (DeltaError, OSError) as error:
            # Another run may make the table between the question and the answer.
            failure, again = str(error), attempt == 0 and "already exists" in str(error)
        # A try that failed may have committed all the same.
        version = _version(target, day, run_id, token, since)
        if version is not None:
            return version
        if not failure:
            raise StorageError(
                f"{target}: the day {day} is written (run {run_id}), but its commit is not in the "
                "log any more; no need to run again"
            )
        if not again:
            raise storage.kind_of(target, failure)(said + failure)
    raise StorageError(
        f"{said}gave up after {_TRIES} tries: other writers keep committing to this table: "
        f"{failure}"
    )


def differs(table: DeltaTable, schema: dict[str, Any]) -> bool:
    """Whether a table has other columns, or takes no null somewhere."""

    def fields(schema: dict[str, Any]) -> dict[str, Any]:
        return {f["name"]: (f["type"], f["nullable"]) for f in schema["fields"]}

    return fields(json.loads(table.schema().to_json())) != fields(schema)


def _version(target: str, day: dt.date, run_id: str, token: str, since: int) -> int | None:
    """The version that a run's commit made; None: there is none.

    Raises:
        StorageError: it cannot be told.
    """
    try:
        return commit_of(target, since, lambda about: _token(about) == token)
    except (StorageError, OSError) as error:
        raise storage.kind_of(target, error)(
            f"{target}: whether the day {day} is written cannot be told: its log cannot be read: "
            f"{error}; look for the run {run_id} before it is run again"
        ) from error


def _token(entry: dict[str, Any]) -> Any:
    """Of a commit: ours says it itself, one of the JVM's job in its tags."""
    return entry.get(_TOKEN) or (entry.get("tags") or {}).get(_TOKEN)


def _committed(target: str, token: str) -> set[str]:
    """The names of a run's files that its commit named."""
    from deltalake import DeltaTable

    # A first commit that was killed may leave a log without any entry.
    if is_empty(target):
        return set()
    try:
        place = storage.for_delta(target)
        table = DeltaTable(place)
        # The day's files count even where the log no longer tells who wrote them.
        paths = table.get_add_actions()["path"].to_pylist()
        if (version := commit_of(target, 0, lambda about: _token(about) == token)) is not None:
            paths += DeltaTable(place, version=version).get_add_actions()["path"].to_pylist()
    except Exception as error:
        kind = storage.kind_of(target, error)
        raise kind(f"{target}: its log cannot be read: {error}") from error
    return {str(path).rpartition("/")[2] for path in paths if token in str(path)}
