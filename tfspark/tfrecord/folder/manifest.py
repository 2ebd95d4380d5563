"""A folder of TFRecord files: what belongs to it, by its manifest or else by its names.

FOLDER/_manifest.json     the files that count, their rows and bytes, the schema: one commit
FOLDER/_schema.json       the same schema, for readers of single files
FOLDER/_SUCCESS           there while the data files are exactly those of the manifest
FOLDER/_staging/          what running jobs have not committed yet
FOLDER/[day=2026-01-01/]part-00000-<job>-000.tfrecord
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa

from tfspark import storage
from tfspark.errors import ConfigError, IntegrityError, SourceMissing
from tfspark.tfrecord.codec import types
from tfspark.tfrecord.codec.schema import Layout, from_json, read_sidecar, to_json
from tfspark.tfrecord.codec.stream import compression_of
from tfspark.wording import BESIDE

MANIFEST = "_manifest.json"
SUCCESS = "_SUCCESS"
NULL = "__HIVE_DEFAULT_PARTITION__"
"""The folder of rows whose partition column is null, as Hive and Spark name it."""

_VERSION = 1


@dataclass(frozen=True)
class FileEntry:
    """One data file. `rows` is None where nobody counted them; `partition` is name → value."""

    path: str
    rows: int | None
    bytes: int
    partition: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """What a folder holds.

    Attributes:
        layout: the records' layout, without the partition columns; None if it is not known.
        partition_by: the partition columns and their types.
        files: path under the folder → its entry.
        obsolete: files of an earlier commit that may still be there and no longer count.
    """

    layout: Layout | None
    partition_by: pa.Schema
    files: dict[str, FileEntry]
    obsolete: tuple[str, ...] = ()

    @property
    def rows(self) -> int | None:
        counts = [entry.rows for entry in self.files.values()]
        return None if None in counts else sum(c for c in counts if c is not None)


@dataclass(frozen=True)
class Folder:
    """What is to be read under a path. `manifest` is None where the folder has none."""

    path: str
    layout: Layout | None
    manifest: Manifest | None
    files: list[FileEntry]
    partition_by: pa.Schema = field(default_factory=lambda: pa.schema([]))


def list_folder(path: str, check: bool = True) -> Folder:
    """The files that count: those of the manifest; without one, those that the names tell.

    Without a manifest these are all files with `.tfrecord` in their names, or, if there is none,
    all whose names do not begin with `_` or `.` and do not end as those of texts, tables and sums
    do, unless all do; folders `name=value` are partition columns. A
    single file is a folder of one, and a pattern (`*`, `?`, `[`) one of the files that match.

    Args:
        check: compare the sizes of the files with the manifest's.

    Raises:
        SourceMissing: there is nothing, or no write to it has finished.
        IntegrityError: the manifest is not one of ours, or a file that it lists is missing or of
            another size.
    """
    path = storage.absolute(path)
    if not storage.exists(path):
        if set(path) & set("*?["):
            return _matching(path)
        raise SourceMissing(f"{path} is not there")
    if not storage.is_dir(path):
        return _single(path)
    manifest, said = look(path)
    if not said:
        if not manifest.files and manifest.layout is None:
            raise SourceMissing(f"{path} holds no TFRecord file: no write to it has finished")
        return Folder(
            path, manifest.layout, None, list(manifest.files.values()), manifest.partition_by
        )
    if not manifest.files and manifest.layout is None:
        raise SourceMissing(f"{path} holds nothing yet: no write to it has finished")
    sizes = dict(storage.files(path))
    for name, entry in manifest.files.items():
        if name not in sizes:
            if read_manifest(path) != manifest:  # overwritten meanwhile
                return list_folder(path, check)
            raise IntegrityError(
                f"{entry.path} is missing, {MANIFEST} lists it: bring the file back, or write the "
                "folder again"
            )
        if check and sizes[name] != entry.bytes:
            raise IntegrityError(
                f"{entry.path} has {sizes[name]} bytes, {MANIFEST} says {entry.bytes}: it was "
                "damaged or cut off; bring the file back, or write the folder again"
            )
    files = list(manifest.files.values())
    return Folder(path, manifest.layout, manifest, files, manifest.partition_by)


def look(folder: str) -> tuple[Manifest, bool]:
    """What a folder holds, and whether its manifest says so; without one its names do."""
    while (manifest := read_manifest(folder)) is None:
        try:
            told = by_names(folder)
        except ConfigError:
            if not storage.exists(storage.join(folder, MANIFEST)):
                raise
            continue
        if not storage.exists(storage.join(folder, MANIFEST)):
            return told, False
        # A first write has begun meanwhile: some of the names may not count yet.
    return manifest, True


def by_names(folder: str) -> Manifest:
    """What a folder without a manifest holds, told by names and the sidecar; rows are unknown."""
    found = [
        (name, size)
        for name, size in storage.files(folder)
        if not any(part.startswith(("_", ".")) for part in name.split("/"))
    ]
    records = [(n, s) for n, s in found if ".tfrecord" in n.rsplit("/", 1)[-1]]
    records = records or [(n, s) for n, s in found if not n.lower().endswith(BESIDE)] or found
    texts = [_parse_folders(name) for name, _ in records]
    columns = list(texts[0]) if texts else []
    if any(list(text) != columns for text in texts):
        raise ConfigError(
            f"{folder}: its files lie in folders of different partition columns; read them one "
            "by one"
        )
    partition_by = pa.schema([(name, _type_of(text[name] for text in texts)) for name in columns])
    files = {
        name: FileEntry(
            storage.join(folder, name),
            None,
            size,
            {key: _value(text[key], partition_by.field(key).type) for key in columns},
        )
        for (name, size), text in zip(records, texts, strict=True)
    }
    return Manifest(read_sidecar(folder), partition_by, files)


def read_manifest(folder: str) -> Manifest | None:
    """The folder's manifest; None where there is none.

    Raises:
        IntegrityError: it is not one of ours, or of a later version.
    """
    path = storage.join(folder, MANIFEST)
    value = storage.find_json(path)
    return None if value is None else _from_json(folder, value)


def read_version(folder: str) -> tuple[Manifest | None, str | None]:
    """The folder's manifest, and the version by which `write_manifest` knows it."""
    path = storage.join(folder, MANIFEST)
    found = storage.read_version(path)
    if found is None:
        return None, None
    return _from_json(folder, storage.parse_json(found[0], path)), found[1]


