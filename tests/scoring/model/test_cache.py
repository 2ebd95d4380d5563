"""Unpacked models stay while they are used, and within a budget afterwards; killed or not."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tfspark.errors import ConfigError
from tfspark.registry.manifest import digest_folder, file_sums
from tfspark.registry.resolve import ModelFolder
from tfspark.registry.signature import Signature
from tfspark.scoring.model import cache as models
from tfspark.scoring.model.command import main as command
from tfspark.scoring.model.pack import Packed, cut, listed, unpack

SPAWN = multiprocessing.get_context("spawn")
SIZE = 4000


class Piece:
    """What a broadcast looks like to a worker."""

    def __init__(self, value: bytes) -> None:
        self.value = value


class Hang(Piece):
    """One that never comes; says when it is waited for."""

    def __init__(self, asked: Any) -> None:
        self.asked = asked

    @property
    def value(self) -> bytes:  # type: ignore[override]
        self.asked.set()
        signal.pause()
        return b""


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    (tmp_path / "cache").mkdir(mode=0o700)
    return tmp_path / "cache"


def packed(folder: Path) -> Packed:
    """A model of SIZE bytes in two files."""
    folder.mkdir()
    for name in ("saved_model.pb", "data"):
        (folder / name).write_bytes(os.urandom(SIZE // 2))
    digest = digest_folder(str(folder))
    files = file_sums(str(folder))
    model = ModelFolder("m", "1", str(folder), digest, files, Signature({}, {}), None)
    return Packed(str(folder), digest, listed(model), tuple(Piece(p) for p in cut(model, 999)))


def budget(models: float) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setenv("TFSPARK_MODEL_CACHE_BYTES", str(int(models * SIZE)))


def there(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir() if path.is_dir()}


def wait_until(true: Callable[[], bool]) -> None:
    """For what another process does in its own time."""
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _use(sent: Packed, cache: Path, connection: Any) -> None:
    unpack(sent, cache)
    connection.send(os.getpid())
    connection.recv()


@contextmanager
def user(sent: Packed, cache: Path) -> Iterator[Any]:
    """A process that has a model unpacked and uses it until it is killed."""
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=_use, args=(sent, cache, theirs))
    process.start()
    try:
        assert ours.recv() == process.pid
        yield process
    finally:
        process.kill()
        process.join()


def unpacked(sent: Packed, cache: Path) -> None:
    """As a process does that ends."""
    unpack(sent, cache)
    models.release(str(cache), sent.digest)


def aged(cache: Path, sent: Packed, seconds: float) -> None:
    for name in (sent.digest, f"{sent.digest}.lease"):
        os.utime(cache / name, (time.time() - seconds,) * 2)


def test_those_opened_longest_ago_go_first(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget(2)(monkeypatch)
    a, b, c = (packed(tmp_path / name) for name in "abc")
    unpacked(a, cache)
    unpacked(b, cache)
    (cache / f"{b.digest}.loads").write_text("1\n")
    aged(cache, a, 100)
    aged(cache, b, 200)
    unpacked(c, cache)
    assert there(cache) == {a.digest, c.digest}
    assert not list(cache.glob(f"*{b.digest}*"))
    unpacked(a, cache)  # used again
    aged(cache, c, 50)
    unpacked(b, cache)
    assert there(cache) == {a.digest, b.digest}
    assert [model.digest for model in models.models(str(cache))] == [a.digest, b.digest]


def test_what_was_not_used_for_days_goes_whatever_the_budget(tmp_path: Path, cache: Path) -> None:
    a, b = (packed(tmp_path / name) for name in "ab")
    unpacked(a, cache)
    aged(cache, a, 8 * 24 * 3600)
    unpacked(b, cache)
    assert there(cache) == {b.digest}


@pytest.mark.usefixtures("kill")
def test_what_is_in_use_stays_until_its_last_process_is_killed(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget(0.5)(monkeypatch)  # too small for any
    a, b = (packed(tmp_path / name) for name in "ab")
    with user(a, cache) as first, user(a, cache), user(b, cache) as other:
        assert there(cache) == {a.digest, b.digest}
        assert models.sweep(str(cache), 0) == (2 * SIZE, {a.digest, b.digest})
        first.kill()
        first.join()
        assert digest_folder(str(unpack(a, cache))) == a.digest
        models.release(str(cache), a.digest)
        other.kill()
        wait_until(lambda: there(cache) == {a.digest})  # nobody asks for it: it goes by itself
    wait_until(lambda: not list(cache.iterdir()))


@pytest.mark.usefixtures("kill")
def test_the_last_one_out_leaves_what_the_budget_allows(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget(1)(monkeypatch)  # for one of two that are in use at the same time
    a, b = (packed(tmp_path / name) for name in "ab")
    with user(a, cache) as first, user(b, cache) as second:
        assert there(cache) == {a.digest, b.digest}
        first.kill()
        first.join()
        second.kill()
    wait_until(lambda: len(there(cache)) == 1)  # and soon nothing of the other
    wait_until(lambda: models.sweep(str(cache), SIZE) == (SIZE, set()))


@pytest.mark.usefixtures("kill")
def test_killed_while_it_unpacks_more_than_the_budget(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget(0.5)(monkeypatch)
    sent = packed(tmp_path / "a")
    asked = SPAWN.Event()
    pieces = (*sent.pieces[:2], Hang(asked))
    process = SPAWN.Process(
        target=unpack, args=(Packed(sent.model, sent.digest, sent.files, pieces), cache)
    )
    process.start()
    assert asked.wait(120)
    assert list(cache.glob(".*.partial"))
    process.kill()
    process.join()
    wait_until(lambda: not list(cache.iterdir()))


def test_a_model_whose_lease_was_cleaned_away(tmp_path: Path, cache: Path) -> None:
    """Cleaners of temporary folders take single files; folders of older versions have no lease."""
    sent = packed(tmp_path / "a")
    unpacked(sent, cache)
    (cache / f"{sent.digest}.lease").unlink()
    unpack(sent, cache)
    assert models.sweep(str(cache), 0) == (SIZE, {sent.digest})
    (cache / f"{sent.digest}.lease").unlink()
    unpack(sent, cache)  # the lease that this process has is no longer the one of that name
    assert models.sweep(str(cache), 0) == (SIZE, {sent.digest})
    models.release(str(cache), sent.digest)
    (cache / f"{sent.digest}.lease").unlink()
    assert models.sweep(str(cache), 0) == (0, set())
    assert not list(cache.iterdir())


def test_only_models_are_removed(tmp_path: Path, cache: Path) -> None:
    (cache / "of somebody else").mkdir()
    (cache / "notes.lease").write_text("")
    assert models.models(str(cache)) == []
    assert models.sweep(str(cache), 0) == (0, set())
    assert len(list(cache.iterdir())) == 2
    assert models.sweep(str(tmp_path / "none"), 0) == (0, set())


@pytest.mark.usefixtures("kill")
def test_whoever_waits_for_a_model_that_is_removed_gets_it_anew(
    tmp_path: Path, cache: Path
) -> None:
    sent = packed(tmp_path / "a")
    unpacked(sent, cache)
    remover = os.open(cache / f"{sent.digest}.lease", os.O_RDWR)
    fcntl.flock(remover, fcntl.LOCK_EX)
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=_use, args=(sent, cache, theirs))
    process.start()
    try:
        wait_until(lambda: _blocked(process.pid or 0))
        assert models._remove(str(cache), sent.digest)
        os.close(remover)
        assert ours.recv() == process.pid
        assert digest_folder(str(cache / sent.digest)) == sent.digest
        assert models.sweep(str(cache), 0) == (SIZE, {sent.digest})
    finally:
        process.kill()
        process.join()


def _blocked(pid: int) -> bool:
    """Whether a process waits for a lock: an arrow in the kernel's list."""
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and f" {pid} " in line for line in lines)


