"""One write to a folder: staged by tasks, then seen at once and whole, or not at all.

    commit = begin(path, layout, mode="append")
    parts = ...                     # tasks write files under commit.staging, see `parts.py`
    commit.commit(parts)            # or commit.abort()

The replacement of the manifest is the commit: readers see what it lists and nothing else. What
a killed job leaves (staged files, files that were moved and never listed, files that no longer
count) the next write to the folder removes.
"""

from __future__ import annotations

import random
import re
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pyarrow import fs as pafs

from tfspark import storage
from tfspark.errors import ConfigError, Conflict, IntegrityError, StorageError
from tfspark.tfrecord.codec.schema import SIDECAR, Layout, read_sidecar, to_json, write_sidecar
from tfspark.tfrecord.folder import manifest as folder
from tfspark.tfrecord.folder.manifest import MANIFEST, SUCCESS, FileEntry, Manifest

Mode = Literal["new", "append", "overwrite", "partitions"]
"""new: the folder must not hold data; partitions: replace only those that get rows."""

_LABEL = "write"
_TRIES = 20  # where nothing is locked
_OURS = re.compile(r"(?:^|/)part-\d+-([0-9a-f]{12})-\d+\.tfrecord[^/]*$")
_HALF = re.compile(r"^(?:_manifest\.json|_schema\.json|_SUCCESS)\.[0-9a-f]{32}\.partial$")


@dataclass(frozen=True)
class StagedFile:
    """A staged file: where it lies, its name under the folder, what it holds."""

    staged: str
    name: str
    rows: int
    bytes: int
    partition: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Commit:
    """A write that has begun. Holds no open thing: it travels by pickle.

    Attributes:
        staging: where its tasks write; `_staging/write-<job>` under the folder.
        made: the folder was not there before.
    """

    path: str
    layout: Layout
    partition_by: pa.Schema
    mode: Mode
    staging: str
    made: bool

    @property
    def job(self) -> str:
        return self.staging[-12:]

    def commit(self, parts: Sequence[StagedFile]) -> Manifest:
        """Make the parts the folder's, and give the manifest that says so.

        Raises:
            IntegrityError: a staged file is missing or of another size than its task said.
            ConfigError: the folder's schema was changed since the write began.
            StorageError: moving or writing failed. After each, `abort` leaves the folder as it was.
        """
        self._check_staged(parts)
        with storage.locked(self.path):
            waiting = list(parts)
            for attempt in range(_TRIES):
                time.sleep(random.uniform(0, min(0.05 * 2**attempt, 2)) if attempt else 0)  # noqa: S311
                try:
                    new = self._replace(parts, waiting)
                    break
                except FileExistsError:
                    continue  # another's commit came first: this one is added to it
            else:
                raise Conflict(
                    f"{self.path}: gave up after {_TRIES} tries: others keep writing to it; "
                    "try again later"
                )
            try:
                _tidy(self.path, [self.staging])
            except (OSError, StorageError) as error:
                # The rows are there: to fail now would have them written twice.
                print(
                    f"{self.path}: committed; cleaning up failed ({error}): the next write does it",
                    file=sys.stderr,
                )
        return new

    def _replace(self, parts: Sequence[StagedFile], waiting: list[StagedFile]) -> Manifest:
        """One try to commit.

        Args:
            waiting: the parts that are not moved yet; empty after it.

        Raises:
            FileExistsError: another has replaced the manifest meanwhile.
        """
        old, version = folder.read_version(self.path)
        if old is None:
            # From here on files lie in the folder that do not count yet.
            folder.write_manifest(self.path, folder.by_names(self.path))
            old, version = folder.read_version(self.path)
        if old is None:
            raise FileExistsError(self.path)  # it is gone again
        check(self.path, old, self.layout, self.partition_by, self.mode)
        tidied = storage.exists(storage.join(self.path, SUCCESS))
        new = self._merged(old, parts, () if tidied else old.obsolete)
        _delete_files(self.path, [SUCCESS])
        self._move(waiting)
        waiting.clear()
        if old.layout is None or to_json(old.layout) != to_json(self.layout):
            _delete_files(self.path, [SIDECAR])
        folder.write_manifest(self.path, new, version)
        return new

    def abort(self) -> None:
        """Leave the folder as it was. After a commit, nothing but staging is removed."""
        with suppress(FileNotFoundError), storage.locked(self.path):
            _tidy(self.path, [self.staging])
        if self.made:
            _remove_if_empty(self.path)

    def _check_staged(self, parts: Sequence[StagedFile]) -> None:
        if not parts:
            return
        fs, _ = storage.filesystem(self.path)
        infos = fs.get_file_info([storage.filesystem(part.staged)[1] for part in parts])
        for part, info in zip(parts, infos, strict=True):
            if info.type != pafs.FileType.File or info.size != part.bytes:
                raise IntegrityError(
                    f"{part.staged} has {info.size} bytes, its task wrote {part.bytes}: nothing "
                    "was committed; write again"
                )

    def _move(self, parts: Sequence[StagedFile]) -> None:
        for parent in sorted({part.name.rpartition("/")[0] for part in parts} - {""}):
            storage.make_dir(storage.join(self.path, parent))
        with ThreadPoolExecutor(8) as pool:
            moves = [
                pool.submit(storage.move, part.staged, storage.join(self.path, part.name))
                for part in parts
            ]
            for move in moves:
                move.result()

    def _merged(
        self, old: Manifest, parts: Sequence[StagedFile], obsolete: Sequence[str]
    ) -> Manifest:
        kept: dict[str, FileEntry] = {}
        if self.mode in ("new", "append"):
            kept = old.files
        elif self.mode == "partitions":
            replaced = [part.partition for part in parts]
            kept = {n: e for n, e in old.files.items() if e.partition not in replaced}
        added = {
            part.name: FileEntry(
                storage.join(self.path, part.name), part.rows, part.bytes, part.partition
            )
            for part in parts
        }
        return Manifest(
            self.layout,
            self.partition_by,
            dict(sorted((kept | added).items())),
            tuple(sorted({*obsolete, *old.files} - set(kept))),
        )


