"""HDFS without Java: hdfs-native as a file system of Arrow's."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import pyarrow as pa
from pyarrow import fs as pafs

from tfspark.errors import StorageError


def arrow(authority: str) -> pafs.FileSystem:
    """Arrow's file system of a name node; without one that of Hadoop's configuration.

    Raises:
        StorageError: hdfs-native is not installed.
    """
    return pafs.PyFileSystem(_Handler(authority))


@cache
def client(_pid: int, authority: str) -> Any:
    try:
        import hdfs_native
    except ImportError:
        raise StorageError(
            f"hdfs://{authority}: needs hdfs-native, which is not installed: install "
            "tfspark[stores]"
        ) from None
    return hdfs_native.Client(f"hdfs://{authority}") if authority else hdfs_native.Client()


def rename(authority: str, source: str, target: str, overwrite: bool = False) -> None:
    """At once, folders too.

    Raises:
        FileExistsError: the target is there, and not to be replaced.
    """
    client(os.getpid(), authority).rename(source, target, overwrite)


class _Handler(pafs.FileSystemHandler):
    """Paths are raw: fsspec's bridge would take `#` and `?` in them for parts of a URL."""

    def __init__(self, authority: str) -> None:
        self._authority = authority
        client(os.getpid(), authority)

    @property
    def _client(self) -> Any:
        return client(os.getpid(), self._authority)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Handler) and other._authority == self._authority

    def __ne__(self, other: object) -> bool:
        return not self == other

    def get_type_name(self) -> str:
        return "hdfs-native"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: list[str]) -> list[pafs.FileInfo]:
        return [self._info(path) for path in paths]

    def _info(self, path: str) -> pafs.FileInfo:
        try:
            return _as_info(path, self._client.get_file_info(path or "/"))
        except FileNotFoundError:
            return pafs.FileInfo(path, pafs.FileType.NotFound)

    def get_file_info_selector(self, selector: pafs.FileSelector) -> list[pafs.FileInfo]:
        base = selector.base_dir or "/"
        try:
            found = list(self._client.list_status(base, selector.recursive))
        except FileNotFoundError:
            if selector.allow_not_found:
                return []
            raise
        below = base.rstrip("/") + "/"
        return [_as_info(one.path, one) for one in found if one.path.startswith(below)]

    def create_dir(self, path: str, recursive: bool) -> None:
        self._client.mkdirs(path, 0o755, recursive)

    def delete_dir(self, path: str) -> None:
        if not self._client.delete(path, True):
            raise FileNotFoundError(path)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        for one in self._client.list_status(path, False):
            self._client.delete(one.path, True)

    def delete_root_dir_contents(self) -> None:
        raise NotImplementedError

    def delete_file(self, path: str) -> None:
        if not self._client.delete(path, False):
            raise FileNotFoundError(path)

    def move(self, src: str, dest: str) -> None:
        self._client.rename(src, dest, False)

    def copy_file(self, src: str, dest: str) -> None:
        with self.open_input_stream(src) as source, self.open_output_stream(dest, None) as target:
            while piece := source.read(1 << 20):
                target.write(piece)

    def open_input_stream(self, path: str) -> pa.NativeFile:
        return pa.PythonFile(self._client.read(path), mode="r")

    def open_input_file(self, path: str) -> pa.NativeFile:
        return pa.PythonFile(self._client.read(path), mode="r")

    def open_output_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        import hdfs_native

        options = hdfs_native.WriteOptions()
        options.overwrite = True
        return pa.PythonFile(self._client.create(path, write_options=options), mode="w")

    def open_append_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        return pa.PythonFile(self._client.append(path), mode="w")


def _as_info(path: str, status: Any) -> pafs.FileInfo:
    changed = status.modification_time / 1000
    if status.isdir:
        return pafs.FileInfo(path.rstrip("/") or "/", pafs.FileType.Directory, mtime=changed)
    return pafs.FileInfo(path, pafs.FileType.File, size=status.length, mtime=changed)
