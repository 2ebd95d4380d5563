"""Files that tasks wrote below a Delta table: one commit makes them a day of it, the rest goes.

The names of a run's files hold its token, and so does its commit: whoever comes later, even after
a kill, can tell from the table's log which files count.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfspark import storage
from tfspark.errors import StorageError
from tfspark.scoring.worker.sink import OPEN, FilePart

if TYPE_CHECKING:
    from deltalake import DeltaTable

_CLAIM = "scan.json"
_TOKEN = "tfsparkFiles"  # noqa: S105 - a key of the commit's metadata
_TRIES = 10
_ENTRIES = (".json", ".parquet")  # of Delta's log: commits and checkpoints


def claim(staging: str, target: str, folder: str, token: str) -> None:
    """Note in a run's staging folder which files it may leave, before the first is written."""
    about = {"target": target, "folder": folder, "token": token}
    storage.write_json(storage.join(staging, _CLAIM), about)
    storage.write_bytes(storage.join(staging, OPEN), b"")


def sweep(staging: str) -> None:
    """Remove the files of a run that its commit, if there is one, does not name.

    Raises:
        StorageError: the files or the table's log cannot be read.
    """
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
    parts: Sequence[FilePart],
    day: dt.date,
    *,
    run_id: str,
    token: str,
) -> int:
    """Replace a day of a Delta table by files that lie in its folder; made when it is not there.

    Args:
        schema: the table's schema, as Delta's log has it.
        run_id: recorded in the commit, as Delta's `userMetadata`.

    Returns:
        The version of the table that the commit made.

    Raises:
        StorageError: the table has other columns now, or the commit failed; it is unchanged.
    """
    from deltalake import CommitProperties, DeltaTable, Schema
    from deltalake.exceptions import CommitFailedError, DeltaError
    from deltalake.transaction import AddAction, create_table_with_add_actions

    now = int(time.time() * 1000)
    value = {"day": day.isoformat()}
    actions = [
        AddAction(f"day={day.isoformat()}/{p.file}", p.bytes, value, now, True, p.stats)
        for p in parts
        if p.file is not None
    ]
    said = f"{target}: the day {day} could not be written, the table is unchanged: "
    properties = CommitProperties(
        custom_metadata={"userMetadata": run_id, _TOKEN: token},
        # One try a snapshot: a second one would not see what others added to the day meanwhile.
        max_commit_retries=1,
    )
    failure: Exception | None = None
    for attempt in range(_TRIES):
        time.sleep(0.1 * attempt)
        try:
            if DeltaTable.is_deltatable(target):
                table = DeltaTable(target)
                if attempt and (version := _version(table, token)) is not None:
                    return version  # the try that failed did not
                if differs(table, schema):
                    raise StorageError(said + "it has other columns now")
                table.create_write_transaction(
                    actions,
                    mode="overwrite",
                    schema=table.schema(),
                    partition_by=["day"],
                    partition_filters=[("day", "=", day.isoformat())],
                    commit_properties=properties,
                )
            else:
                create_table_with_add_actions(
                    target,
                    Schema.from_json(json.dumps(schema)),
                    actions,
                    mode="error",
                    partition_by=["day"],
                    commit_properties=properties,
                )
            version = _version(DeltaTable(target), token)
            if version is None:
                raise StorageError(f"{target}: the commit of run {run_id} is not in its history")
            return version
        except CommitFailedError as error:
            failure = error
        except (DeltaError, OSError) as error:
            if attempt or "already exists" not in str(error):
                raise StorageError(said + str(error)) from error
            failure = error  # another run made the table between the question and the answer
    raise StorageError(
        f"{said}gave up after {_TRIES} tries: other writers keep committing to this table: "
        f"{failure}"
    )


def differs(table: DeltaTable, schema: dict[str, Any]) -> bool:
    """Whether a table has other columns, or takes no null somewhere."""

    def fields(schema: dict[str, Any]) -> dict[str, Any]:
        return {f["name"]: (f["type"], f["nullable"]) for f in schema["fields"]}

    return fields(json.loads(table.schema().to_json())) != fields(schema)


def _version(table: DeltaTable, token: str, limit: int | None = 50) -> int | None:
    """The version that a run's commit made, if it is one of the last."""
    found = [entry["version"] for entry in table.history(limit) if _token(entry) == token]
    return int(found[0]) if found else None


def _token(entry: dict[str, Any]) -> Any:
    """Of a commit: ours says it itself, one of the JVM's job in its tags."""
    return entry.get(_TOKEN) or (entry.get("tags") or {}).get(_TOKEN)


def _committed(target: str, token: str) -> set[str]:
    """The names of a run's files that its commit named."""
    from deltalake import DeltaTable

    # A first commit that was killed may leave a log without any entry.
    if not any(n.endswith(_ENTRIES) for n in storage.names(storage.join(target, "_delta_log"))):
        return set()
    try:
        table = DeltaTable(target)
        # The day's files count even where the log no longer tells who wrote them.
        paths = table.get_add_actions()["path"].to_pylist()
        if (version := _version(table, token, None)) is not None:
            paths += DeltaTable(target, version=version).get_add_actions()["path"].to_pylist()
    except Exception as error:
        raise StorageError(f"{target}: its log cannot be read: {error}") from error
    return {str(path).rpartition("/")[2] for path in paths if token in str(path)}
