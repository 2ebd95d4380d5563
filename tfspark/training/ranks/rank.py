"""One rank's process: `python -m tfspark.training.ranks.rank`, its task a line of JSON on stdin.

Everything that TensorFlow and Horovod read when they start is set before they are imported. The
process never outlives who started it: the kernel kills it when its parent ends, and it ends
itself when stdin closes or the driver is gone.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from tfspark.compat.keras import keras_alone
from tfspark.errors import ConfigError, TfsparkError
from tfspark.quiet import quiet
from tfspark.training.ranks.network import interface_of
from tfspark.training.ranks.stage import ATTEMPT, named
from tfspark.training.ranks.talk import Channel
from tfspark.training.ranks.watch import MEET

if TYPE_CHECKING:
    from tfspark.training.ranks.world import World

# Horovod's and Gloo's threads poll and spin on the cores that the training needs: let them wait.
# (scripts/horovod-0.28.1.patch; another build of Horovod knows the first alone, in ms.)
_QUICK = {
    "HOROVOD_CYCLE_TIME": "20",
    "HOROVOD_CYCLE_ON_TENSOR": "1",
    "HOROVOD_GLOO_PAUSE_MICROSECONDS": "20",
}
_PR_SET_PDEATHSIG = 1
_TRACE_LINES = 12
# What an operation says when another rank went away under it.
_PEER_GONE = (
    "HorovodInternalError",
    "Horovod has been shut down",
    "Connection closed by peer",
    "Connection reset by peer",
    "gloo/transport",  # where Gloo's own errors of a connection say they come from
)


def main() -> NoReturn:
    task = json.loads(sys.stdin.buffer.readline())
    _end_with_parent(task["parent"])
    address, port = task["reports"]
    key = bytes.fromhex(task["key"])
    try:
        talk = Channel((address, port), key, task["rank"], task["beat_seconds"], _driver_gone)
    except ConnectionError as error:  # this try may be over before it began
        print(error, file=sys.stderr)
        _end(1)
    try:
        os.environ.update(environment(task))
        if task["cores"]:
            os.sched_setaffinity(0, task["cores"])
        run, meet_others = named(task["run"]), named(task["connect"])
        world = meet_others(talk)
        talk.phase("start")
        run(task["spec"], world, talk)
        world.close()
        code = 0
    except BaseException as error:
        code = _say_failed(talk, error)
    talk.close()
    # Without the teardown of TensorFlow and Horovod, which waits for other ranks and can crash:
    # what counts has been written.
    _end(code)


def meet(talk: Channel) -> World:
    """Start TensorFlow, then Horovod where there are other ranks."""
    with quiet(), keras_alone():
        import tensorflow as tf

        tf.config.list_physical_devices()
    from tfspark.training.ranks.world import join_ranks

    talk.phase(MEET)
    return join_ranks()


def environment(task: dict[str, Any]) -> dict[str, str]:
    """What TensorFlow and Horovod shall find in the environment.

    Raises:
        ConfigError: no network interface of this machine has the rank's address.
    """
    threads = str(task["threads"])
    found = {
        ATTEMPT: str(task["attempt"]),
        "CUDA_VISIBLE_DEVICES": ",".join(task["gpus"]) or "-1",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": threads,
        "OMP_NUM_THREADS": threads,
    }
    for name in ("rank", "size", "local_rank", "local_size", "cross_rank", "cross_size"):
        found[f"HOROVOD_{name.upper()}"] = str(task[name])
    if task["size"] == 1:
        return found
    interface = interface_of(task["host"])
    if interface is None:
        raise ConfigError(f"no network interface here has the address {task['host']}")
    return found | {
        "HOROVOD_HOSTNAME": task["host"],
        "HOROVOD_CONTROLLER": "gloo",
        "HOROVOD_CPU_OPERATIONS": "gloo",
        "HOROVOD_GLOO_IFACE": interface,
        "HOROVOD_GLOO_RENDEZVOUS_ADDR": task["rendezvous"][0],
        "HOROVOD_GLOO_RENDEZVOUS_PORT": str(task["rendezvous"][1]),
        "HOROVOD_GLOO_TIMEOUT_SECONDS": str(task["gloo_seconds"]),
        **{name: os.environ.get(name, value) for name, value in _QUICK.items()},
    }


def _say_failed(talk: Channel, error: BaseException) -> int:
    """Tell the driver why; gives the exit code."""
    code, known, message, lost = 1, "", str(error), _peer_gone(error)
    if isinstance(error, TfsparkError):
        code, known = error.exit_code, type(error).__name__
    elif lost:
        message = message.splitlines()[0]
    else:
        lines = "".join(traceback.format_exception(error)).strip().splitlines()
        message = "\n".join(lines[-_TRACE_LINES:])
        traceback.print_exception(error)
    with suppress(EOFError, OSError):
        news = {"error": known, "message": message, "lost": lost and not known}
        talk.say("failed", **news, **talk.state())
    return code


def _peer_gone(error: BaseException) -> bool:
    return any(
        sign in f"{type(one).__name__}: {one}" for one in _causes(error) for sign in _PEER_GONE
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _end_with_parent(parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before that
        _end(1)
    threading.Thread(target=_end_with_stdin, daemon=True).start()


def _end_with_stdin() -> None:
    while os.read(0, 1024):
        pass
    _end(1)


def _driver_gone() -> None:
    print("the driver has ended this attempt", file=sys.stderr)
    _end(1)


def _end(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
