"""What petastorm 0.12.1 needs to run on a current pyarrow and numpy.

It was written for pyarrow's first Parquet API. `import_petastorm` gives its import the modules and
names that are gone, and gives its modules the three classes they call, over today's `ParquetFile`
and `pyarrow.fs`. pyarrow itself is left as it is. A dataset's metadata of petastorm's own, which
is a pickle, is never looked at: `common_metadata` is None.
"""

from __future__ import annotations

import importlib
import sys
import threading
import time
import types
import warnings
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow.parquet as pq
from pyarrow import fs as pafs

_lock = threading.Lock()
_CALLERS = ("reader", "arrow_reader_worker", "py_dict_reader_worker", "etl.dataset_metadata")


def import_petastorm() -> Any:
    """The module `petastorm`, able to read plain Parquet with `make_batch_reader`.

    Pass it `filesystem=FileSystem(...)`: its own way to open file systems is not mended.

    Raises:
        ImportError: petastorm is not installed.
    """
    with _lock, warnings.catch_warnings():
        if "petastorm" in sys.modules:
            return sys.modules["petastorm"]
        # pkg_resources, distutils and namespace packages: all of them announced to go.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", FutureWarning)
        for name, now in (("unicode_", np.str_), ("string_", np.bytes_)):
            if name not in vars(np):
                setattr(np, name, now)
        hdfs = types.ModuleType("pyarrow.hdfs")
        hdfs.HadoopFileSystem = pafs.HadoopFileSystem  # type: ignore[attr-defined]
        former = types.ModuleType("pyarrow.filesystem")
        former.LocalFileSystem = pafs.LocalFileSystem  # type: ignore[attr-defined]
        stand_ins = {"pyarrow.hdfs": hdfs, "pyarrow.filesystem": former}
        absent = {name: module for name, module in stand_ins.items() if name not in sys.modules}
        sys.modules.update(absent)
        try:
            petastorm = importlib.import_module("petastorm")
            for name in _CALLERS:
                importlib.import_module(f"petastorm.{name}").pq = _parquet  # type: ignore[attr-defined]
            # Its dummy pool looks for work ten times a second: too seldom for small files.
            pool = importlib.import_module("petastorm.workers_pool.dummy_pool")
            pool.sleep = lambda seconds: time.sleep(seconds / 100)  # type: ignore[attr-defined]
        finally:
            for name in absent:
                del sys.modules[name]
        return petastorm


class FileSystem:
    """The little that petastorm asks of a file system, over `pyarrow.fs`."""

    def __init__(self, fs: pafs.FileSystem) -> None:
        self.fs = fs

    def open(self, path: str, mode: str = "rb") -> Any:
        return self.fs.open_input_file(path)


class ParquetDatasetPiece:
    """A file, or one of its row groups."""

    partition_keys: tuple[()] = ()

    def __init__(
        self, path: str, open_file_func: Any, row_group: int | None = None, **_: Any
    ) -> None:
        self.path, self.row_group, self._open = path, row_group, open_file_func

    def get_metadata(self) -> Any:
        with pq.ParquetFile(self._open(self.path)) as file:
            return file.metadata

    def read(self, columns: Any = None, **_: Any) -> Any:
        names = None if columns is None else sorted(columns)
        with self._open(self.path) as handle, pq.ParquetFile(handle) as file:
            if self.row_group is None:
                return file.read(names, use_threads=False)
            return file.read_row_group(self.row_group, names, use_threads=False)


class ParquetDataset:
    """Files, without partitions and without summary files."""

    metadata = common_metadata = partitions = None

    def __init__(self, paths: str | list[str], filesystem: FileSystem, **_: Any) -> None:
        self.paths, self.fs = paths, filesystem
        self.pieces = [
            ParquetDatasetPiece(path, filesystem.open)
            for found in ([paths] if isinstance(paths, str) else paths)
            for path in _files(filesystem.fs, unquote(found))  # the path of a URL
        ]


def _files(fs: pafs.FileSystem, path: str) -> list[str]:
    if fs.get_file_info(path).type != pafs.FileType.Directory:
        return [path]
    below = fs.get_file_info(pafs.FileSelector(path, recursive=True))
    files = (info for info in below if info.type == pafs.FileType.File)
    return sorted(i.path for i in files if not i.base_name.startswith(("_", ".")))


class _Parquet(types.ModuleType):
    """`pyarrow.parquet` with the two classes of before."""

    ParquetDataset = ParquetDataset
    ParquetDatasetPiece = ParquetDatasetPiece

    def __getattr__(self, name: str) -> Any:
        return getattr(pq, name)


_parquet = _Parquet("pyarrow.parquet")
