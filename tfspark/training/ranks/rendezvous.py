"""Where Horovod's ranks find each other: its Gloo rendezvous, a key-value store over HTTP.

Only this part of Horovod runs on the driver; its driver and task services, which take pickles
from the network, do not. The store listens on one private address and answers only requests that
carry the run's token. Horovod knows no token, but joins `http://` + address + `:` + port + `/` +
scope + `/` + key: an address that ends in `:port/token` puts the token into the path.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Sequence
from http import HTTPStatus
from socketserver import TCPServer

from horovod.runner.common.util.hosts import HostInfo, get_host_assignments
from horovod.runner.http.http_server import RendezvousHandler, RendezvousHTTPServer


class Rendezvous:
    """One attempt's rendezvous; closed, its socket is gone.

    Args:
        host: the address to listen on.
        local_sizes: ranks of each host, in the order of ranks.
    """

    def __init__(self, host: str, local_sizes: Sequence[tuple[str, int]]) -> None:
        self.token = secrets.token_hex(16)
        self._server = _Server((host, 0), _Handler, 0)
        ip, port = self._server.server_address[:2]
        self.port = int(port)
        self._server.prefix = f"{self.token}:{port}"
        self.address = f"{ip}:{port}/{self.token}"  # HOROVOD_GLOO_RENDEZVOUS_ADDR
        size = sum(count for _, count in local_sizes)
        self._server.init(get_host_assignments([HostInfo(h, n) for h, n in local_sizes], size))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Rendezvous:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(RendezvousHTTPServer):
    daemon_threads = True
    request_queue_size = 1024  # all ranks come at once
    prefix = ""

    def server_bind(self) -> None:
        # HTTPServer asks DNS for its own name here, which can take long and is of no use.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request: object, client_address: object) -> None:
        """A rank that was killed while it asked is no news."""


class _Handler(RendezvousHandler):
    path: str

    def parse_request(self) -> bool:
        """Before any method runs: SimpleHTTPRequestHandler below would answer HEAD with files."""
        if not super().parse_request():
            return False
        _, prefix, *rest = f"{self.path}//".split("/")[:4]
        if not hmac.compare_digest(prefix.encode(), self.server.prefix.encode()):
            self.send_status_code(HTTPStatus.FORBIDDEN)
            return False
        if self.command not in ("GET", "PUT", "DELETE") or self.path.count("/") != 3:
            self.send_status_code(HTTPStatus.BAD_REQUEST)
            return False
        self.path = "/" + "/".join(rest)
        return True
