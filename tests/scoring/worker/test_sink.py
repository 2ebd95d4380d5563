"""The file that a task writes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfspark import storage
from tfspark.errors import StorageError
from tfspark.scoring.worker.sink import _Output

ROWS = pa.record_batch({"id": [1, 2]})


@pytest.fixture
def output(tmp_path: Path) -> _Output:
    (tmp_path / "open").touch()
    return _Output(str(tmp_path / "day" / "part.parquet"), str(tmp_path / "open"))


@pytest.mark.parametrize(("times", "written"), [(3, True), (99, False)])
def test_the_folder_of_the_day_is_taken_away(
    times: int, written: bool, output: _Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, left = storage.make_dir, iter(range(times))

    def made_and_taken(folder: str) -> None:
        """Another run takes the folder away right after it was made."""
        make(folder)
        if next(left, None) is not None:
            Path(folder).rmdir()

    monkeypatch.setattr(storage, "make_dir", made_and_taken)
    output.write(ROWS)
    if written:
        output.close()
        assert pq.read_table(output.path).to_pydict() == {"id": [1, 2]}
    else:
        with pytest.raises(StorageError, match="others remove its folder all the time"):
            output.close()
