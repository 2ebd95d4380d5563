"""A model's folder as bytes that travel with a Spark job, and back to a folder on every machine.

The files are laid end to end in the order of their names and cut in pieces, each its own
broadcast: no piece is near the 2 GB that a broadcast may have, and executors fetch them from each
other. A machine unpacks a model once, under a lock, into

    <cache>/<digest>/...      cache: TFSPARK_MODEL_CACHE, else <temp>/tfspark-<uid>/models

which is its user's alone. A process that is killed while it unpacks leaves a folder that no reader
sees and the next one removes. What is removed otherwise, and when, is `cache.py`'s.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from tfspark import storage
from tfspark.errors import ConfigError, IntegrityError, StorageError
from tfspark.registry.manifest import digest_folder
from tfspark.registry.resolve import ModelFolder
from tfspark.scoring.model import cache as models

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PIECE_BYTES = 64 << 20
CACHE_VARIABLE = "TFSPARK_MODEL_CACHE"
BUDGET_VARIABLE = "TFSPARK_MODEL_CACHE_BYTES"
_BUDGET = 2 << 30

_sent: dict[tuple[str, str], Packed] = {}


@dataclass(frozen=True)
class Packed:
    """A model on its way: what is in it, and the broadcasts that hold it.

    Attributes:
        model: what the user called it, for messages.
        digest: digest of the files.
        files: (path, bytes, sha256), sorted.
        pieces: broadcasts of bytes; joined they are the files end to end.
    """

    model: str
    digest: str
    files: tuple[tuple[str, int, str], ...]
    pieces: tuple[Any, ...]


def broadcast(spark: SparkSession, model: ModelFolder) -> Packed:
    """Send a model to the executors of a session; one that was sent before is not sent again."""
    context = spark.sparkContext
    key = (str(context.applicationId), model.digest)
    if key not in _sent:
        for old in [other for other in _sent if other[0] != key[0]]:
            del _sent[old]  # of a session that has ended
        pieces = tuple(context.broadcast(piece) for piece in cut(model))
        _sent[key] = Packed(model.path, model.digest, listed(model), pieces)
    return _sent[key]


@dataclass(frozen=True)
class _Piece:
    """What is a broadcast where Spark is."""

    value: bytes


def packed_of(model: ModelFolder) -> Packed:
    """The files of a model, held by this process."""
    pieces = tuple(_Piece(content) for content in cut(model))
    return Packed(model.path, model.digest, listed(model), pieces)


def listed(model: ModelFolder) -> tuple[tuple[str, int, str], ...]:
    """(path, bytes, sha256) of a model's files, sorted."""
    files = sorted(model.files.items())
    return tuple((path, int(entry["bytes"]), str(entry["sha256"])) for path, entry in files)


def cut(model: ModelFolder, size: int = PIECE_BYTES) -> Iterator[bytes]:
    """The files of a model end to end, in pieces; the same files give the same pieces.

    Raises:
        IntegrityError: a file is not the one that was verified before.
    """
    piece = bytearray()
    for path, entry in sorted(model.files.items()):
        fs, inner = storage.filesystem(storage.join(model.path, path))
        digest = hashlib.sha256()
        with fs.open_input_stream(inner) as stream:
            while content := stream.read(size - len(piece)):
                digest.update(content)
                piece += content
                if len(piece) == size:
                    yield bytes(piece)
                    piece.clear()
        if digest.hexdigest() != entry["sha256"]:
            raise IntegrityError(
                f"model {model.path}: {path} was changed while it was read; score again when "
                "nobody writes to the folder"
            )
    if piece:
        yield bytes(piece)


def unpack(packed: Packed, cache: Path | None = None) -> Path:
    """The folder of a model on this machine; unpacked now if no process did it before.

    It stays as long as this process lives, and may be removed after that.

    Raises:
        IntegrityError: a piece or a file is not what was sent.
        StorageError: the cache cannot be used.
        ConfigError: its budget is not a number of bytes.
    """
    root = cache_folder() if cache is None else cache
    budget = cache_budget()
    folder = root / packed.digest
    try:
        models.hold(str(root), packed.digest)
        if not _complete(folder, packed):
            with _lock(root, packed.digest):
                if not _complete(folder, packed):
                    _unpack_within(budget, root, packed)
    except OSError as error:
        models.release(str(root), packed.digest)
        raise StorageError(
            f"model {packed.model}: cannot be unpacked into {root}: {error}; free some "
            f"space, or name another folder in {CACHE_VARIABLE}"
        ) from error
    except BaseException:
        models.release(str(root), packed.digest)
        raise
    return folder


