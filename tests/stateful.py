"""Processes of one test process: each stands still between two operations on files.

A process is a thread that runs the real code. Every operation on the store (Arrow's local file
system, `rmdir`, `flock`, Delta's log) is a point at which it can be stopped, for ever or until
others have done something. Only one thread runs at a time, so a history is the same each time.

Killed, a process does nothing more: each operation raises `Killed`, which no `except Exception`
stops. So `finally` blocks run, but change nothing, as after `kill -9`. Its lock is given back.
"""

from __future__ import annotations

import concurrent.futures
import fcntl
import os
import random
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.fs as pafs
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tfspark.storage import owner

_here = threading.local()
_FEW, _MANY = st.integers(0, 9), st.integers(0, 40)  # a job has 30 to 60 operations
_STUCK = 120.0  # seconds; a test that fails beats one that hangs


class Killed(BaseException):
    """What a dead process gets from every operation."""


class Process:
    """One job; `work` begins when it is first told to go.

    Attributes:
        ended: `work` has returned or raised; `result` and `error` tell.
        waits: for a lock that another process holds.
    """

    def __init__(self, work: Callable[[], Any], pid: int) -> None:
        self.pid, self.operations = pid, 0
        self.ended = self.killed = self.waits = False
        self.result: Any = None
        self.error: BaseException | None = None
        self._half, self._room = False, 0
        self._turn, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def go(self, operations: int) -> None:
        """Let it do so many operations, fewer where it ends or waits."""
        if not self.ended:
            self._room, self.waits = operations, False
            self._turn.release()
            assert self._back.acquire(timeout=_STUCK), "a process hangs outside of the store"

    def kill(self, half: bool = False) -> None:
        """`kill -9`, at the next operation or, if that is a write, in the middle of it."""
        self.killed, self._half = True, half
        self.go(0)
        self._thread.join(_STUCK)
        assert self.ended

    def operation(self, act: Callable[[], Any], half: Callable[[], Any] | None = None) -> Any:
        while not self.killed and self._room <= 0:
            self._pause()
        if self.killed:
            if self._half and half is not None:
                self._half = False
                half()
            raise Killed
        self._room -= 1
        self.operations += 1
        return act()

    def wait(self) -> None:
        """Until it is told to go on: another must do something first."""
        self.waits = True
        self._room = 0

    def _pause(self) -> None:
        self._back.release()
        self._turn.acquire()

    def _run(self, work: Callable[[], Any]) -> None:
        self._turn.acquire()
        _here.process = self
        try:
            if not self.killed:
                self.result = work()
        except Killed:
            pass
        except BaseException as error:
            self.error = error
        self.ended = True
        self._back.release()


def here() -> Process | None:
    """The process of this thread."""
    return getattr(_here, "process", None)


def operation(act: Callable[[], Any], half: Callable[[], Any] | None = None) -> Any:
    """An operation on the store: a place where the process of this thread may be stopped."""
    process = here()
    return act() if process is None else process.operation(act, half)


def until(ready: Callable[[], bool]) -> None:
    """Let others go on until something is so."""
    while not operation(ready):
        _here.process.wait()