def _tidy(path: str, jobs: Sequence[str]) -> None:
    """Remove what does not count: what the jobs moved or staged, files of earlier commits."""
    manifest = folder.read_manifest(path)
    listed = manifest.files if manifest else {}
    there = [name for name, _ in storage.files(path)]
    data = [n for n in there if ".tfrecord" in n and not n.startswith("_") and n not in listed]
    ids = {job[-12:] for job in jobs}
    left = {name for name in data if (found := _OURS.search(name)) and found[1] in ids}
    # Once `_SUCCESS` is there, a file of an obsolete name is somebody's new one.
    if manifest and SUCCESS not in there:
        left |= set(manifest.obsolete) & set(there)
    _delete_files(path, [*left, *filter(_HALF.match, there)])
    for parent in {name.rpartition("/")[0] for name in left} - {""}:
        while parent and _remove_if_empty(storage.join(path, parent)):
            parent = parent.rpartition("/")[0]
    if manifest and manifest.layout:
        sidecar = read_sidecar(path)
        if sidecar is None or to_json(sidecar) != to_json(manifest.layout):
            write_sidecar(path, manifest.layout)
    if (
        manifest
        and all(e.rows is None for e in listed.values())
        and (listed or not manifest.layout)
    ):
        # Of a first write that did not end: it says what the names and the schema's file say.
        _delete_files(path, [MANIFEST])
        manifest = None
    for job in jobs:
        with suppress(OSError, StorageError):  # a twin that is being killed may still write there
            storage.delete(job)
    _remove_if_empty(storage.join(path, "_staging"))
    if manifest and manifest.layout and SUCCESS not in there and not set(data) - left:
        storage.write_bytes(storage.join(path, SUCCESS), b"")


def begin(
    path: str,
    layout: Layout,
    partition_by: pa.Schema | None = None,
    mode: Mode = "append",
    pid: int | None = None,
) -> Commit:
    """Begin a write: what killed jobs left is removed, the tasks get a staging folder.

    Args:
        path: the folder; made where it is not there.
        layout: the records' layout, without the partition columns.
        partition_by: the partition columns and their types.
        pid: the process that the job lives and dies with; default: this one.

    Raises:
        ConfigError: the folder holds data and the mode is "new", or other columns than the write.
        StorageError: the folder cannot be made.
    """
    path = storage.absolute(path).rstrip("/")
    columns = pa.schema([]) if partition_by is None else partition_by
    made = not storage.exists(path)
    if not made:
        if not storage.is_dir(path):
            raise ConfigError(f"{path} is a file: name a folder to write to")
        check(path, folder.look(path)[0], layout, columns, mode)
    storage.make_dir(path)
    try:
        with storage.locked(path):
            staging = storage.new_staging(path, _LABEL, pid, lambda job: _tidy(path, [job]))
    except OSError as error:
        raise StorageError(f"cannot begin a write in {path}: {error}") from error
    return Commit(path, layout, columns, mode, staging, made)


def check(path: str, old: Manifest, layout: Layout, partition_by: pa.Schema, mode: Mode) -> None:
    """Refuse a write that does not fit what the folder holds.

    Raises:
        ConfigError: it holds data and the mode is "new", or other columns than the write.
    """
    if mode == "overwrite" or (not old.files and old.layout is None):
        return
    if mode == "new":
        raise ConfigError(f"{path} holds data: use mode append or overwrite, or another folder")
    if old.layout is None:
        raise ConfigError(
            f"{path}: its files came without a schema, so rows cannot be added; overwrite it or "
            "write to another folder"
        )
    before = {f.name: f for f in old.layout.schema} | {f.name: f for f in old.partition_by}
    after = {f.name: f for f in layout.schema} | {f.name: f for f in partition_by}
    for name in sorted(before.keys() | after.keys()):
        was, now = (
            f"{f[name].type}{'' if f[name].nullable else ' not null'}" if name in f else "not there"
            for f in (before, after)
        )
        if was != now:
            raise ConfigError(
                f"{path}: column {name} is {was} in the folder, {now} in the rows to add; add rows "
                "of the same columns and types, overwrite, or write to another folder"
            )
    if old.partition_by.names != partition_by.names:
        raise ConfigError(
            f"{path} is partitioned by {old.partition_by.names}, the write by "
            f"{partition_by.names}: name the same columns in partitionBy"
        )
    kinds = [{f.name: f.kind for f in one.features} for one in (old.layout, layout)]
    if kinds[0] != kinds[1]:
        name = next(n for n in kinds[0] if kinds[0][n] != kinds[1].get(n))
        raise ConfigError(
            f"{path}: column {name} is stored as {kinds[0][name]} in the folder; narrow it alike"
        )


def _delete_files(path: str, names: Sequence[str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        there = [n for n in names if storage.exists(storage.join(path, n))]
        list(pool.map(storage.delete_file, [storage.join(path, name) for name in there]))


def _remove_if_empty(path: str) -> bool:
    fs, inner = storage.filesystem(path)
    if isinstance(fs, pafs.LocalFileSystem):  # object stores have no empty folders
        with suppress(OSError):
            Path(inner).rmdir()
            return True
    return False
