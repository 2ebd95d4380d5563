"""Is everything whole that lies in a folder of TFRecord files?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from tfspark import storage
from tfspark.errors import ConfigError, StorageError
from tfspark.tfrecord.codec.decode import Decoder
from tfspark.tfrecord.codec.read import CHUNK
from tfspark.tfrecord.codec.restore import MisfitError
from tfspark.tfrecord.codec.schema import (
    BYTES,
    SIDECAR,
    Layout,
    RecordType,
    layout_of,
    read_sidecar,
)
from tfspark.tfrecord.codec.stream import ByteStream
from tfspark.tfrecord.codec.walk import Break, walk
from tfspark.tfrecord.folder.manifest import (
    MANIFEST,
    SUCCESS,
    FileEntry,
    Folder,
    list_folder,
    read_manifest,
)

_NAMED = 100  # damaged records of one file that are named each


@dataclass
class Verified:
    """What was found.

    Attributes:
        rows: those that could be read.
        damages: how many there are.
        named: what they are; of one file's records at most 100.
    """

    files: int = 0
    rows: int = 0
    damages: int = 0
    named: list[str] = field(default_factory=list)


def verify(
    path: str,
    compression: str | None = None,
    say: Callable[[str], None] = lambda line: None,
    record_type: RecordType | None = None,
) -> Verified:
    """Read all of a file or folder: every sum, every record by the schema, every count.

    Without a manifest no count is compared; without a schema the records' values are not looked
    at, only that they are messages.

    Args:
        path: a file or a folder.
        compression: none, gzip or zlib; None: what the files' first bytes show.
        say: gets a line for every file and every damage, when it is found.
        record_type: "ByteArray": records are of any kind, and only their sums are checked.

    Raises:
        SourceMissing: there is nothing.
        IntegrityError: the manifest or the sidecar cannot be read.
    """
    found = Verified()

    def damaged(text: str, times: int = 1) -> None:
        found.damages += times
        found.named.append(text)
        say(f"DAMAGED  {text}")

    folder = _everything(path, damaged)
    if record_type == "ByteArray":
        folder = replace(folder, layout=layout_of(BYTES, record_type=record_type))
    for entry in folder.files:
        before = found.damages
        rows = _read(entry, folder.layout, compression, damaged)
        found.files, found.rows = found.files + 1, found.rows + rows
        if entry.rows not in (None, rows) and found.damages == before:
            damaged(f"{entry.path}: it holds {rows} rows, {MANIFEST} says {entry.rows}")
        if found.damages == before:
            say(f"ok       {entry.path}: {rows:,} rows")
    return found


def _everything(path: str, damaged: Callable[..., None]) -> Folder:
    """The files that are there of those that should be; names what is not as it should be."""
    manifest = read_manifest(path) if storage.is_dir(path) else None
    if manifest is None:
        return list_folder(path)
    there = dict(storage.files(path))
    files = []
    for name, entry in manifest.files.items():
        if name not in there:
            damaged(f"{entry.path}: it is missing, {MANIFEST} lists it")
            continue
        files.append(entry)
        if there[name] != entry.bytes:
            damaged(f"{entry.path}: it has {there[name]} bytes, {MANIFEST} says {entry.bytes}")
    for name in sorted(there.keys() - manifest.files.keys()):
        if not any(part.startswith(("_", ".")) for part in name.split("/")):
            damaged(f"{storage.join(path, name)}: {MANIFEST} does not list it, nobody reads it")
    if SUCCESS not in there:
        damaged(f"{path}: no {SUCCESS}: the last write did not end; write again to clean up")
    if read_sidecar(path) != manifest.layout:
        damaged(f"{path}: {SIDECAR} is missing or declares another schema than {MANIFEST}")
    return Folder(path, manifest.layout, manifest, files, manifest.partition_by)


def _read(
    entry: FileEntry,
    layout: Layout | None,
    compression: str | None,
    damaged: Callable[..., None],
) -> int:
    """The rows of a file that can be read; names every record that cannot."""
    decoder = Decoder(layout or layout_of(pa.schema([])))
    fits = True
    rows = count = 0

    def bad(record: int, offset: int, reason: str) -> None:
        nonlocal count
        count += 1
        if count <= _NAMED:
            damaged(f"{entry.path}: record {record} at byte {offset}: {reason}")

    try:
        source = ByteStream(entry.path, compression)
    except (ConfigError, StorageError) as error:
        damaged(str(error))
        return 0
    try:
        for found in walk(source, CHUNK, decoder.rows):
            if isinstance(found, Break):
                bad(found.record, found.offset, found.said)
                continue
            for at in np.flatnonzero(~found.good).tolist():
                bad(*found.place(at), "the sum of its data is wrong")
            good = np.flatnonzero(found.good)
            if not fits:
                continue
            try:
                _, odd = decoder.decode(found.data, found.begin[good], found.end[good])
            except MisfitError as error:
                bad(
                    *found.place(int(good[error.row])),
                    f"it {error.reason}; no later one is decoded",
                )
                fits = False
                continue
            for at in odd.tolist():
                bad(*found.place(int(good[at])), "it is no Example")
            rows += len(good) - len(odd)
    except StorageError as error:
        damaged(str(error))
    finally:
        source.close()
    if count > _NAMED:
        damaged(f"{entry.path}: {count - _NAMED:,} more records are damaged", count - _NAMED)
    return rows
