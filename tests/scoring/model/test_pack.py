"""A model travels as bytes and is one folder a machine, whoever unpacks it, killed or not."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tfspark.errors import IntegrityError, StorageError
from tfspark.registry.manifest import digest_folder, file_sums
from tfspark.registry.resolve import ModelFolder
from tfspark.registry.signature import Signature
from tfspark.scoring.model import cache as models
from tfspark.scoring.model.pack import Packed, cache_folder, cut, listed, unpack

SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Piece:
    """What a broadcast looks like to a worker; writes down who asked for it."""

    value_: bytes
    log: str
    block: Any = None

    @property
    def value(self) -> bytes:
        with Path(self.log).open("a") as file:
            file.write(f"{os.getpid()}\n")
        if self.block is not None:
            self.block.set()
            signal.pause()
        return self.value_


@pytest.fixture
def model(tmp_path: Path) -> ModelFolder:
    folder = tmp_path / "model"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(os.urandom(1000))
    (folder / "variables" / "data").write_bytes(os.urandom(5000))
    (folder / "empty").write_bytes(b"")
    files = file_sums(str(folder))
    digest = digest_folder(str(folder))
    return ModelFolder("m", "1", str(folder), digest, files, Signature({}, {}), None)


def packed(model: ModelFolder, size: int = 512, block: Any = None) -> Packed:
    log = str(Path(model.path).parent / "asked")
    pieces = [Piece(piece, log) for piece in cut(model, size)]
    if block is not None:
        pieces[2] = replace(pieces[2], block=block)
    return Packed(model.path, model.digest, listed(model), tuple(pieces))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    (tmp_path / "cache").mkdir(mode=0o700)
    return tmp_path / "cache"


@pytest.mark.parametrize("size", [1, 512, 1000, 1 << 20])
def test_there_and_back(model: ModelFolder, cache: Path, size: int) -> None:
    pieces = list(cut(model, size))
    assert pieces == list(cut(model, size))
    assert all(len(piece) == size for piece in pieces[:-1])
    folder = unpack(packed(model, size), cache)
    assert digest_folder(str(folder)) == model.digest == folder.name
    assert folder.stat().st_mode & 0o077 == 0


def test_unpacked_once(model: ModelFolder, cache: Path, tmp_path: Path) -> None:
    sent = packed(model)
    assert unpack(sent, cache) == unpack(sent, cache)
    assert len((tmp_path / "asked").read_text().splitlines()) == len(sent.pieces)


def test_a_file_that_a_cleaner_took_comes_back(model: ModelFolder, cache: Path) -> None:
    folder = unpack(packed(model), cache)
    (folder / "variables" / "data").unlink()
    assert digest_folder(str(unpack(packed(model), cache))) == model.digest


def test_a_file_that_changes_while_it_is_read(model: ModelFolder) -> None:
    (Path(model.path) / "saved_model.pb").write_bytes(os.urandom(1000))
    with pytest.raises(IntegrityError, match="changed while it was read"):
        list(cut(model))


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out", "a\\..\\out", ""])
def test_no_file_leaves_the_folder(model: ModelFolder, cache: Path, name: str) -> None:
    sent = packed(model)
    evil = replace(sent, files=((name, 10, "0"), *sent.files))
    with pytest.raises(IntegrityError, match="outside the model's folder"):
        unpack(evil, cache)
    assert not list(cache.rglob("out"))


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        (lambda p: p[:-1], "cut off"),
        (lambda p: (*p, p[0]), "more arrived"),
        (lambda p: (p[1], p[0], *p[2:]), "arrived changed"),
    ],
)
def test_what_arrives_is_checked(model: ModelFolder, cache: Path, pieces: Any, said: str) -> None:
    sent = packed(model)
    with pytest.raises(IntegrityError, match=said):
        unpack(replace(sent, pieces=pieces(sent.pieces)), cache)
    assert {path.suffix for path in cache.iterdir()} == {".lease", ".lock"}
    assert models.sweep(str(cache), 0) == (0, set())
    assert not list(cache.iterdir())


def test_the_cache_is_ours_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFSPARK_MODEL_CACHE", str(tmp_path / "new" / "cache"))
    assert cache_folder() == tmp_path / "new" / "cache"
    assert cache_folder().stat().st_mode & 0o777 == 0o700
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    monkeypatch.setenv("TFSPARK_MODEL_CACHE", str(tmp_path / "open"))
    with pytest.raises(StorageError, match="may write to it"):
        cache_folder()
    monkeypatch.setenv("TFSPARK_MODEL_CACHE", str(tmp_path / "open" / "cache"))
    with pytest.raises(StorageError, match="open: others own it or may write to it"):
        cache_folder()
    (tmp_path / "link").symlink_to(tmp_path / "new")
    monkeypatch.setenv("TFSPARK_MODEL_CACHE", str(tmp_path / "link"))
    with pytest.raises(StorageError, match="is a link"):
        cache_folder()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TFSPARK_MODEL_CACHE", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="cannot be used"):
        cache_folder()


def test_without_a_setting_the_cache_is_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TFSPARK_MODEL_CACHE", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert cache_folder() == tmp_path / f"tfspark-{os.getuid()}" / "models"


def _race(sent: Packed, cache: Path, start: Any, said: Any) -> None:
    start.wait()
    said.put(str(unpack(sent, cache)))


def test_four_processes_at_once(model: ModelFolder, cache: Path, tmp_path: Path) -> None:
    sent, start, said = packed(model, size=16), SPAWN.Barrier(4), SPAWN.Queue()
    racers = [SPAWN.Process(target=_race, args=(sent, cache, start, said)) for _ in range(4)]
    for racer in racers:
        racer.start()
    assert {said.get(timeout=300) for _ in racers} == {str(cache / model.digest)}
    for racer in racers:
        racer.join()
    assert digest_folder(str(cache / model.digest)) == model.digest
    assert len(set((tmp_path / "asked").read_text().split())) == 1
    assert not list(cache.glob(".*"))


@pytest.fixture
def killed(model: ModelFolder, cache: Path, kill: Any) -> Iterator[Path]:
    """A process was killed in the middle of unpacking; the folder that it left."""
    began = SPAWN.Event()
    sent = packed(model, block=began)
    victim = SPAWN.Process(target=unpack, args=(sent, cache))
    victim.start()
    assert began.wait(300)
    kill(victim.pid or 0)
    victim.join()
    (left,) = cache.glob(".*.partial")
    return left


def test_a_killed_process_leaves_nothing_behind(
    model: ModelFolder, cache: Path, killed: Path
) -> None:
    assert digest_folder(str(unpack(packed(model), cache))) == model.digest
    assert not killed.exists()


def test_leftovers_of_other_models_go_too(
    model: ModelFolder, cache: Path, killed: Path, tmp_path: Path
) -> None:
    other = replace(packed(model), digest="f" * 64)
    assert unpack(other, cache).name == "f" * 64
    assert not killed.exists()
