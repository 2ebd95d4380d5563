"""The proxy of the fault tests fails as asked, and passes on all else byte by byte."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from tests.storage.proxy import Busy, Expires, Fault, Hold, Loses, Proxy, Resets, Slow, proxy


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was sent: the host, the path, the body."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = b"".join(self._chunks()) or self.rfile.read(int(self.headers["Content-Length"] or 0))
        said = f"{self.headers['Host']} {self.path} ".encode() + body
        self.send_response(200)
        if self.path.endswith("chunked"):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(said), said))
        else:
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()

    def do_GET(self) -> None:
        self.do_PUT()

    def _chunks(self) -> Iterator[bytes]:
        while self.headers.get("Transfer-Encoding") == "chunked":
            size = int(self.rfile.readline(), 16)
            piece = self.rfile.read(size)
            self.rfile.readline()
            if not size:
                return
            yield piece

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def behind() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def ask(
    between: Proxy, method: str = "PUT", path: str = "/b/k%3A", body: object = b"x" * 10
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(between.endpoint).netloc, timeout=20)
    try:
        connection.request(method, path, body, encode_chunked=not isinstance(body, bytes | None))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def statuses(between: Proxy, count: int) -> list[int]:
    found = []
    for _ in range(count):
        try:
            found.append(ask(between)[0])
        except ConnectionError:
            found.append(0)
    return found


def test_what_no_fault_befalls_passes_as_it_is(behind: str) -> None:
    large = bytes(range(256)) * 4000
    with proxy(behind) as between:
        host = urlsplit(between.endpoint).netloc.encode()
        assert ask(between, body=large) == (200, host + b" /b/k%3A " + large)
        assert ask(between, "HEAD", body=None) == (200, b"")
        said = ask(between, path="/b/chunked", body=iter([b"ab", b"c" * 70_000]))
        assert said == (200, host + b" /b/chunked ab" + b"c" * 70_000)
        connection = http.client.HTTPConnection(host.decode(), timeout=20)
        for number in range(3):  # one connection
            connection.request("PUT", f"/{number}", b"1")
            assert connection.getresponse().read().endswith(b"/%d 1" % number)
        connection.close()
        assert between.seen == [
            "PUT /b/k%3A",
            "HEAD /b/k%3A",
            "PUT /b/chunked",
            *(f"PUT /{n}" for n in range(3)),
        ]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Busy(3), [200, 200, 503] * 2),
        (Resets(2), [200, 0] * 3),
        (Expires(4), [200] * 4 + [400] * 2),
        (Slow(0.01), [200] * 6),
        (Loses("PUT /b/"), [0] + [200] * 5),
    ],
)
def test_faults_come_as_often_as_asked(behind: str, fault: Fault, expected: list[int]) -> None:
    with proxy(behind, fault) as between:
        assert statuses(between, 6) == expected
        between.faults.clear()
        assert statuses(between, 3) == [200] * 3


def test_a_request_is_held_while_others_pass(behind: str) -> None:
    hold = Hold(r"PUT /b/_delta_log/0*1\.json")
    found: list[tuple[int, bytes]] = []
    with proxy(behind, hold) as between:
        path = "/b/_delta_log/00000000000000000001.json"
        first = threading.Thread(target=lambda: found.append(ask(between, path=path)))
        first.start()
        assert hold.held.wait(20)
        assert ask(between, path=path)[0] == 200, "the second one passes"
        assert found == []
        hold.let_go()
        first.join(20)
    assert found[0][0] == 200