def _open_often(sent: list[Packed], cache: Path, seed: int, said: Any) -> None:
    try:
        dice = random.Random(seed)
        for _ in range(30):
            one = dice.choice(sent)
            folder = unpack(one, cache)
            for _ in range(3):  # as TensorFlow does, file after file
                assert digest_folder(str(folder)) == one.digest
            models.release(str(cache), one.digest)
        said.put("")
    except BaseException as error:
        said.put(repr(error))


def test_no_race_removes_a_model_that_is_being_opened(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFSPARK_MODEL_CACHE_BYTES", "0")  # all goes as soon as nobody uses it
    sent = [packed(tmp_path / name) for name in "abc"]
    # Programs that sweep later would be hundreds here.
    said = SPAWN.Queue()
    users = [
        SPAWN.Process(target=_without_watch, args=(_open_often, sent, cache, seed, said))
        for seed in range(5)
    ]
    for one in users:
        one.start()
    removed = 0
    while any(one.is_alive() for one in users):
        before = there(cache)
        models.sweep(str(cache), 0)
        removed += len(before - there(cache))
    assert [said.get(timeout=60) for _ in users] == [""] * len(users)
    for one in users:
        one.join()
    assert removed
    assert models.sweep(str(cache), 0) == (0, set())
    assert not list(cache.iterdir())


def _without_watch(function: Any, *arguments: Any) -> None:
    models.sweep_later = lambda *_: None
    function(*arguments)


def test_what_waits_is_small_and_nobodys_child(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds no file of the process that started it, and needs nothing of this package."""
    monkeypatch.chdir(tmp_path)
    sent = packed(tmp_path / "a")
    unpack(sent, cache)
    (tmp_path / "held").write_text("")
    with (tmp_path / "held").open() as held:
        os.set_inheritable(held.fileno(), False)
        models.sweep_later(cache.name, sent.digest, 0)  # wherever it may be started
    waiting = []

    def found() -> bool:
        waiting[:] = [
            path
            for path in Path("/proc").glob("[0-9]*/cmdline")
            if str(cache).encode() in _read(path) and b"-P" in _read(path)
        ]
        return len(waiting) == 1 and _blocked(int(waiting[0].parent.name))

    wait_until(found)
    of = waiting[0].parent
    assert not [link for link in (of / "fd").iterdir() if "held" in str(link.readlink())]
    status = (of / "status").read_text().splitlines()
    kilobytes = int(next(line.split()[1] for line in status if line.startswith("VmRSS")))
    assert kilobytes < 30_000
    assert os.getsid(int(of.name)) != os.getsid(0)
    models.release(str(cache), sent.digest)
    wait_until(lambda: not list(cache.iterdir()))
    wait_until(lambda: not _read(of / "cmdline"))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_it_runs_from_a_zip(tmp_path: Path, cache: Path) -> None:
    """As Spark's --py-files bring it."""
    import zipfile

    from tests.conftest import ROOT

    with zipfile.ZipFile(tmp_path / "lib.zip", "w") as lib:
        lib.write(ROOT / "tfspark/scoring/model/cache.py", "cache.py")
    sent = packed(tmp_path / "a")
    unpacked(sent, cache)
    code = (
        f"import cache; cache.hold({str(cache)!r}, {sent.digest!r});"
        f"cache.sweep_later({str(cache)!r}, {sent.digest!r}, 0)"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "lib.zip")}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)
    wait_until(lambda: not list(cache.iterdir()))


@pytest.mark.parametrize("given", ["", "-1", "2 GB"])
def test_a_budget_that_is_none(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    sent = packed(tmp_path / "a")
    monkeypatch.setenv("TFSPARK_MODEL_CACHE_BYTES", given)
    with pytest.raises(ConfigError, match="give a number of bytes"):
        unpack(sent, cache)


def test_the_command(
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TFSPARK_MODEL_CACHE", str(cache))
    used, unused = packed(tmp_path / "a"), packed(tmp_path / "b")
    unpack(used, cache)
    unpacked(unused, cache)
    (cache / f".{unused.digest}-0.partial").mkdir()
    assert command(["list"]) == 0
    lines = sorted(capsys.readouterr().out.splitlines())
    assert [line.split()[0] for line in lines] == sorted([used.digest, unused.digest])
    assert all("4,000 bytes  opened 20" in line for line in lines)
    assert ["incomplete" in line for line in lines] == [unused.digest in line for line in lines]
    assert command(["clean"]) == 0
    assert "4,000 bytes removed, 4,000 left, 1 models in use" in capsys.readouterr().out
    assert there(cache) == {used.digest}
    models.release(str(cache), used.digest)
