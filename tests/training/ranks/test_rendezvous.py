"""The rendezvous server, asked as Horovod's C++ client asks."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator

import pytest

from tfspark.training.ranks.rendezvous import Rendezvous


@pytest.fixture
def rendezvous() -> Iterator[Rendezvous]:
    with Rendezvous("127.0.0.1", [("127.0.0.1", 2)]) as made:
        yield made


def ask(made: Rendezvous, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", made.port, timeout=120)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def path_of(made: Rendezvous, scope: str, key: str) -> str:
    """As Horovod builds it from the address and the port."""
    url = f"http://{made.address}:{made.port}/{scope}/{key}"
    start = f"http://127.0.0.1:{made.port}/"
    assert url.startswith(start)
    return "/" + url.removeprefix(start)


def test_with_the_token_it_keeps_values(rendezvous: Rendezvous) -> None:
    path = path_of(rendezvous, "global", "0")
    assert ask(rendezvous, "GET", path)[0] == 404
    assert ask(rendezvous, "PUT", path, b"somewhere")[0] == 200
    assert ask(rendezvous, "GET", path) == (200, b"somewhere")
    assert ask(rendezvous, "DELETE", path)[0] == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
@pytest.mark.parametrize("prefix", ["", "/", "/wrong", "/wrong:1"])
def test_without_it_nothing_is_answered(rendezvous: Rendezvous, method: str, prefix: str) -> None:
    right = path_of(rendezvous, "global", "0")
    ask(rendezvous, "PUT", right, b"somewhere")
    assert ask(rendezvous, method, f"{prefix}/global/0") == (403, b"")
    assert ask(rendezvous, "GET", right) == (200, b"somewhere")


def test_another_runs_token_is_refused(rendezvous: Rendezvous) -> None:
    with Rendezvous("127.0.0.1", [("127.0.0.1", 2)]) as other:
        assert other.token != rendezvous.token
        path = path_of(rendezvous, "global", "0").replace(rendezvous.token, other.token)
        assert ask(rendezvous, "GET", path)[0] == 403


@pytest.mark.parametrize("tail", ["", "/global", "/global/0/1"])
def test_paths_of_another_shape_are_refused(rendezvous: Rendezvous, tail: str) -> None:
    prefix = path_of(rendezvous, "global", "0").removesuffix("/global/0")
    assert ask(rendezvous, "GET", prefix + tail)[0] == 400


def test_files_of_the_driver_are_not_answered(rendezvous: Rendezvous) -> None:
    """The handler that Horovod builds on answers HEAD with what lies in the working directory."""
    prefix = path_of(rendezvous, "global", "0").removesuffix("/global/0")
    assert ask(rendezvous, "HEAD", f"{prefix}/tfspark/__init__.py")[0] == 400


def test_it_listens_on_its_address_alone(rendezvous: Rendezvous) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", rendezvous.port), timeout=120)


def test_closed_it_is_gone_even_with_a_silent_client() -> None:
    with Rendezvous("127.0.0.1", [("127.0.0.1", 1)]) as made:
        silent = socket.create_connection(("127.0.0.1", made.port), timeout=120)
    with silent, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", made.port), timeout=120)
