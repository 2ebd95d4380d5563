"""Files that the driver reads and writes itself: manifests, digests, renames.

All of it goes through `pyarrow.fs`, so a folder may be a local path or any URI that Arrow
knows (`hdfs://`, `s3://`, `gs://`). Tables are Spark's business, not this module's.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from pyarrow import fs as pafs

from tfspark.errors import IntegrityError, StorageError
from tfspark.wording import say


def filesystem(path: str) -> tuple[pafs.FileSystem, str]:
    """Arrow's file system of a path or URI, and the path inside it.

    Raises:
        StorageError: the URI's scheme is unknown or its library is missing.
    """
    if "://" not in path and not path.startswith("file:"):
        return pafs.LocalFileSystem(), str(Path(path).absolute())
    if path.startswith("file:"):
        return pafs.LocalFileSystem(), unquote(urlparse(path).path)
    try:
        return pafs.FileSystem.from_uri(path)  # type: ignore[no-any-return]
    except Exception as error:
        raise StorageError(f"cannot open the file system of {path}: {error}") from error


def absolute(path: str) -> str:
    """A local path made absolute; a URI as it is."""
    return path if "://" in path else filesystem(path)[1]


def join(folder: str, *parts: str) -> str:
    return "/".join([folder.rstrip("/"), *parts])


def exists(path: str) -> bool:
    fs, inner = filesystem(path)
    return bool(fs.get_file_info(inner).type != pafs.FileType.NotFound)


def is_dir(path: str) -> bool:
    fs, inner = filesystem(path)
    return bool(fs.get_file_info(inner).type == pafs.FileType.Directory)


def names(folder: str) -> list[str]:
    """Sorted base names of a folder's entries; empty where there is no folder."""
    fs, inner = filesystem(folder)
    infos = fs.get_file_info(pafs.FileSelector(inner, allow_not_found=True))
    return sorted(info.base_name for info in infos)


def files(folder: str) -> list[tuple[str, int]]:
    """(path relative to the folder, bytes) of every file below it, sorted."""
    fs, inner = filesystem(folder)
    infos = fs.get_file_info(pafs.FileSelector(inner, recursive=True, allow_not_found=True))
    root = inner.rstrip("/") + "/"
    return sorted(
        (info.path.removeprefix(root), info.size)
        for info in infos
        if info.type == pafs.FileType.File
    )


def glob(path: str) -> list[str]:
    """The paths of this machine that a glob names; none of other file systems."""
    fs, inner = filesystem(path)
    if not isinstance(fs, pafs.LocalFileSystem):
        return []
    return sorted(str(found) for found in Path("/").glob(inner.lstrip("/")))


def links(folder: str) -> list[str]:
    """The links below a folder of this machine, sorted; other file systems have none."""
    fs, inner = filesystem(folder)
    if not isinstance(fs, pafs.LocalFileSystem):
        return []
    below = Path(inner)
    return sorted(
        Path(parent, name).relative_to(below).as_posix()
        for parent, folders, names in os.walk(below)
        for name in [*folders, *names]
        if Path(parent, name).is_symlink()
    )


def read_bytes(path: str) -> bytes:
    fs, inner = filesystem(path)
    try:
        with fs.open_input_stream(inner) as stream:
            return bytes(stream.read())
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error}") from error


def write_bytes(path: str, content: bytes) -> None:
    """Write a whole file or nothing: a reader never sees a part of it."""
    fs, inner = filesystem(path)
    partial = f"{inner}.{uuid.uuid4().hex}.partial"
    try:
        fs.create_dir(inner.rsplit("/", 1)[0], recursive=True)
        with fs.open_output_stream(partial) as stream:
            stream.write(content)
        fs.move(partial, inner)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error}") from error


def read_json(path: str) -> Any:
    return parse_json(read_bytes(path), path)


def parse_json(content: bytes, path: str) -> Any:
    """What a file's bytes say.

    Raises:
        IntegrityError: they are not JSON, or nested deeper than Python can read.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise IntegrityError(say("not_json", path=path)) from None


def find_json(path: str) -> Any:
    """What a file holds; None where there is none, even if it goes while it is looked for."""
    try:
        found = read_json(path)
    except IntegrityError:
        raise
    except StorageError:
        if not exists(path):
            return None
        found = read_json(path)
    if found is None:
        raise IntegrityError(f"{path} holds nothing but null: it was damaged")
    return found


def checked(value: Any, path: str, **kinds: type | tuple[type, ...]) -> dict[str, Any]:
    """A file's content, if it is a mapping that has these fields, of these very types.

    Raises:
        IntegrityError: it is not; `path` is for the message.
    """
    for field, kind in kinds.items():
        found = value.get(field) if isinstance(value, dict) else None
        if type(found) not in (kind if isinstance(kind, tuple) else (kind,)) or found == "":
            raise IntegrityError(say("not_ours", path=path, field=field))
    return dict(value)


def write_json(path: str, value: Any) -> None:
    write_bytes(path, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode())


def sha256(path: str) -> str:
    """Hex sha256 of one file, read in pieces."""
    fs, inner = filesystem(path)
    digest = hashlib.sha256()
    with fs.open_input_stream(inner) as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def move(source: str, target: str) -> None:
    """Rename a folder. Atomic on POSIX and HDFS; Arrow's S3 file system does not rename folders."""
    fs, inner = filesystem(source)
    try:
        fs.move(inner, filesystem(target)[1])
    except OSError as error:
        raise StorageError(f"cannot rename {source} to {target}: {error}") from error


def delete(folder: str) -> None:
    fs, inner = filesystem(folder)
    if fs.get_file_info(inner).type == pafs.FileType.Directory:
        with suppress(FileNotFoundError):  # another run cleans up as well
            fs.delete_dir(inner)


def delete_file(path: str) -> None:
    fs, inner = filesystem(path)
    fs.delete_file(inner)


def make_dir(folder: str) -> None:
    fs, inner = filesystem(folder)
    try:
        fs.create_dir(inner, recursive=True)
    except OSError as error:
        raise StorageError(f"cannot make the folder {folder}: {error}") from error
