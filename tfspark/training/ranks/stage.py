"""Spark's part of a training: slots, the barrier stage, and what its tasks do on the workers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import IO, TYPE_CHECKING, Any, cast

from tfspark.errors import ConfigError
from tfspark.training.ranks.talk import Address, Report, ask, reach_driver

if TYPE_CHECKING:
    from pyspark import SparkContext

    from tfspark.config import Distributed

ATTEMPT = "TFSPARK_ATTEMPT"  # of a rank's environment: the number of the try, from 1

_RANK = "tfspark.training.ranks.rank"
_TAIL_LINES = 15
_CANCEL_EVERY = 0.5


def wait_for_slots(sc: SparkContext, settings: Distributed) -> int:
    """How many ranks can run at once: `settings.ranks`, or fewer down to `least_ranks`.

    Waits for executors that still start. Spark's own check of a barrier stage asks 40 times,
    every 15 seconds.

    Raises:
        ConfigError: too few, or executors that come and go.
    """
    if sc.getConf().get("spark.dynamicAllocation.enabled", "false") == "true":
        raise ConfigError(
            "ranks start together and stay: set spark.dynamicAllocation.enabled=false and give "
            "the executors by spark.executor.instances"
        )
    local = _local(sc)
    until = time.monotonic() + settings.slots_seconds
    while (found := slots(sc)) < settings.ranks and not local and time.monotonic() < until:
        time.sleep(0.2)
    if found >= (settings.least_ranks or settings.ranks):
        return min(found, settings.ranks)
    more = (
        "a master local[N] with more N"
        if local
        else "more of spark.executor.instances, spark.executor.cores or spark.cores.max, or less "
        "of spark.task.cpus and spark.task.resource.gpu.amount"
    )
    least = f", or at least {settings.least_ranks}" if settings.least_ranks else ""
    raise ConfigError(
        f"{settings.ranks} ranks need {settings.ranks} slots{least}, and Spark ({sc.master}) has "
        f"{found} after {0 if local else settings.slots_seconds:g} s. Fewer ranks (--ranks), or "
        f"{more}"
    )


def slots(sc: SparkContext) -> int:
    """Tasks that Spark can run at once now, by cores and by GPUs."""
    from tfspark.compat.spark import concurrent_tasks

    return concurrent_tasks(sc)


def driver_host(sc: SparkContext) -> str:
    """Where workers reach the driver: this machine itself, or what Spark tells its executors."""
    return "127.0.0.1" if _local(sc) else str(sc.getConf().get("spark.driver.host"))


def _local(sc: SparkContext) -> bool:
    return str(sc.master).split("[")[0] == "local"


class Stage:
    """A barrier stage in a thread of its own, one task a rank.

    Args:
        size: how many tasks.
        address: address of the driver's reports.
    """

    def __init__(self, sc: SparkContext, size: int, address: Address, key: bytes) -> None:
        from pyspark import InheritableThread

        self._sc, self._group = sc, f"tfspark-{uuid.uuid4().hex[:12]}"
        self._size = size
        self._task = partial(_task, address, key, sc.getConf().get("spark.task.cpus"))
        self.error: Exception | None = None
        self._thread = InheritableThread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def cancel(self, patience: float) -> None:
        """End it; Spark kills its tasks."""
        until = time.monotonic() + patience
        while self.running and time.monotonic() < until:
            self._sc.cancelJobGroup(self._group)  # more than once: the job may only start now
            self._thread.join(_CANCEL_EVERY)

    def _run(self) -> None:
        try:
            self._sc.setJobGroup(self._group, f"{self._size} ranks", interruptOnCancel=True)
            numbers = self._sc.parallelize(range(self._size), self._size)
            numbers.barrier().mapPartitions(self._task).collect()
        except Exception as error:
            self.error = error


def _task(
    address: Address, key: bytes, cpus: str | None, _: Iterable[int]
) -> Iterator[None]:  # on a worker
    """Start this task's rank and wait for it; an error here makes Spark end the stage."""
    from pyspark import BarrierTaskContext

    context = BarrierTaskContext.get()
    number = context.partitionId()
    gpu = context.resources().get("gpu")
    with reach_driver(address, key) as driver:
        task = ask(
            driver,
            {
                "kind": "here",
                "task": number,
                "host": _own_address(driver.fileno()),
                "cores": sorted(os.sched_getaffinity(0)),
                "cpus": None if cpus is None else int(cpus),
                "gpus": list(gpu.addresses) if gpu else [],
            },
        )
        code, tail = run_child(task)
        with suppress(EOFError, OSError):
            ask(driver, {"kind": "ended", "rank": task["rank"], "code": code, "tail": tail})
    if code != 0:
        raise RuntimeError(f"rank {task['rank']} {how_ended(code)}\n{tail}")
    return iter(())


def run_child(task: Report) -> tuple[int, str]:
    """A rank's process, from start to end.

    Returns:
        Its exit code (below 0: the signal that killed it) and its last lines.
    """
    # Its modules are found where this process finds them: --py-files, the working directory.
    path = os.pathsep.join(dict.fromkeys(folder for folder in sys.path if folder))
    child = subprocess.Popen(
        # The number is for people who look at the machine's processes.
        [
            sys.executable,
            "-X",
            "faulthandler",
            "-m",
            _RANK,
            str(task["rank"]),
        ],
        env=os.environ | {"PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    stdin, stdout = cast("IO[bytes]", child.stdin), cast("IO[bytes]", child.stdout)
    last: deque[str] = deque(maxlen=_TAIL_LINES)
    try:
        with suppress(BrokenPipeError), stdout:
            stdin.write(json.dumps(task | {"parent": os.getpid()}).encode() + b"\n")
            stdin.flush()  # and stays open: its end is the end of this process
            for line in stdout:
                last.append(line.decode(errors="replace"))
                sys.stderr.write(last[-1])
                sys.stderr.flush()
        code = child.wait()
    finally:
        child.kill()
        child.wait()
        with suppress(BrokenPipeError):
            stdin.close()
    return code, "".join(last).rstrip()


def named(name: str) -> Callable[..., Any]:
    """The function `module:function`."""
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found


def how_ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    with suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"


def _own_address(connected: int) -> str:
    """This end of a connection: an address that the driver's network reaches."""
    with socket.socket(fileno=os.dup(connected)) as sock:
        return str(sock.getsockname()[0])
