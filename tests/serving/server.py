"""A server of `tfspark serve` in this process, and what a client asks it."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from tfspark.registry.resolve import resolve_model
from tfspark.scoring.worker.parent import Child
from tfspark.serving.app import App, Bounds
from tfspark.serving.model import Served

_BOUNDS = Bounds()


class Client:
    """Of one server."""

    def __init__(self, port: int, name: str) -> None:
        self.port, self.name = port, name

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of an answer; `body`: bytes, or what becomes JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        given = body if isinstance(body, bytes | None) else json.dumps(body)
        try:
            connection.request(method, path, given, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def predict(self, body: Any, version: str = "", method: str = "predict") -> tuple[int, Any]:
        return self.ask("POST", f"/v1/models/{self.name}{version}:{method}", body)


def served_model(folder: str, child: Child) -> Served:
    """A model in a process of the test's."""
    return Served(resolve_model(folder), "m", 1, child=child)


@contextmanager
def serving(
    folder: str, child: Child, name: str = "m", bounds: Bounds = _BOUNDS, **more: Any
) -> Iterator[Client]:
    """A server of a model; it is stopped as SIGTERM stops one."""
    more = {"version": 7, "labels": ["champion"], "deadline": bounds.deadline, **more}
    served = Served(resolve_model(folder), name, child=child, **more)
    served.open()
    app = App(served, bounds)
    about = {"http": "h11", "lifespan": "off", "ws": "none", "log_config": None}
    server = uvicorn.Server(uvicorn.Config(app, access_log=False, **about))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1024)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield Client(listening.getsockname()[1], name)
        finally:
            server.should_exit = True
            thread.join()
            app.close()
