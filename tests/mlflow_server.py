"""A real MLflow server for tests."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tfspark.registry.connect import connect


def free_port() -> int:
    """Below the ports that the kernel gives to others before the server has come up."""
    while True:
        with suppress(OSError), socket.socket() as free:
            free.bind(("127.0.0.1", random.randrange(15_000, 32_000)))
            return int(free.getsockname()[1])


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Its address; it has a store and files of its own in a folder."""
    port = free_port()
    store = f"sqlite:///{folder}/server/mlflow.db"
    connect(store)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1", "--backend-store-uri", store]
    command += ["--artifacts-destination", str(folder / "server" / "files")]
    log = folder / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, start_new_session=True, env=os.environ.copy()
        )
    try:
        where = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 400
        while True:
            try:
                with urllib.request.urlopen(f"{where}/health", timeout=60):  # noqa: S310
                    break
            except OSError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
        yield where
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
