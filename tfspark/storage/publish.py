"""A folder gets its final name: whole, or not at all; the one place that knows how.

Where folders are renamed at once (this machine, HDFS), that is it. An object store has no folders:
there a claim is written first, by a write that fails where another has one, then the files under
their final names, and last of all the file that readers ask for, again only where there is none.
A folder with a claim and without that file is not there; whoever finds it and its owner dead
removes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from tfspark.errors import StorageError
from tfspark.storage import objects
from tfspark.storage.failures import told
from tfspark.storage.files import (
    delete_file,
    exists,
    files,
    join,
    move,
    names,
    parse_json,
    read_bytes,
)
from tfspark.storage.owner import lives, note
from tfspark.storage.place import parse
from tfspark.storage.versions import read_version, write_new, write_over

CLAIM = "_claim.json"
_COPIES = 8


def publish(staged: str, folder: str, last: str, before: Iterable[str] = ()) -> None:
    """Give a staged folder its final name.

    Args:
        last: the file of it that readers ask for.
        before: files that readers without our manifest look for: they come just before `last`.

    Raises:
        StorageError: there is a folder of that name, or another is writing it.
    """
    if not parse(folder).is_objects:
        move(staged, folder)
        return
    mine = _claim(folder, last)
    content = read_bytes(join(staged, last))
    late = list(before)
    inside = [name for name, _ in files(staged) if name != last]
    with told("write", folder):
        with ThreadPoolExecutor(_COPIES) as pool:
            early = [name for name in inside if name not in late]
            list(pool.map(lambda name: _copy(staged, folder, name), early))
        for name in late:
            if name in inside:
                _copy(staged, folder, name)
    if (found := read_version(join(folder, CLAIM))) is None or found[0] != mine:
        raise StorageError(
            f"cannot rename {staged} to {folder}: this job was silent for so long that another "
            "took it for dead"
        )
    try:
        write_new(join(folder, last), content)
    except FileExistsError:
        raise StorageError(f"cannot rename {staged} to {folder}: it is there already") from None
    with suppress(OSError, StorageError):  # whoever sweeps does it otherwise
        _give_up(folder)


def is_claimed(folder: str) -> bool:
    """Whether somebody writes a folder, or died while writing it."""
    return parse(folder).is_objects and exists(join(folder, CLAIM))


def sweep_claims(parent: str, last: str) -> None:
    """Remove the folders below one that the dead claimed and did not finish."""
    if not parse(parent).is_objects:
        return
    for name in names(parent):
        folder = join(parent, name)
        if name.startswith("_") or not exists(path := join(folder, CLAIM)):
            continue
        found = read_version(path)
        if found is None or lives(parse_json(found[0], path), path):
            continue
        with suppress(FileExistsError):  # another one sweeps
            write_over(path, _said(), found[1])
            if not exists(join(folder, last)):
                _empty(folder)
            _give_up(folder)


def _claim(folder: str, last: str) -> bytes:
    path, mine = join(folder, CLAIM), _said()
    while True:
        try:
            write_new(path, mine)
            break
        except FileExistsError:
            found = read_version(path)
        if found is None:
            continue
        if lives(parse_json(found[0], path), path):
            raise StorageError(f"cannot rename to {folder}: another job is writing it; run again")
        with suppress(FileExistsError):
            write_over(path, mine, found[1])
            break
    if exists(join(folder, last)):
        _give_up(folder)
        raise StorageError(f"cannot rename to {folder}: it is there already")
    _empty(folder)
    return mine


def _said() -> bytes:
    return (json.dumps(note(), indent=2, sort_keys=True) + "\n").encode()


def _empty(folder: str) -> None:
    """Of all but the claim."""
    for name, _ in files(folder):
        if name != CLAIM:
            delete_file(join(folder, name))


def _give_up(folder: str) -> None:
    delete_file(join(folder, CLAIM))


def _copy(staged: str, folder: str, name: str) -> None:
    objects.copy(parse(join(staged, name)), parse(join(folder, name)))
