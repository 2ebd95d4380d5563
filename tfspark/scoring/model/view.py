"""The models that one process sees behind its wall: links in a folder of its own.

    <cache>/.view-<random>/<digest>/    hard links to the files of <cache>/<digest>/

What a wall allows cannot grow, but what lies in an allowed folder can: so a process may open models
that it did not know of when the wall was put up, and sees none that others have in the cache. The
folder is locked by its process for life; the cache is swept of those that nobody locks.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from tfspark.scoring.model.cache import VIEW, sweep_views


class View:
    """A folder of models for one process.

    Attributes:
        path: the folder.
    """

    def __init__(self, cache: Path) -> None:
        sweep_views(str(cache))
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=VIEW, dir=cache))
            self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            if self.path.exists():  # or somebody swept before it was locked
                return
            os.close(self._lock)

    def show(self, model: Path) -> Path:
        """Have the process see a model's files as they are now; where it sees them."""
        target = self.path / model.name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(model, target, copy_function=_link)
        return target

    def close(self) -> None:
        """Leave nothing of it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)