class _Stream:
    """A file that is written piece by piece; a kill may leave half of one."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._process = stream, here()

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        if self._stream.closed or here() is not self._process:
            return len(view)  # a writer that is collected as garbage ends its file: too late
        return int(
            operation(
                lambda: self._stream.write(view),
                lambda: self._stream.write(view[: len(view) // 2]),
            )
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


class Disk(pafs.LocalFileSystem):
    """Arrow's local file system, an operation at a time."""

    last_first = False
    """Whether folders are deleted from their last name on: no order is promised."""

    def get_file_info(self, what: Any) -> Any:
        return operation(lambda: pafs.FileSystem.get_file_info(self, what))

    def create_dir(self, path: str, *, recursive: bool = True) -> None:
        operation(lambda: pafs.FileSystem.create_dir(self, path, recursive=recursive))

    def delete_file(self, path: str) -> None:
        operation(lambda: pafs.FileSystem.delete_file(self, path))

    def move(self, source: str, target: str) -> None:
        operation(lambda: pafs.FileSystem.move(self, source, target))

    def delete_dir(self, path: str) -> None:
        """Not at once: file by file."""
        found = operation(lambda: list(os.walk(path, topdown=False)))
        if not found:
            raise FileNotFoundError(path)
        for folder, _, files in found:
            for name in sorted(files, reverse=self.last_first):
                operation(lambda at=Path(folder, name): at.unlink(missing_ok=True))  # type: ignore[misc]
            try:
                Path(folder).rmdir()
            except FileNotFoundError:
                if folder == path:
                    raise

    def open_input_stream(self, path: str, *args: Any, **more: Any) -> Any:
        return operation(lambda: pafs.FileSystem.open_input_stream(self, path, *args, **more))

    def open_input_file(self, path: str) -> Any:
        return operation(lambda: pafs.FileSystem.open_input_file(self, path))

    def open_output_stream(self, path: str, *args: Any, **more: Any) -> Any:
        open_it = pafs.FileSystem.open_output_stream
        return _Stream(operation(lambda: open_it(self, path, *args, **more)))


class World(RuleBasedStateMachine):
    """A store in a folder, and processes that come, stand still, go on, die or end.

    A machine adds the rules that start processes and the invariants.
    """

    figures: ClassVar[Counter[str]] = Counter()

    def __init_subclass__(cls) -> None:
        cls.figures = Counter()

    def __init__(self) -> None:
        super().__init__()
        # In memory: nothing here needs a disk, and there are thousands of folders.
        self._place = tempfile.TemporaryDirectory(dir=_MEMORY)
        self.root = Path(self._place.name)
        self.processes: list[Process] = []
        self.since_quiet = 0
        self.patch = pytest.MonkeyPatch()
        self._pids = iter(range(10_000_000, 20_000_000))  # above Linux's highest
        self._install()
        self.figures["histories"] += 1

    def _install(self) -> None:
        ids, runs = random.Random(0), owner
        real_pid, real_sleep, real_uuid = os.getpid, time.sleep, uuid.uuid4
        submit = concurrent.futures.ThreadPoolExecutor.submit

        def pid() -> int:
            process = here()
            return process.pid if process else real_pid()

        def sleep(seconds: float) -> None:
            operation(lambda: None) if here() else real_sleep(seconds)

        def uuid4() -> uuid.UUID:
            return uuid.UUID(int=ids.getrandbits(128), version=4) if here() else real_uuid()

        def inline(pool: Any, function: Any, /, *args: Any, **more: Any) -> Any:
            if not here():
                return submit(pool, function, *args, **more)
            future: concurrent.futures.Future[Any] = concurrent.futures.Future()
            try:
                future.set_result(function(*args, **more))
            except Exception as error:
                future.set_exception(error)
            return future

        self.patch.setattr(pafs, "LocalFileSystem", Disk)
        self.patch.setattr(Path, "rmdir", lambda path: operation(lambda: _rmdir_really(path)))
        self.patch.setattr(fcntl, "flock", _flock)
        self.patch.setattr(os, "getpid", pid)
        self.patch.setattr(time, "sleep", sleep)
        self.patch.setattr(uuid, "uuid4", uuid4)
        self.patch.setattr(concurrent.futures.ThreadPoolExecutor, "submit", inline)
        self.patch.setattr(runs, "_runs", self._runs)

    def _runs(self, pid: int) -> bool:
        return any(p.pid == pid and not p.ended for p in self.processes)

    def start(self, work: Callable[[], Any], kind: type[Process] = Process) -> Any:
        process = kind(work, next(self._pids))
        self.processes.append(process)
        self.figures["processes"] += 1
        return process

    @property
    def living(self) -> list[Process]:
        return [process for process in self.processes if not process.ended]

    def step(self, process: Process, operations: int) -> None:
        if process.ended:
            return
        process.go(operations)
        self.looked(process)

    def died(self, process: Process, half: bool) -> None:
        process.kill(half)
        self.figures["kills"] += 1
        self.looked(process)

    def looked(self, process: Process) -> None:
        """After a process did something: is what readers see right?"""

    def finish(self, process: Process) -> None:
        """Let it end; those that hold what it waits for go on too."""
        for _ in range(1000):
            if process.ended:
                return
            self.step(process, 10_000)
            if process.waits:
                for other in self.living:
                    if other is not process:
                        self.step(other, 7)
        raise AssertionError("processes wait for each other")

    @property
    def room(self) -> bool:
        """Few at once: they shall come to their ends, or to be killed."""
        return len(self.living) < 4

    @rule(turns=st.lists(st.tuples(st.integers(0, 3), _FEW | _MANY), min_size=1, max_size=10))
    @precondition(lambda self: self.living)
    def turns(self, turns: list[tuple[int, int]]) -> None:
        """They run in turns, some operations each."""
        living = self.living
        for which, operations in turns:
            self.step(living[which % len(living)], operations)

    @rule(paces=st.lists(st.integers(1, 9), min_size=2, max_size=4), rounds=st.integers(1, 30))
    @precondition(lambda self: len(self.living) > 1)
    def side_by_side(self, paces: list[int], rounds: int) -> None:
        for _ in range(rounds):
            for process, operations in zip(self.living, cycle(paces), strict=False):
                self.step(process, operations)

    @rule(which=st.integers(0, 3))
    @precondition(lambda self: self.living)
    def to_its_end(self, which: int) -> None:
        self.finish(self.living[which % len(self.living)])

    @rule(which=st.integers(0, 3), operations=_FEW | _MANY, half=st.booleans())
    @precondition(lambda self: self.living)
    def kill(self, which: int, operations: int, half: bool) -> None:
        process = self.living[which % len(self.living)]
        self.step(process, operations)
        if not process.ended:
            self.died(process, half)

    @rule(points=st.lists(st.integers(0, 60), min_size=4, max_size=4), half=st.booleans())
    @precondition(lambda self: self.living)
    def power_cut(self, points: list[int], half: bool) -> None:
        for process, operations in zip(self.living, cycle(points), strict=False):
            self.step(process, operations)
            if not process.ended:
                self.died(process, half)

    @invariant()
    def count(self) -> None:
        self.figures["steps"] += 1
        self.since_quiet += 1

    @rule(dead=st.booleans())
    @precondition(lambda self: self.since_quiet > 8)
    def quiet(self, dead: bool) -> None:
        """Nobody runs any more, then one clean run: nothing of the others is left."""
        self.since_quiet = 0
        for process in self.living:
            self.died(process, False) if dead else self.finish(process)
        self.clean_run()

    def clean_run(self) -> None:
        raise NotImplementedError

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:  # nothing has failed: every history ends well
                self.quiet(True)
        finally:
            self.close()

    def close(self) -> None:
        for process in self.living:
            process.kill()
        self.figures["operations"] += sum(process.operations for process in self.processes)
        self.patch.undo()
        self._place.cleanup()


