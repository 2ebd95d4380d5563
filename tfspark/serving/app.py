"""TensorFlow Serving's URLs over HTTP, with bounds: bodies, requests that wait, seconds."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tfspark.serving.model import Served
from tfspark.serving.refused import INTERNAL, LATE, NOT_FOUND, TOO_LARGE, UNAVAILABLE, Refused
from tfspark.serving.request import parse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

_WHOSE = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_ASK = re.compile(
    rf"/v1/models/(?P<name>[^/:]+){_WHOSE}:(?P<method>classify|regress|predict)", re.IGNORECASE
)
_LOOK = re.compile(
    rf"/v1/models(?:/(?P<name>[^/:]+))?{_WHOSE}(?:/(?P<metadata>metadata))?", re.IGNORECASE
)
_HELD = 8
"""Bodies of the largest size that may be held at a time."""
_READ = 4
"""So many times the largest size is read, and thrown away, for the client to see its answer."""
_THREADS = 4
_LARGEST = 2**63 - 1
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bounds:
    """What a server takes.

    Attributes:
        body: bytes of a request.
        queue: requests at a time, those that wait included.
        deadline: seconds of a request.
    """

    body: int = 32 << 20
    queue: int = 512
    deadline: float = 60.0


class App:
    """An ASGI application. Threads of its pool parse, and wait for the model; the loop's does not.

    Attributes:
        answered: requests that were answered, with an error or not.
    """

    def __init__(self, served: Served, bounds: Bounds) -> None:
        self._served, self._bounds = served, bounds
        self._pool = ThreadPoolExecutor(_THREADS, "tfspark-serve")
        self._lock = threading.Lock()
        self._inside = self._held = self.answered = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.requests import ClientDisconnect, Request
        from starlette.responses import Response

        request = Request(scope, receive)
        try:
            text, status = await self._answer(request), 200
        except Refused as refused:
            text, status = json.dumps({"error": str(refused)}, ensure_ascii=False), refused.status
        except ClientDisconnect:
            return
        except Exception:
            _logger.exception("%s %s", request.method, request.url.path)
            said = "a fault of tfspark, which its log tells; please report it"
            text, status = json.dumps({"error": said}), INTERNAL
        content = text.encode(errors="replace")  # half a letter of the request, in a message
        self.answered += 1
        await Response(content, status, media_type="application/json")(scope, receive, send)

    def close(self) -> None:
        """End its threads."""
        self._pool.shutdown(cancel_futures=True)

    async def _answer(self, request: Request) -> str:
        path = request.scope.get("raw_path", b"").decode("latin-1").partition("?")[0]
        if not path.lower().startswith("/v1/"):
            raise Refused(f"Not Found: {path}; it is /v1/models/{self._served.name}", NOT_FOUND)
        form = {"POST": _ASK, "GET": _LOOK}.get(request.method)
        found = form.fullmatch(path) if form else None
        if found is None:
            raise Refused(f"Malformed request: {request.method} {path}")
        version = found["version"]
        if version is not None and int(version) > _LARGEST:
            raise Refused(f"Failed to convert version: {version} to numeric.")
        if request.method == "GET":
            return self._look(found)
        until = time.monotonic() + self._bounds.deadline
        method, name, label = found["method"].lower(), found["name"], found["label"]
        slot = await self._enter(request)
        try:
            body = await self._read(request, slot)

            def work() -> str:
                if time.monotonic() > until:
                    raise self._late()
                given = parse(body)
                self._find(name, version, label)
                return self._served.answer(method, given)

            job = self._pool.submit(work)
        except BaseException:
            self._leave(slot)
            raise
        # A call that is not waited for any longer still takes its place.
        job.add_done_callback(lambda _: self._leave(slot))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(job), until - time.monotonic())
        except TimeoutError:
            raise self._late() from None

    def _look(self, found: re.Match[str]) -> str:
        name, version, label = found["name"], found["version"], found["label"]
        if not name:
            raise Refused("Missing model name in request.")
        if found["metadata"]:
            self._find(name, version, label)
            return self._served.metadata()
        if label is not None or self._is_it(name, version):
            self._find(name, version, label)
            return self._served.status()
        what = f"version {int(version)}" if version else "any versions"
        raise Refused(f"Could not find {what} of model {unquote(name)}", NOT_FOUND)

    def _find(self, name: str, version: str | None, label: str | None) -> None:
        """
        Raises:
            Refused: another model is asked for than the one that is served.
        """
        if label is not None and unquote(label) not in self._served.labels:
            raise Refused(f"Unrecognized servable version label: {unquote(label)}")
        if not self._is_it(name, version):
            name = unquote(name)
            which = f"Specific({name}, {int(version)})" if version else f"Latest({name})"
            raise Refused(f"Servable not found for request: {which}", NOT_FOUND)

    def _is_it(self, name: str, version: str | None) -> bool:
        served = self._served
        return unquote(name) == served.name and (not version or int(version) == served.version)

    async def _enter(self, request: Request) -> _Slot:
        """A place in the queue."""
        with self._lock:
            full = self._inside >= self._bounds.queue
            self._inside += not full
        if full:
            async for _ in self._parts(request):
                pass
            said = f"The queue is full: {self._bounds.queue} requests are in it; try again later"
            raise Refused(said, UNAVAILABLE)
        return _Slot()

    def _leave(self, slot: _Slot) -> None:
        with self._lock:
            self._inside -= 1
            self._held -= slot.size

    async def _read(self, request: Request, slot: _Slot) -> bytes:
        """The body."""
        parts = []
        try:
            async with asyncio.timeout(self._bounds.deadline):
                async for part in self._parts(request):
                    with self._lock:
                        slot.size += len(part)
                        self._held += len(part)
                        much = self._held > _HELD * self._bounds.body
                    if much:
                        said = "the bodies of the requests that wait are too large together"
                        raise Refused(f"The queue is full: {said}; try again later", UNAVAILABLE)
                    parts.append(part)
        except TimeoutError:
            raise self._late() from None
        return b"".join(parts)

    async def _parts(self, request: Request) -> AsyncIterator[bytes]:
        """A body as it comes, up to the largest size.

        Raises:
            Refused: it is larger.
        """
        most, size = self._bounds.body, 0
        said = request.headers.get("content-length", "")
        large = said.isdecimal() and int(said) > most
        async for part in request.stream():
            size += len(part)
            large = large or size > most
            if not large:
                yield part
            elif size > _READ * most:
                break
        if large:
            told = f"The body of the request is larger than {most} bytes (--max-body); send fewer"
            raise Refused(f"{told} rows at a time", TOO_LARGE)

    def _late(self) -> Refused:
        return Refused(f"no answer within {self._bounds.deadline:g} s (--deadline)", LATE)


@dataclass
class _Slot:
    """A request's place, and the bytes that it holds."""

    size: int = 0