def _from_json(folder: str, value: Any) -> Manifest:
    path = storage.join(folder, MANIFEST)
    try:
        if (_at(value, "format"), _at(value, "version")) != ("tfrecord", _VERSION):
            raise ValueError(f"{value['format']!r}, version {value['version']}")
        partition_by = pa.schema(
            [
                (column["name"], types.from_json(column["type"]))
                for column in _at(value, "partition_by", list)
            ]
        )
        files = {
            name: FileEntry(
                storage.join(folder, name),
                _at(entry, "rows"),
                _at(entry, "bytes"),
                {
                    key: _from_plain(text, partition_by.field(key).type)
                    for key, text in _partition(entry).items()
                },
            )
            for name, entry in _at(value, "files", dict).items()
        }
        schema = value["schema"]
        layout = from_json(schema, path) if schema is not None else None
        return Manifest(layout, partition_by, files, tuple(_at(value, "obsolete", list)))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        said = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise IntegrityError(
            f"{path} is no manifest of version {_VERSION} ({said}): read it with the tfspark that "
            "wrote it, or write the folder again"
        ) from error


def _partition(entry: dict[str, Any]) -> dict[str, Any]:
    """The values of a file's partition; a folder without partitions may say nothing of them."""
    found: dict[str, Any] = _at(entry, "partition", dict) if "partition" in entry else {}
    return found


def _at(value: Any, name: str, kind: type = object) -> Any:
    """A field; one of another shape is none."""
    if not isinstance(value, dict) or not isinstance(value.get(name, None), kind):
        raise KeyError(name)
    return value[name]


def write_manifest(folder: str, manifest: Manifest, over: str | None = None) -> None:
    """Replace the folder's manifest at once: from now on its files are the ones that count.

    Args:
        over: the version that is replaced; None: there is none. Where folders are locked, it is
            not looked at.

    Raises:
        FileExistsError: the manifest is another one by now.
    """
    kinds = {compression_of(name) for name in manifest.files}
    files = {
        name: {
            "rows": entry.rows,
            "bytes": entry.bytes,
            "partition": {key: _to_plain(value) for key, value in entry.partition.items()},
        }
        for name, entry in manifest.files.items()
    }
    value = {
        "format": "tfrecord",
        "version": _VERSION,
        "rows": manifest.rows,
        "compression": kinds.pop() if len(kinds) == 1 else "mixed" if kinds else None,
        "schema": to_json(manifest.layout) if manifest.layout else None,
        "partition_by": [
            {"name": column.name, "type": types.to_json(column.type)}
            for column in manifest.partition_by
        ],
        "files": files,
        "obsolete": list(manifest.obsolete),
    }
    storage.write_over(storage.join(folder, MANIFEST), storage.json_bytes(value), over)


def partition_folder(partition: dict[str, Any]) -> str:
    """`day=2026-01-01/hour=3/` of the values; empty without any."""
    return "".join(f"{quote(key, safe='')}={_text(v)}/" for key, v in partition.items())


def _single(path: str) -> Folder:
    folder, _, name = path.rpartition("/")
    manifest = read_manifest(folder)
    if manifest is not None and name in manifest.files:
        return Folder(path, manifest.layout, None, [manifest.files[name]])
    fs, inner = storage.filesystem(path)
    entry = FileEntry(path, None, fs.get_file_info(inner).size)
    return Folder(path, read_sidecar(folder), None, [entry])


def _matching(pattern: str) -> Folder:
    root = re.split(r"[*?\[]", pattern, maxsplit=1)[0].rpartition("/")[0] or "/"
    found = [(storage.join(root, name), size) for name, size in storage.files(root)]
    # By levels: a `*` is part of one name.
    files = [
        FileEntry(path, None, size)
        for path, size in found
        if PurePosixPath(path).match(pattern) and path.count("/") == pattern.count("/")
    ]
    if not files:
        raise SourceMissing(f"{pattern}: no file matches")
    folders = {entry.path.rpartition("/")[0] for entry in files}
    layout = read_sidecar(folders.pop()) if len(folders) == 1 else None
    return Folder(pattern, layout, None, files)


def _parse_folders(name: str) -> dict[str, str]:
    parts = [part.partition("=") for part in name.split("/")[:-1] if "=" in part]
    return {unquote(key): unquote(value) for key, _, value in parts}


def _type_of(texts: Iterable[str]) -> pa.DataType:
    for text in texts:
        if text != NULL and not text.removeprefix("-").isdecimal():
            return pa.string()
    return pa.int64()


def _value(text: str, kind: pa.DataType) -> Any:
    if text == NULL:
        return None
    return int(text) if pa.types.is_integer(kind) else text


def _text(value: Any) -> str:
    if value is None:
        return NULL
    return str(value).lower() if isinstance(value, bool) else quote(str(value), safe=" ")


def _to_plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.date) else value


def _from_plain(value: Any, kind: pa.DataType) -> Any:
    return dt.date.fromisoformat(value) if pa.types.is_date(kind) and value is not None else value
