"""A proxy before an S3 server that fails as networks and stores do.

    with proxy(server.endpoint, Busy(every=10)) as between:
        ...  # with between.endpoint in the server's place

Requests pass as they are, the header `Host` included, which is part of their signature.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_PIECE = 1 << 16
_PATIENCE = 120
_XML = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{}</Code><Message>{}</Message></Error>'


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, str]


class Fault:
    """What befalls a request before it is passed on; `None` from `answer` lets it pass."""

    async def answer(self, request: Request) -> bytes | None:
        return None

    def done(self, request: Request) -> None:
        """The server has done it, and its answer is about to be passed on."""


class Reset(Exception):
    """The connection is to be torn down."""


@dataclass
class _Every(Fault):
    every: int
    count: int = 0

    def hit(self) -> bool:
        self.count += 1
        return self.count % self.every == 0


class Busy(_Every):
    """Each so-and-so-many-th request gets a 503: come back later."""

    async def answer(self, request: Request) -> bytes | None:
        return _answer(503, "SlowDown", "Please reduce your request rate.") if self.hit() else None


class Resets(_Every):
    """Each so-and-so-many-th request ends with the connection."""

    async def answer(self, request: Request) -> bytes | None:
        if self.hit():
            raise Reset
        return None


@dataclass
class Slow(Fault):
    seconds: float = 0.2

    async def answer(self, request: Request) -> bytes | None:
        await asyncio.sleep(self.seconds)
        return None


@dataclass
class Expires(Fault):
    """The keys are good for so many requests."""

    after: int
    count: int = 0

    async def answer(self, request: Request) -> bytes | None:
        self.count += 1
        if self.count <= self.after:
            return None
        return _answer(400, "ExpiredToken", "The provided token has expired.")


@dataclass
class Hold(Fault):
    """The first request that matches ("PUT /bucket/...json") waits until it is let go."""

    pattern: str
    held: threading.Event = field(default_factory=threading.Event)
    _gate: threading.Event = field(default_factory=threading.Event)

    async def answer(self, request: Request) -> bytes | None:
        if not self.held.is_set() and re.search(self.pattern, f"{request.method} {request.target}"):
            self.held.set()
            await asyncio.to_thread(self._gate.wait, _PATIENCE)
        return None

    def let_go(self) -> None:
        self._gate.set()


@dataclass
class Loses(Fault):
    """The first request that matches is done, and its answer lost with the connection."""

    pattern: str
    lost: bool = False

    def done(self, request: Request) -> None:
        if not self.lost and re.search(self.pattern, f"{request.method} {request.target}"):
            self.lost = True
            raise Reset


class Proxy:
    """What a test sees of it: where it listens, what came, and faults to add or take away."""

    def __init__(self, behind: str, *faults: Fault) -> None:
        self.faults = list(faults)
        self.seen: list[str] = []
        self.endpoint = ""
        self._host, self._port = urlsplit(behind).hostname or "", urlsplit(behind).port or 80

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while head := await _head(reader):
                request = _request(head)
                self.seen.append(f"{request.method} {request.target}")
                if "100-continue" in request.headers.get("expect", "").lower():
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                answer = await self._fault(request)
                if answer is not None:
                    await _body(reader, request.headers, None)
                    writer.write(answer if request.method != "HEAD" else _without_body(answer))
                    await writer.drain()
                    continue
                up = up or await asyncio.open_connection(self._host, self._port)
                up[1].write(head)
                await _body(reader, request.headers, up[1])
                answered = await _answered(up[0])
                for fault in self.faults:
                    fault.done(request)
                if not await _reply(request, answered, up[0], writer):
                    break
        except Reset:
            hard = struct.pack("ii", 1, 0)  # no farewell: the other side sees a reset
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, hard)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            for one in (writer, *([up[1]] if up else [])):
                one.close()

    async def _fault(self, request: Request) -> bytes | None:
        for fault in list(self.faults):
            if (answer := await fault.answer(request)) is not None:
                return answer
        return None


@contextmanager
def proxy(behind: str, *faults: Fault) -> Iterator[Proxy]:
    """A proxy in a thread of its own, on a free port."""
    made = Proxy(behind, *faults)
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(made.serve, "127.0.0.1", 0))
    made.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        for fault in made.faults:
            if isinstance(fault, Hold):
                fault.let_go()
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(_PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_PATIENCE)
        loop.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _head(reader: asyncio.StreamReader) -> bytes:
    """The lines before a body; empty where the connection ended."""
    with suppress(asyncio.IncompleteReadError):
        return await reader.readuntil(b"\r\n\r\n")
    return b""


def _request(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    return Request(method, target, _headers(lines))


def _headers(lines: list[str]) -> dict[str, str]:
    pairs = (line.partition(":") for line in lines if line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _body(
    reader: asyncio.StreamReader, headers: dict[str, str], to: asyncio.StreamWriter | None
) -> None:
    """Passes a body on as it is framed, or drops it."""

    async def copy(count: int) -> None:
        while count:
            piece = await reader.read(min(count, _PIECE))
            if not piece:
                raise asyncio.IncompleteReadError(b"", count)
            count -= len(piece)
            await give(piece)

    async def give(piece: bytes) -> None:
        if to is not None:
            to.write(piece)
            await to.drain()

    if "chunked" in headers.get("transfer-encoding", "").lower():
        size = -1
        while size:
            line = await reader.readuntil(b"\r\n")
            await give(line)
            size = int(line.split(b";")[0], 16)
            await copy(size + 2 if size else 0)
        while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
            await give(line)
        await give(line)
    else:
        await copy(int(headers.get("content-length", "0")))
    if to is not None:
        await to.drain()


async def _answered(up: asyncio.StreamReader) -> bytes:
    """The head of the server's answer, after any "100 Continue": ours went out before."""
    while head := await _head(up):
        if not head.split(b" ", 2)[1].startswith(b"1"):
            return head
    raise ConnectionResetError


async def _reply(
    request: Request, head: bytes, up: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    """Passes the answer on; whether the connection may be used again."""
    status = int(head.split(b" ", 2)[1])
    headers = _headers(head.decode("latin-1").split("\r\n")[1:])
    writer.write(head)
    framed = "content-length" in headers or "transfer-encoding" in headers
    if request.method != "HEAD" and status not in (204, 304):
        if framed:
            await _body(up, headers, writer)
        else:
            while piece := await up.read(_PIECE):
                writer.write(piece)
    await writer.drain()
    whole = framed or request.method == "HEAD" or status in (204, 304)
    return whole and headers.get("connection", "").lower() != "close"


def _answer(status: int, code: str, said: str) -> bytes:
    body = _XML.format(code, said).encode()
    lines = [f"HTTP/1.1 {status} {code}", "Content-Type: application/xml"]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def _without_body(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
