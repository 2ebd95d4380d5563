"""The table of promotions: `<warehouse>/champions`, a row a promotion, of all models.

A row is added by a commit on the version of the table that was read: whoever reads, decides and
then finds that another was faster, decides again on what is there now.
"""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tfspark import storage
from tfspark.config import Settings
from tfspark.deltalog import dataset, is_empty
from tfspark.errors import StorageError
from tfspark.sparkerrors import first_line

_TRIES = 20
_SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("number", pa.int64()),
        ("version", pa.int64()),
        ("since", pa.timestamp("us", "UTC")),
        ("action", pa.string()),
        ("by", pa.string()),
        ("reason", pa.string()),
        ("verdict", pa.string()),
        ("digest", pa.string()),
    ]
)


@dataclass(frozen=True)
class Champion:
    """A version in office.

    Attributes:
        name: of the model.
        version: its number.
        number: of its promotion, from 1; 0: before the history began, by the alias alone.
        since: when it was promoted; None: before the history began.
        action: `alias`, `promote` or `rollback`.
        verdict: what the gate had said of it, see `tfspark.judge`; "" where nobody had asked.
        digest: of its files.
        until: when the next one came; None for the champion of now.
    """

    name: str
    version: int
    number: int = 0
    since: dt.datetime | None = None
    action: str = "alias"
    by: str = ""
    reason: str = ""
    verdict: str = ""
    digest: str = ""
    until: dt.datetime | None = None


def path_of(settings: Settings) -> str:
    """The folder of the table."""
    return storage.join(settings.warehouse, "champions")


def rows_of(settings: Settings, name: str) -> list[Champion]:
    """The promotions of a model, the oldest first; none where there is no table.

    Raises:
        StorageError: the table cannot be read.
    """
    return _read(path_of(settings), name)[1]


def add(
    settings: Settings, name: str, decide: Callable[[list[Champion]], list[Champion]]
) -> Champion:
    """Add promotions that are decided on what the table holds at the commit.

    Args:
        decide: is given the promotions so far, and gives those to add; it is asked again where
            another was faster, and raises where nothing is to add any more.

    Returns:
        The last one.

    Raises:
        StorageError: the table cannot be read or written.
    """
    from deltalake import CommitProperties, write_deltalake
    from deltalake.exceptions import DeltaError

    path = path_of(settings)
    if "%" in path or "\\" in path:
        raise StorageError(f"{path}: a path of this table has no % and no \\; name the folder anew")
    for attempt in range(_TRIES):
        time.sleep(random.uniform(0, min(0.02 * 2**attempt, 1)) if attempt else 0)  # noqa: S311
        table, there = _read(path, name)
        new = decide(there)
        columns = [{key: asdict(row)[key] for key in _SCHEMA.names} for row in new]
        rows = pa.Table.from_pylist(columns, _SCHEMA)
        try:
            if table is None:
                storage.make_dir(path)
                write_deltalake(_uri(path), rows, mode="error")
            else:
                # Without tries of its own: they would add the row to whatever others have made.
                alone = CommitProperties(max_commit_retries=0)
                write_deltalake(table, rows, mode="append", commit_properties=alone)
        except (DeltaError, OSError) as error:
            after, now = _read(path, name)
            if now[len(there) :][: len(new)] == new:
                return new[-1]  # it failed after its commit
            if _version(after) == _version(table):
                raise storage.kind_of(path, error)(
                    f"{path}: the promotion could not be written, nothing is changed: "
                    f"{first_line(error)}"
                ) from error
            continue
        return new[-1]
    raise StorageError(
        f"{path}: gave up after {_TRIES} tries: others keep promoting; try again later"
    )


def _read(path: str, name: str) -> tuple[object | None, list[Champion]]:
    """The table as it is now, and a model's rows in it."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    if is_empty(path):
        return None, []
    try:
        table = DeltaTable(_uri(path))
        found = dataset(table, path).to_table(filter=pc.field("name") == name).to_pylist()
    except (DeltaError, OSError, pa.ArrowException) as error:
        kind = storage.kind_of(path, error)
        raise kind(f"{path}: the table of champions cannot be read: {error}") from error
    rows = [Champion(**{key: row[key] for key in _SCHEMA.names}) for row in found]
    return table, sorted(rows, key=lambda row: row.number)


def _version(table: object | None) -> int:
    return -1 if table is None else int(table.version())  # type: ignore[attr-defined]


def _uri(path: str) -> str:
    """As deltalake wants it, which takes a path for a URI."""
    place = storage.parse(path)
    return place.for_spark if place.is_local else storage.for_delta(path)
