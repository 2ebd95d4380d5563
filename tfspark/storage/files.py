"""Files that the driver reads and writes itself: manifests, digests, renames.

All of it goes through `pyarrow.fs`, so a folder may be a local path or a URI (`s3a://`, `hdfs://`,
`gs://`, `abfs://`). What Arrow does not know of object stores, obstore does (`objects.py`). Tables
are Spark's business, not this module's.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from pyarrow import fs as pafs

from tfspark.errors import IntegrityError, StorageError
from tfspark.storage import hdfs, objects, s3, uploads
from tfspark.storage.failures import failure, told
from tfspark.storage.place import Place, parse
from tfspark.wording import say


def filesystem(path: str) -> tuple[pafs.FileSystem, str]:
    """Arrow's file system of a path or URI, and the path inside it.

    Raises:
        StorageError: the URI's scheme is unknown or its library is missing.
    """
    place = parse(path)
    if place.is_local:
        return pafs.LocalFileSystem(), place.key
    try:
        if place.scheme == "s3":
            s3.for_libraries()
            return s3.arrow(), place.inner
        if place.scheme == "hdfs":
            return hdfs.arrow(place.authority), place.inner
        if place.scheme == "gs":
            return pafs.GcsFileSystem(), place.inner
        if place.scheme == "abfs":
            account = place.authority.partition("@")[2].partition(".")[0]
            return pafs.AzureFileSystem(account), place.inner
        return pafs.FileSystem.from_uri(path)  # type: ignore[no-any-return]
    except StorageError:
        raise
    except Exception as error:
        raise StorageError(f"cannot open the file system of {path}: {error}") from error


def absolute(path: str) -> str:
    """A local path made absolute; a URI as it is."""
    return path if "://" in path else filesystem(path)[1]


def is_local(path: str) -> bool:
    """Whether it is a path or a `file:` URI."""
    return parse(path).is_local


def for_delta(path: str) -> str:
    """A place as deltalake takes it; it finds out by itself how to get there.

    Raises:
        StorageError: it does not take such a path.
    """
    place = parse(path)
    if place.scheme == "hdfs" and "%" in place.for_delta:
        raise StorageError(
            f"{path}: deltalake opens no paths of HDFS with spaces or other than plain letters; "
            "rename the folder"
        )
    if place.scheme == "s3":
        s3.for_libraries()
    return place.for_delta


def join(folder: str, *parts: str) -> str:
    return "/".join([folder.rstrip("/"), *parts])


def exists(path: str) -> bool:
    fs, inner = filesystem(path)
    with told("look for", path):
        return bool(fs.get_file_info(inner).type != pafs.FileType.NotFound)


def is_dir(path: str) -> bool:
    fs, inner = filesystem(path)
    with told("look for", path):
        return bool(fs.get_file_info(inner).type == pafs.FileType.Directory)


def names(folder: str) -> list[str]:
    """Sorted base names of a folder's entries; empty where there is no folder."""
    fs, inner = filesystem(folder)
    with told("list", folder):
        infos = fs.get_file_info(pafs.FileSelector(inner, allow_not_found=True))
    return sorted(info.base_name for info in infos)


def files(folder: str) -> list[tuple[str, int]]:
    """(path relative to the folder, bytes) of every file below it, sorted."""
    fs, inner = filesystem(folder)
    with told("list", folder):
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
    with told("read", path), fs.open_input_stream(inner) as stream:
        return bytes(stream.read())


def write_bytes(path: str, content: bytes) -> None:
    """Write a whole file or nothing: a reader never sees a part of it."""
    place = parse(path)
    if place.is_objects:
        with told("write", path):
            objects.put(place, content)
        return
    fs, inner = filesystem(path)
    with told("write", path):
        _over(place, fs, partial(fs, inner, content), inner)


def replace(source: str, target: str) -> None:
    """Rename a file over another one."""
    place, fs = parse(target), filesystem(target)[0]
    if place.is_objects:
        move(source, target)
        return
    with told("write", target):
        _over(place, fs, filesystem(source)[1], place.inner)


