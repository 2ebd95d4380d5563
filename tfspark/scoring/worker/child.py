"""A process of its own for models that may end or hang it, see `guard.py`.

Its arguments are numbers of open files and a folder: REQUESTS LIFE IN OUT MODELS. REQUESTS is a
connection: (number of the scorer, the scorer if it is new, bytes) comes, (OPENED, digests of models
that it opened) and (SCORED, bytes) or (FAILED, error) go back. Columns and results lie in the
shared memories IN and OUT as Arrow streams. LIFE ends when the parent does. Models are in MODELS.
"""

from __future__ import annotations

import os
import resource
import signal
import threading
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tfspark.errors import TfsparkError
from tfspark.scoring.worker.memory import FAILED, OPENED, SCORED, Memory

_OOM_SCORE = Path("/proc/self/oom_score_adj")


def main(arguments: Sequence[str]) -> None:
    """Serve until the parent is gone."""
    from tfspark.scoring.worker import opened as process
    from tfspark.scoring.worker import wall
    from tfspark.scoring.worker.limits import limit_memory
    from tfspark.scoring.worker.predict import LocalScorer

    files, models = [int(argument) for argument in arguments[:4]], Path(arguments[4])
    requests, life = Connection(files[0]), files[1]
    given, made = Memory(files[2]), Memory(files[3])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to answer
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _first_to_go()
    process.after_call.append(made.beat)
    fresh: list[str] = []
    process.after_open[:] = [fresh.append]
    scorers: dict[int, LocalScorer] = {}
    while True:
        try:
            number, scorer, size = requests.recv()
        except EOFError:
            return
        try:
            if scorer is not None:
                if not scorers:
                    gpu = process.set_up_tensorflow(scorer.threads)
                    wall.around_process(scorer.wall, gpu, models)
                    # From here on the process has threads, all of them behind the wall.
                    threading.Thread(target=_end_with_parent, args=(life,), daemon=True).start()
                    limit_memory(scorer.memory, scorer.heap, hard=True)
                scorers[number] = scorer
                # No warm-up: a row of zeros may be what ends the process.
                folder, own = models / scorer.packed.digest, scorer.signature.own()
                about = (scorer.packed, own, scorer.threads)
                process.open_model(*about, warm_up=False, folder=folder)
            requests.send((OPENED, tuple(fresh)))
            fresh.clear()
            outputs, reasons = scorers[number].here(given.read(size, copy=False))
            answer: tuple[str, Any] = (SCORED, made.write([*outputs, reasons]))
        except TfsparkError as error:
            answer = (FAILED, error)
        except Exception:  # which may not be one that can be sent
            answer = (FAILED, RuntimeError(traceback.format_exc()))
        requests.send(answer)


def _end_with_parent(life: int) -> None:
    os.read(life, 1)
    os.kill(os.getpid(), signal.SIGKILL)


def _first_to_go() -> None:
    """Where memory runs out the kernel shall end this process, and not the one that minds it."""
    try:
        score = int(_OOM_SCORE.read_text())
        _OOM_SCORE.write_text(str(min(1000, score + 300)))
    except OSError:
        pass