@contextmanager
def world() -> Iterator[World]:
    """For a test without a state machine."""
    one = World()
    try:
        yield one
    finally:
        one.close()


_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
_flock_really, _rmdir_really = fcntl.flock, Path.rmdir


def _flock(handle: int, how: int) -> None:
    """Wait for a lock by letting others go on, who hold it."""
    process = here()
    if process is None or how == fcntl.LOCK_UN:
        return _flock_really(handle, how)
    while True:
        try:
            return process.operation(lambda: _flock_really(handle, how | fcntl.LOCK_NB))  # type: ignore[no-any-return]
        except BlockingIOError:
            process.wait()


def histories(machine: type[World], count: int, steps: int = 30) -> None:
    """Run a machine, and print how much was done. `STATEFUL_HISTORIES` gives another count."""
    count = int(os.environ.get("STATEFUL_HISTORIES", count))
    machine.figures.clear()
    began = time.process_time()
    try:
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            machine,
            settings=settings(
                max_examples=count,
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        seconds = time.process_time() - began
        said = ", ".join(f"{number:,} {name}" for name, number in machine.figures.items())
        print(f"{machine.__name__}: {said}; {seconds:.0f} s of CPU")


def walk(folder: Path) -> Iterator[str]:
    """Every file and folder below, as paths relative to it."""
    return (str(path.relative_to(folder)) for path in folder.rglob("*"))
