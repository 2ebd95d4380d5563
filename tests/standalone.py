"""A real standalone Spark cluster on this machine: one master, two workers, separate processes.

with standalone_cluster(tmp_path) as master:
    subprocess.run(["spark-submit", "--master", master, ...])
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pyspark

from tests.java import SHORT_LIVED

SPARK_HOME = Path(pyspark.__file__).parent
_DEPLOY = "org.apache.spark.deploy"
_PATIENCE = 120
# What an application that has ended leaves in a work folder, 2 GB of a packed environment, goes.
_CLEANUP = [
    f"-Dspark.worker.cleanup.{name}"
    for name in ("enabled=true", "interval=30", "appDataTtl=30")  # seconds
]


@contextmanager
def standalone_cluster(
    folder: Path,
    workers: int = 2,
    cores: int = 1,
    memory: str = "1g",
    gpus: int = 0,
    apart: bool = False,
) -> Iterator[str]:
    """Start a cluster on 127.0.0.1 and free ports; gives the master's URL.

    Args:
        folder: where the processes write: logs, the applications' work folders.
        workers: how many, each with `cores` cores and `memory`.
        gpus: that each worker claims to have, by a discovery script that invents them.
        apart: each worker has an address of its own. Spark starts no speculative twin of a task
            on the task's own host.
    """
    started: list[_Daemon] = []
    folder.mkdir(parents=True, exist_ok=True)
    try:
        master = _Daemon(folder / "master.log", "master.Master", "--port", "0")
        started.append(master)
        url = master.wait_for(r"Starting Spark master at (spark://\S+)")
        for number in range(workers):
            options = [*_CLEANUP, *(_invented_gpus(folder, number, gpus) if gpus else [])]
            started.append(
                _Daemon(
                    folder / f"worker{number}.log",
                    "worker.Worker",
                    *("--host", f"127.0.0.{1 + number * apart}", "--port", "0"),
                    *("--cores", str(cores), "--memory", memory),
                    *("--work-dir", str(folder / f"work{number}"), url),
                    options=options,
                )
            )
        for worker in started[1:]:
            worker.wait_for(r"(Successfully registered with master)")
        yield url
    finally:
        for daemon in reversed(started):
            daemon.stop()


def _invented_gpus(folder: Path, worker: int, count: int) -> list[str]:
    """Java options of a worker with GPUs of its own addresses."""
    addresses = [str(worker * count + number) for number in range(count)]
    script = folder / f"gpus{worker}.sh"
    script.write_text(f"#!/bin/sh\necho '{json.dumps({'name': 'gpu', 'addresses': addresses})}'\n")
    script.chmod(0o755)
    gpu = "-Dspark.worker.resource.gpu"
    return [f"{gpu}.amount={count}", f"{gpu}.discoveryScript={script}"]


class _Daemon:
    """One process and what it says; its executors end with it."""

    def __init__(self, log: Path, name: str, *arguments: str, options: Sequence[str] = ()) -> None:
        self.log = log
        command = [str(SPARK_HOME / "bin" / "spark-class"), f"{_DEPLOY}.{name}"]
        command += ["--host", "127.0.0.1", "--webui-port", "0", *arguments]
        environment = os.environ | {
            "SPARK_HOME": str(SPARK_HOME),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_DAEMON_MEMORY": "256m",
            "JDK_JAVA_OPTIONS": SHORT_LIVED,  # its executors' too
            "SPARK_WORKER_OPTS": " ".join(options),
            "SPARK_LOCAL_DIRS": str(log.parent / "local"),
            "PYSPARK_PYTHON": sys.executable,
            # A folder that is not there: no settings of a surrounding installation count, and
            # Java finds its archive of classes made for this very path.
            "SPARK_CONF_DIR": str(SPARK_HOME / "conf"),
        }
        self.process = subprocess.Popen(
            command,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._said: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, pattern: str) -> str:
        """The first group of a line that the process writes, sooner or later."""
        with self._news:
            found: list[str] = []

            def there() -> bool:
                found[:] = [m[1] for line in self._said if (m := re.search(pattern, line))]
                return bool(found) or self._ended

            self._news.wait_for(there, timeout=_PATIENCE)
        if not found:
            raise RuntimeError(f"{self.log.name}: never said {pattern}:\n{''.join(self._said)}")
        return found[0]

    def stop(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.log.open("w") as log, self.process.stdout as output:
            for line in output:
                log.write(line)
                with self._news:
                    self._said.append(line)
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()
