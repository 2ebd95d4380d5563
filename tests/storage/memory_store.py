"""An object store in this process: what `s3://` paths mean as long as it is `installed`.

obstore's MemoryStore keeps the objects and its conditions; Arrow sees it through a handler. `step`
is called before every operation on it, so that a test can stop, kill or overtake a job anywhere.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import obstore
import pyarrow as pa
import pytest
from obstore.store import MemoryStore
from pyarrow import fs as pafs

from tfspark.storage import objects, s3

_OPERATIONS = ("put", "put_new", "put_over", "copy", "delete", "read")


class Killed(BaseException):
    """What a dead process gets from every operation."""


class Buckets:
    """All buckets there are.

    Attributes:
        step: called before each operation; may raise, or do something else first.
    """

    def __init__(self) -> None:
        self.stores: dict[str, MemoryStore] = defaultdict(MemoryStore)
        self.step: Callable[[], None] = lambda: None

    def install(self, patch: pytest.MonkeyPatch) -> None:
        files = pafs.PyFileSystem(_Handler(self))
        patch.setattr(s3, "arrow", lambda: files)
        patch.setattr(s3, "objects", self.stores.__getitem__)
        patch.setattr(s3, "for_libraries", lambda: None)
        for name in _OPERATIONS:
            patch.setattr(objects, name, self._stepping(getattr(objects, name)))

    def _stepping(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            self.step()
            return operation(*given)

        return call

    def keys(self) -> dict[str, bytes]:
        """Every object, as `bucket/key`."""
        return {
            f"{bucket}/{one['path']}": bytes(obstore.get(store, one["path"]).bytes())
            for bucket, store in self.stores.items()
            for some in obstore.list(store)
            for one in some
        }


class _Written(io.BytesIO):
    def __init__(self, done: Callable[[bytes], None]) -> None:
        super().__init__()
        self._done = done

    def close(self) -> None:
        if not self.closed:
            self._done(self.getvalue())
        super().close()


class _Handler(pafs.FileSystemHandler):
    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    def _at(self, path: str) -> tuple[MemoryStore, str]:
        bucket, _, key = path.partition("/")
        return self._buckets.stores[bucket], key

    def _below(self, path: str) -> list[tuple[str, int]]:
        store, key = self._at(path)
        found = [(one["path"], one["size"]) for some in obstore.list(store) for one in some]
        root = f"{key}/" if key else ""
        return [(name.removeprefix(root), size) for name, size in found if name.startswith(root)]

    def get_type_name(self) -> str:
        return "memory"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: list[str]) -> list[pafs.FileInfo]:
        return [self._info(path) for path in paths]

    def _info(self, path: str) -> pafs.FileInfo:
        store, key = self._at(path)
        try:
            found = obstore.head(store, key)
        except FileNotFoundError:
            kind = pafs.FileType.Directory if self._below(path) else pafs.FileType.NotFound
            return pafs.FileInfo(path, kind)
        return pafs.FileInfo(path, pafs.FileType.File, size=found["size"])

    def get_file_info_selector(self, selector: pafs.FileSelector) -> list[pafs.FileInfo]:
        found: dict[str, pafs.FileInfo] = {}
        for name, size in self._below(selector.base_dir):
            parts = name.split("/")
            for end in range(1, len(parts) if selector.recursive else min(2, len(parts))):
                path = "/".join([selector.base_dir, *parts[:end]])
                found[path] = pafs.FileInfo(path, pafs.FileType.Directory)
            if selector.recursive or len(parts) == 1:
                path = f"{selector.base_dir}/{name}"
                found[path] = pafs.FileInfo(path, pafs.FileType.File, size=size)
        return list(found.values())

    def open_input_stream(self, path: str) -> pa.NativeFile:
        store, key = self._at(path)
        return pa.BufferReader(bytes(obstore.get(store, key).bytes()))

    open_input_file = open_input_stream

    def open_output_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        store, key = self._at(path)
        return pa.PythonFile(_Written(lambda data: obstore.put(store, key, data)), mode="w")

    def _none(self, *_: Any) -> Any:
        raise NotImplementedError

    create_dir = delete_dir = delete_dir_contents = delete_root_dir_contents = _none
    delete_file = move = copy_file = open_append_stream = _none
