"""The channel from ranks to the driver, over real sockets."""

from __future__ import annotations

import os
import pickle
import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import AuthenticationError

import pytest

from tfspark.errors import ConfigError
from tfspark.training.ranks.reports import Message, Reports
from tfspark.training.ranks.talk import Channel, Direct, ask, reach_driver


@pytest.fixture
def reports() -> Iterator[Reports]:
    with Reports("127.0.0.1") as made:
        yield made


def next_of(reports: Reports, kind: str) -> Message:
    """The next message of a kind; others are let go."""
    while (message := reports.inbox.get(timeout=120)).values["kind"] != kind:
        pass
    return message


def say(channel: Channel, kind: str, **values: object) -> tuple[threading.Thread, list[object]]:
    """Say it in a thread: the answer comes later."""
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(channel.say(kind, **values)))
    thread.start()
    return thread, answers


def test_said_and_answered(reports: Reports) -> None:
    channel = Channel(reports.address, reports.key, rank=3)
    thread, answers = say(channel, "epoch", epoch=2, history={"loss": [0.5]})
    message = next_of(reports, "epoch")
    assert message.values == {"kind": "epoch", "rank": 3, "epoch": 2, "history": {"loss": [0.5]}}
    message.reply({"stop": True})
    thread.join()
    assert answers == [{"stop": True}]
    channel.close()


def test_heartbeats_tell_step_phase_and_place(reports: Reports) -> None:
    channel = Channel(reports.address, reports.key, rank=1, beat_seconds=0.05)
    first = next_of(reports, "beat")
    place = {"kind": "beat", "rank": 1, "host": socket.gethostname(), "pid": os.getpid()}
    assert first.values == place | {"steps": 0, "phase": "begin"}
    channel.watch(lambda: 42)
    channel.phase("read")
    while (beat := next_of(reports, "beat")).values["steps"] == 0:
        pass
    assert beat.values == place | {"steps": 42, "phase": "read"}
    channel.close()


def test_heartbeats_go_on_while_an_answer_is_awaited(reports: Reports) -> None:
    channel = Channel(reports.address, reports.key, rank=0, beat_seconds=0.05)
    thread, _ = say(channel, "epoch")
    message = next_of(reports, "epoch")
    for _ in range(5):
        next_of(reports, "beat")
    message.reply()
    thread.join()
    channel.close()


def test_a_wrong_key_is_refused_and_others_are_heard(reports: Reports) -> None:
    with pytest.raises(AuthenticationError):
        Channel(reports.address, b"x" * 32, rank=0)
    channel = Channel(reports.address, reports.key, rank=0)
    assert next_of(reports, "beat").values["rank"] == 0
    channel.close()


