"""What ranks run in tests of the launcher: importable by their processes, `rank_functions:name`."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from tfspark.errors import TrainingError
from tfspark.training.ranks.talk import Talk
from tfspark.training.ranks.world import World


class Apart(World):
    """Without TensorFlow and Horovod: the launcher alone."""

    def close(self) -> None:
        """Nothing was started."""


def no_horovod(talk: Talk) -> World:
    return Apart(int(os.environ["HOROVOD_RANK"]), int(os.environ["HOROVOD_SIZE"]))


def attempt() -> int:
    return int(os.environ["TFSPARK_ATTEMPT"])


def mark(spec: dict[str, Any], world: World) -> None:
    """Leave this process's id, for a test to see that it is gone."""
    file = Path(spec["folder"], f"pid-{attempt()}-{world.rank}")
    whole = file.with_name(f"new-{file.name}")
    whole.write_text(str(os.getpid()))
    whole.rename(file)  # who finds it finds all of it


def wait_for_marks(spec: dict[str, Any], world: World) -> None:
    """Until all ranks of this attempt have left theirs."""
    while len(list(Path(spec["folder"]).glob(f"pid-{attempt()}-*"))) < world.size:
        time.sleep(0.05)


def add(spec: dict[str, Any], world: World, talk: Talk) -> None:
    """All ranks add a number by Horovod."""
    import numpy as np

    (total,) = world.sum([np.array([world.rank + 1.0])])
    talk.say("sum", total=float(total[0]), size=world.size, local_rank=world.local_rank)


def train_each(spec: dict[str, Any], world: World, talk: Talk) -> None:
    """Several trainings, one after the other."""
    from tfspark.training.loop.work import work

    for one in spec["specs"]:
        work(one, world, talk)


def surroundings(spec: dict[str, Any], world: World, talk: Talk) -> None:
    """What this process finds set."""
    names = ("CUDA_VISIBLE_DEVICES", "TF_NUM_INTRAOP_THREADS", "HOROVOD_CYCLE_TIME")
    talk.say(
        "surroundings",
        environment={name: os.environ.get(name) for name in names},
        cores=sorted(os.sched_getaffinity(0)),
        modules=[name for name in ("tensorflow", "pyspark") if name in sys.modules],
        spec=spec,
        world=[world.rank, world.size],
        spark_worker=os.getppid(),
    )


def refuse(spec: dict[str, Any], world: World, talk: Talk) -> None:
    mark(spec, world)
    if world.rank == world.size - 1:
        wait_for_marks(spec, world)
        raise TrainingError("loss is NaN at step 7")
    time.sleep(600)


def crash(spec: dict[str, Any], world: World, talk: Talk) -> None:
    mark(spec, world)
    if world.rank == 0:
        wait_for_marks(spec, world)
        raise ValueError("a mistake in the model")
    time.sleep(600)


def die_once(spec: dict[str, Any], world: World, talk: Talk) -> None:
    """The last rank is killed in the first attempt, while the others work."""
    mark(spec, world)
    talk.say("working", attempt=attempt())
    if attempt() <= spec.get("times", 1):
        if world.rank == world.size - 1:
            wait_for_marks(spec, world)
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(600)


def die_in_collective(spec: dict[str, Any], world: World, talk: Talk) -> None:
    """As a training: one rank dies, the others wait for it in Horovod."""
    import numpy as np

    mark(spec, world)
    world.sum([np.ones(3)])
    if attempt() == 1 and world.rank == world.size - 1:
        os.kill(os.getpid(), signal.SIGKILL)
    (total,) = world.sum([np.ones(3)])
    talk.say("sum", total=float(total[0]), attempt=attempt())


def miss(spec: dict[str, Any], world: World, talk: Talk) -> None:
    """Rank 0 says that it lost its peers `late` seconds before rank 1 is killed."""
    mark(spec, world)
    wait_for_marks(spec, world)
    if attempt() == 1:
        if world.rank == 0:
            raise RuntimeError("Connection closed by peer")
        time.sleep(spec["late"])
        os.kill(os.getpid(), signal.SIGKILL)


def hang(spec: dict[str, Any], world: World, talk: Talk) -> None:
    """The last rank makes no second step: it sleeps, or stops altogether."""
    mark(spec, world)
    steps = 1
    talk.watch(lambda: steps)
    talk.phase("step")
    if world.rank == world.size - 1:
        talk.phase("read")
        if spec["how"] == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(600)
    steps = 2
    time.sleep(600)


def sleep(spec: dict[str, Any], world: World, talk: Talk) -> None:
    mark(spec, world)
    talk.say("working", attempt=attempt(), host_pid=os.getppid())
    time.sleep(600)


def until_told(spec: dict[str, Any], world: World, talk: Talk) -> None:
    """Steps until the driver answers `stop`; in a later attempt one step is enough."""
    mark(spec, world)
    said: dict[str, Any] = {}
    while not said.get("stop"):
        said = talk.say("step", attempt=attempt(), size=world.size, spark_worker=os.getppid())
        time.sleep(0.2)


def meet_late(talk: Talk) -> World:
    """The last rank never comes to the meeting."""
    world = no_horovod(talk)
    if world.rank < world.size - 1:
        talk.phase("meet")
    time.sleep(600)
    return world
