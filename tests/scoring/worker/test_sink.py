"""The file that a task writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import LocalFileSystem

from tfspark import storage
from tfspark.errors import StorageError
from tfspark.scoring.worker.sink import _Output

ROWS = pa.record_batch({"id": [1, 2]})


class Taken:
    """A file system on which another run takes the folder away right after it was made."""

    def __init__(self, path: str, times: int) -> None:
        self._fs, self.inner = LocalFileSystem(), path
        self._times = times

    def create_dir(self, folder: str, **options: Any) -> None:
        self._fs.create_dir(folder, **options)
        if self._times:
            self._times -= 1
            Path(folder).rmdir()

    def open_output_stream(self, path: str) -> pa.NativeFile:
        return self._fs.open_output_stream(path)


@pytest.fixture
def output(tmp_path: Path) -> _Output:
    (tmp_path / "open").touch()
    return _Output(str(tmp_path / "day" / "part.parquet"), str(tmp_path / "open"))


@pytest.mark.parametrize(("times", "written"), [(3, True), (99, False)])
def test_the_folder_of_the_day_is_taken_away(
    times: int, written: bool, output: _Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs = Taken(output.path, times)
    monkeypatch.setattr(storage, "filesystem", lambda path: (fs, fs.inner))
    output.write(ROWS)
    if written:
        output.close()
        assert pq.read_table(output.path).to_pydict() == {"id": [1, 2]}
    else:
        with pytest.raises(StorageError, match="others remove its folder all the time"):
            output.close()