def test_silent_and_babbling_strangers_hold_up_nobody(
    reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfspark.training.ranks.reports._SHAKE_SECONDS", 10_000)
    silent = [socket.create_connection(reports.address) for _ in range(20)]
    for sock in silent[:10]:
        sock.sendall(b"\x00\x00\x00\x05GET /" + os.urandom(100))
    channel = Channel(reports.address, reports.key, rank=0)
    assert next_of(reports, "beat").values["rank"] == 0
    channel.close()
    for sock in silent:
        sock.close()


def test_many_strangers_keep_no_rank_out(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfspark.training.ranks.reports._SHAKE_SECONDS", 10_000)
    silent = [socket.create_connection(reports.address) for _ in range(300)]
    channel = Channel(reports.address, reports.key, rank=0)
    assert next_of(reports, "beat").values["rank"] == 0
    for sock in silent[:40]:  # the oldest had to go
        sock.settimeout(120)
        assert len(sock.recv(100)) < 100
    channel.close()
    for sock in silent:
        sock.close()


def test_strangers_of_one_address_push_out_their_own(
    reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfspark.training.ranks.reports._SHAKE_SECONDS", 10_000)
    monkeypatch.setattr("tfspark.training.ranks.reports._STRANGERS", 3)

    def come(address: str) -> socket.socket:
        sock = socket.create_connection(reports.address, source_address=(address, 0))
        sock.settimeout(120)
        assert sock.recv(1)  # it is served: the challenge begins
        return sock

    early = come("127.0.0.2")
    many = [come("127.0.0.3") for _ in range(6)]
    for sock in many[:4]:
        while sock.recv(1000):
            pass
    early.sendall(b"x")  # what was asked before all of them is still there
    early.setblocking(False)
    early.recv(1000)
    with pytest.raises(BlockingIOError):
        early.recv(1)
    for sock in (early, *many):
        sock.close()


def test_a_rank_that_was_pushed_out_tries_again(reports: Reports) -> None:
    """Before the driver there is one that hangs up twice."""
    ready, served = threading.Event(), []

    def hang_up(at: socket.socket) -> None:
        for _ in range(2):
            ready.set()
            sock, _ = at.accept()
            sock.close()
            served.append(sock)
        sock, _ = at.accept()
        served.append(sock)
        with sock, socket.create_connection(reports.address) as driver:
            ways = ((sock, driver), (driver, sock))
            threads = [threading.Thread(target=_pass_on, args=way) for way in ways]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    with socket.create_server(("127.0.0.1", 0)) as at:
        thread = threading.Thread(target=hang_up, args=(at,))
        thread.start()
        ready.wait()
        reach_driver(at.getsockname(), reports.key).close()
        thread.join()
    assert len(served) == 3


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while content := source.recv(1000):
            target.sendall(content)
        target.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize(
    "said", [pickle.dumps({"kind": "note"}), b"{", b"[]", b'"kind"', b"{}", b"\xff", b"[" * 100_000]
)
def test_what_is_no_report_ends_the_connection(reports: Reports, said: bytes) -> None:
    with reach_driver(reports.address, reports.key) as connection:
        connection.send_bytes(said)
        with pytest.raises(EOFError):
            connection.recv_bytes()
    with pytest.raises(queue.Empty):
        reports.inbox.get_nowait()


def test_a_message_longer_than_allowed_is_not_read(
    reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfspark.training.ranks.reports.LONGEST", 1000)
    with reach_driver(reports.address, reports.key) as connection:
        connection.send_bytes(b'{"kind": "note", "text": "' + b"x" * 1000 + b'"}')
        with pytest.raises((EOFError, ConnectionResetError)):
            connection.recv_bytes()


def test_a_rank_learns_that_the_attempt_is_over() -> None:
    over = threading.Event()
    with Reports("127.0.0.1") as reports:
        channel = Channel(reports.address, reports.key, 0, on_lost=over.set)
        next_of(reports, "beat")
    assert over.wait(120)
    with pytest.raises((EOFError, OSError)):
        channel.say("note", text="late")
    channel.close()


def test_who_waits_for_an_answer_is_let_go() -> None:
    with Reports("127.0.0.1") as reports:
        connection = reach_driver(reports.address, reports.key)
        failed = threading.Event()

        def wait() -> None:
            with pytest.raises(EOFError):
                ask(connection, {"kind": "here"})
            failed.set()

        thread = threading.Thread(target=wait)
        thread.start()
        next_of(reports, "here")
    assert failed.wait(120)
    thread.join()
    connection.close()


def test_closing_tells_whether_the_others_are_gone() -> None:
    reports = Reports("127.0.0.1")
    channel = Channel(reports.address, reports.key, 0)
    stays = reach_driver(reports.address, reports.key)
    assert ask_in_thread(reports, stays) == {}
    assert not reports.close(0.3)
    channel.close()
    stays.close()

    reports = Reports("127.0.0.1")
    connection = reach_driver(reports.address, reports.key)
    assert ask_in_thread(reports, connection) == {}
    reports.end()
    with pytest.raises(EOFError):
        connection.recv_bytes()
    connection.close()
    assert reports.close(120)


def ask_in_thread(reports: Reports, connection: object) -> object:
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(ask(connection, {"kind": "hello"})))  # type: ignore[arg-type]
    thread.start()
    next_of(reports, "hello").reply()
    thread.join()
    return answers[0]


def test_nobody_to_reach_says_where_and_what_to_set() -> None:
    with socket.socket() as taken:  # and nobody listens there
        taken.bind(("127.0.0.1", 0))
        address = taken.getsockname()
        where = rf"127.0.0.1:{address[1]}.*distributed.interface"
        with pytest.raises(ConnectionError, match=where):
            reach_driver(address, b"x")


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    with pytest.raises(ConfigError, match=r"203\.0\.113\.9.*distributed\.interface"):
        Reports("203.0.113.9")


def test_it_listens_on_its_address_alone(reports: Reports) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", reports.address[1]), timeout=5)


def test_direct_is_a_call() -> None:
    said = []
    direct = Direct(said.append, rank=2)
    assert direct.say("note", text="hello") == {}
    assert said == [{"kind": "note", "rank": 2, "text": "hello"}]
    assert Direct(lambda report: {"stop": True}).say("epoch") == {"stop": True}
