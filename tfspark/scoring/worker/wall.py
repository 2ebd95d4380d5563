"""The wall around a model: files and network that whoever opens and calls it cannot reach.

A thread hands its wall to all threads that it starts, and TensorFlow starts its own from the one
that uses it first. A child process (`child.py`) puts the wall around itself. A process of Spark's
has files to write, so it opens its models in one walled thread, its
room. Later calls come from the task's own thread: ops run in threads that the room has started.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

from tfspark.compat.tensorflow import started
from tfspark.errors import ConfigError
from tfspark.scoring.model.pack import cache_folder
from tfspark.scoring.model.view import View
from tfspark.scoring.worker import landlock, seccomp
from tfspark.scoring.worker.readable import devices, readable

WALL = ("auto", "always", "never")
SETTING = "spark.tfspark.wall"
BEYOND = f"models reach no files but their own: {SETTING}"
"""What is said of a model that the wall has stopped."""

T = TypeVar("T")
_logger = logging.getLogger(__name__)
_lock = threading.Lock()
_room: _Room | None = None
_whole: _Standing | None = None


class _Standing(NamedTuple):
    """What became of a wall.

    Attributes:
        up: whether there is one, of files or of calls or both.
        missing: what of it there is not, and why; "" if it is whole.
    """

    up: bool
    missing: str


def around_process(mode: str, gpu: bool, models: Path) -> None:
    """Put the wall around this process; threads that it has already stay outside.

    Args:
        models: the folder of the models that it may read.

    Raises:
        ConfigError: the mode is `always`, and there is no wall.
    """
    global _whole
    _whole = _Standing(False, "") if mode == "never" else _enter(mode, gpu, models)
    _insist(mode, _whole)
    _tell(_whole)


def run(mode: str, work: Callable[[], T], gpu: bool = False) -> T:
    """Do work that touches a model, behind the wall of this process.

    Args:
        mode: `auto`: with as much of a wall as there is; `always`: with a whole one; `never`.
        gpu: whether TensorFlow has one.

    Raises:
        ConfigError: the mode is `always`, and there is no whole wall.
    """
    if mode == "never" or _whole is not None:
        return work()
    return _made(mode, gpu).run(work)


def insist(mode: str) -> None:
    """Whether a model that is open already has the wall that is asked for now.

    Raises:
        ConfigError: as `run`.
    """
    if mode == "always" and _whole is None:
        _made(mode, gpu=False)


def _made(mode: str, gpu: bool) -> _Room:
    global _room
    with _lock:
        if _room is None:
            _room = _Room(mode, gpu)
    _insist(mode, _room.standing)
    return _room


def shown(mode: str, model: Path, gpu: bool = False) -> Path:
    """Where a model of the machine's cache is seen from behind the wall of this process.

    Raises:
        ConfigError: as `run`.
    """
    if mode == "never" or _whole is not None:
        return model
    view = _made(mode, gpu).view
    return model if view is None else view.show(model)


def too_late(mode: str) -> bool:
    """Whether other code of this process started TensorFlow, so that its threads have no wall."""
    if mode == "never" or _whole is not None:
        return False
    return started() if _room is None else _room.late


def around_a_thread() -> bool:
    """Whether the wall is around one thread and those that it starts, not around the process."""
    return _whole is None and _room is not None and _room.standing.up


def stands() -> bool:
    """Whether the models of this process have a wall around them."""
    return _whole.up if _whole else _room is not None and _room.standing.up


class _Room:
    """A thread with a wall around it; without one, work is done where it comes from.

    Attributes:
        late: whether TensorFlow was started before.
        view: the models that can be seen from inside; None without a wall.
    """

    def __init__(self, mode: str, gpu: bool) -> None:
        self._work: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="tfspark-wall", daemon=True)
        self._thread.start()
        self.view: View | None = None
        self.late = started()
        if self.late:
            missing = "other code of this process started TensorFlow, whose threads have no wall"
            self.standing = _Standing(False, missing)
        else:
            view = View(cache_folder())
            self.standing = self._done(lambda: _enter(mode, gpu, view.path))
            if self.standing.up:
                self.view = view
                atexit.register(view.close)
            else:
                view.close()
        _tell(self.standing)

    def run(self, work: Callable[[], T]) -> T:
        if not self.standing.up or threading.current_thread() is self._thread:
            return work()
        return self._done(work)

    def _done(self, work: Callable[[], T]) -> T:
        answer: Future[T] = Future()
        self._work.put((work, answer))
        return answer.result()

    def _serve(self) -> None:
        while True:
            work, answer = self._work.get()
            try:
                answer.set_result(work())
            except BaseException as error:
                answer.set_exception(error)
            del work, answer  # they hold a batch


def _enter(mode: str, gpu: bool, models: Path) -> _Standing:
    """Put the wall around this thread, as far as the kernel has one."""
    if gpu and mode != "always":
        return _Standing(False, "it was never tried with a GPU, which this process has")
    missing = put_up([*readable(gpu), models], devices(gpu))
    return _Standing(len(missing) < 2, "; ".join(missing))


def put_up(readable: Sequence[Path], writable: Sequence[Path]) -> list[str]:
    """Restrict this thread, as far as the kernel can; what it cannot, and why."""
    missing = []
    try:
        if not landlock.version():
            raise OSError("the kernel has no Landlock, or not for us")
        landlock.restrict(readable, writable)
    except OSError as error:
        missing.append(f"models may use all files: {error}")
    try:
        seccomp.restrict()
    except OSError as error:
        missing.append(f"models may use the network: {error}")
    return missing


def _insist(mode: str, standing: _Standing) -> None:
    if mode == "always" and standing.missing:
        raise ConfigError(
            f"{SETTING}: is always, but there is no whole wall around the model: "
            f"{standing.missing}; set it to auto to score with what there is"
        )


def _tell(standing: _Standing) -> None:
    if standing.missing:
        _logger.warning("no whole wall around models (%s): %s", SETTING, standing.missing)