def _over(place: Place, fs: pafs.FileSystem, source: str, target: str) -> None:
    if place.scheme == "hdfs":
        hdfs.rename(place.authority, source, target, overwrite=True)
    else:
        fs.move(source, target)


def partial(fs: pafs.FileSystem, inner: str, content: bytes) -> str:
    """A file beside the one of that name, which it becomes."""
    partial = f"{inner}.{uuid.uuid4().hex}.partial"
    fs.create_dir(inner.rsplit("/", 1)[0], recursive=True)
    with fs.open_output_stream(partial) as stream:
        stream.write(content)
    return partial


def upload(local: str, path: str) -> None:
    """A file of this machine, in pieces."""
    fs, inner = filesystem(path)
    if not parse(path).is_objects:
        make_dir(path.rpartition("/")[0])
    with (
        told("write", path),
        Path(local).open("rb") as source,
        fs.open_output_stream(inner) as target,
    ):
        while piece := source.read(8 << 20):
            target.write(piece)


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
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def sha256(path: str) -> str:
    """Hex sha256 of one file, read in pieces."""
    fs, inner = filesystem(path)
    digest = hashlib.sha256()
    with told("read", path), fs.open_input_stream(inner) as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def move(source: str, target: str) -> None:
    """Rename a file or, where there are folders, a folder at once; see `publish` for the others."""
    place = parse(source)
    if place.is_objects:
        with told("move", source):
            objects.copy(place, parse(target))
            objects.delete(place)
        return
    fs, inner = filesystem(source)
    try:
        fs.move(inner, filesystem(target)[1])
    except OSError as error:
        raise failure("rename", f"{source} to {target}", error, target) from error


def delete(folder: str) -> None:
    """With all that is in it; that there is none is no error."""
    fs, inner = filesystem(folder)
    place = parse(folder)
    with told("delete", folder):
        if place.is_objects:
            objects.delete_below(place)
            abort_uploads(folder)
            with suppress(OSError):
                _remove_markers(fs, place)
        elif fs.get_file_info(inner).type == pafs.FileType.Directory:
            with suppress(FileNotFoundError):  # another run cleans up as well
                fs.delete_dir(inner)


def _remove_markers(fs: pafs.FileSystem, place: Place) -> None:
    """Of folders that are empty now, the inner ones first; some servers keep such folders."""
    if fs.get_file_info(place.inner).type != pafs.FileType.Directory:
        return
    inside = fs.get_file_info(pafs.FileSelector(place.inner, recursive=True, allow_not_found=True))
    below = sorted((info.path.removeprefix(place.inner) for info in inside), reverse=True)
    for name in [*below, ""]:
        uploads.remove_marker(place, name)


def abort_uploads(folder: str, containing: str = "") -> None:
    """End what killed writers had sent of files below a folder; that a store refuses is no error.

    Args:
        containing: of files whose paths have this text in them.
    """
    with suppress(OSError, ValueError):
        uploads.abort_below(parse(folder), containing)


def discard(folder: str) -> None:
    """Delete what nobody needs any more. A failure is told, and is no failure of the job: the next
    run does it.
    """
    try:
        delete(folder)
    except (OSError, StorageError) as error:
        print(f"{folder}: cleaning up failed ({error}): the next run does it", file=sys.stderr)


def delete_file(path: str) -> None:
    """
    Raises:
        FileNotFoundError: there is none; object stores do not tell.
    """
    place = parse(path)
    if place.is_objects:
        with told("delete", path):
            objects.delete(place)
        return
    fs, inner = filesystem(path)
    try:
        fs.delete_file(inner)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise failure("delete", path, error) from error


def make_dir(folder: str) -> None:
    """Of object stores nothing is made: names are enough there."""
    if parse(folder).is_objects:
        return
    fs, inner = filesystem(folder)
    with told("make the folder", folder):
        fs.create_dir(inner, recursive=True)