def repair(packed: Packed, cache: Path | None = None) -> bool:
    """Unpack a model again if its files on this machine are not those that were sent.

    Returns:
        Whether they were not.

    Raises:
        IntegrityError, StorageError: as `unpack`.
    """
    root = cache_folder() if cache is None else cache
    try:
        with _lock(root, packed.digest):
            if digest_folder(str(root / packed.digest)) == packed.digest:
                return False
            _unpack_within(cache_budget(), root, packed)
    except OSError as error:
        raise StorageError(f"model {packed.model}: cannot be unpacked again: {error}") from error
    return True


def _unpack_within(budget: int, root: Path, packed: Packed) -> None:
    """Unpack, and keep the cache within its budget: what is in use above it goes after its use."""
    folder = root / packed.digest
    for partial in root.glob(f".{packed.digest}-*.partial"):  # its process was killed
        shutil.rmtree(partial, ignore_errors=True)
    size = sum(size for _, size, _ in packed.files)
    left, _ = models.sweep(str(root), budget - size)
    watched = left + size > budget
    if watched:  # before there is anything to remove: this process may be killed on the way
        models.sweep_later(str(root), packed.digest, budget)
    partial = root / f".{packed.digest}-{uuid.uuid4().hex}.partial"
    try:
        _write(partial, packed)
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    # Two that unpack at once see each other here at the latest.
    if not watched and models.sweep(str(root), budget)[0] > budget:
        models.sweep_later(str(root), packed.digest, budget)


def cache_budget() -> int:
    """Bytes of models that may stay on a machine while nobody uses them.

    Raises:
        ConfigError: the setting is not such a number.
    """
    given = os.environ.get(BUDGET_VARIABLE, str(_BUDGET))
    if not given.isdecimal():
        raise ConfigError(f"{BUDGET_VARIABLE}={given!r}: give a number of bytes, such as {_BUDGET}")
    return int(given)


def cache_folder() -> Path:
    """The machine's folder of unpacked models; made if it is not there.

    Raises:
        StorageError: others could write to it.
    """
    named = os.environ.get(CACHE_VARIABLE)
    mine = Path(tempfile.gettempdir()) / f"tfspark-{os.getuid()}"
    return storage.private_folder(Path(named) if named else mine / "models", CACHE_VARIABLE)


def _write(folder: Path, packed: Packed) -> None:
    pieces = _Stream(packed.pieces)
    for path, size, sha256 in packed.files:
        target = folder / _inside(path)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        digest, left = hashlib.sha256(), size
        with target.open("xb") as file:
            while left:
                content = pieces.read(left)
                if not content:
                    raise IntegrityError(f"model {packed.model}: arrived cut off in {path}")
                digest.update(content)
                file.write(content)
                left -= len(content)
                del content  # or a piece is held while the next one is read
        if digest.hexdigest() != sha256:
            raise IntegrityError(f"model {packed.model}: {path} arrived changed; run again")
    if pieces.read(1):
        raise IntegrityError(f"model {packed.model}: more arrived than was sent")


class _Stream:
    """Broadcast pieces read as one stream; a piece is let go when it is read."""

    def __init__(self, pieces: tuple[Any, ...]) -> None:
        self._pieces = iter(pieces)
        self._current = memoryview(b"")

    def read(self, most: int) -> memoryview:
        while not self._current:
            piece = next(self._pieces, None)
            self._current = memoryview(b"")
            if piece is None:
                return self._current
            self._current = memoryview(piece.value)
            if getattr(piece, "_path", None):  # Spark reads it from its file again when asked
                vars(piece).pop("_value", None)
        head, self._current = self._current[:most], self._current[most:]
        return head


def _inside(path: str) -> Path:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path or "\\" in path:
        raise IntegrityError(f"model file {path!r} would lie outside the model's folder")
    return Path(*parts)


def _complete(folder: Path, packed: Packed) -> bool:
    """Whether all files are there in full: cleaners of temporary folders take single files."""
    try:
        return all((folder / _inside(p)).stat().st_size == size for p, size, _ in packed.files)
    except OSError:
        return False


def loaded(digest: str, pid: int | None = None) -> None:
    """Note that a process has opened a model: people and tests count loads by the lines."""
    with (cache_folder() / f"{digest}.loads").open("a") as log:
        log.write(f"{pid or os.getpid()} {digest}\n")


@contextmanager
def _lock(root: Path, digest: str) -> Iterator[None]:
    """The machine's lock on unpacking one digest; the lease, held meanwhile, keeps its file."""
    with (root / f"{digest}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
