"""An environment as an archive that runs on any machine with a Python 3.11."""

import hashlib
import os
import re
import struct
import tarfile
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

# PYTHONUSERBASE, because it needs no path written into the archive: the machine's own Python
# takes its "user" packages from here, after Spark's PYTHONPATH and before the system's.
LAUNCHER = """\
#!/bin/sh
# A Python 3.11 of this machine (TFSPARK_BASE_PYTHON, or the first in PATH) with the packages here.
here=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
probe='import sys; print(sys._base_executable if sys.version_info[:2] == (3, 11) else "")'
for name in "${TFSPARK_BASE_PYTHON:-}" python3.11 \\
    /usr/bin/python3.11 /usr/local/bin/python3.11 python3; do
  [ -n "$name" ] || continue
  # The base of a virtual environment: inside one, Python ignores PYTHONUSERBASE.
  base=$(PYTHONPATH= "$name" -S -c "$probe" 2>/dev/null)
  [ -n "$base" ] && break
done
if [ -z "$base" ]; then
  echo "$0: no Python 3.11 on $(hostname): install it, or set TFSPARK_BASE_PYTHON to its path" >&2
  exit 127
fi
unset PYTHONHOME PYTHONNOUSERSITE
export PYTHONUSERBASE="$here"
exec "$base" "$@"
"""
# Compilers' headers, tests, and what pip leaves for itself.
LEFT_OUT = re.compile(
    r"(^|/)__pycache__(/|$)|\.pyc$|\.pyi$"
    r"|site-packages/(bin|share|include|clang)(/|$)"
    r"|site-packages/(tensorflow|pyarrow)/include(/|$)"
    r"|site-packages/(pyarrow|pandas|sklearn)/tests(/|$)"
    r"|site-packages/(numpy|scipy)/.*/tests(/|$)|site-packages/[.]lock$"
)
CHUNK = 4 * 1024 * 1024


def key(*files: Path) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def write_launcher(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(LAUNCHER, encoding="utf-8")
    path.chmod(0o755)
    (path.parent / "python3").symlink_to("python")


def members(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if not LEFT_OUT.search(path.relative_to(folder).as_posix()):
            yield path


def pack(folder: Path, target: Path) -> None:
    """A .tar.gz of the folder's content, compressed on every core."""
    with (
        target.open("wb") as file,
        ParallelGzip(file) as compressed,
        tarfile.open(fileobj=compressed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in members(folder):
            name = path.relative_to(folder).as_posix()
            archive.add(path, name, recursive=False, filter=_nobody)


def _nobody(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


class ParallelGzip:
    """One gzip member from pieces that threads deflate (zlib lets go of the interpreter)."""

    def __init__(self, file: BinaryIO, level: int = 1) -> None:
        self.file, self.level = file, level
        self.buffer = bytearray()
        self.crc = self.size = 0
        self.cores = os.cpu_count() or 1
        self.pool = ThreadPoolExecutor(self.cores)
        self.pending: deque[Future[bytes]] = deque()
        file.write(b"\x1f\x8b\x08" + bytes(7))

    def write(self, data: bytes) -> int:
        self.crc = zlib.crc32(data, self.crc)
        self.size += len(data)
        self.buffer += data
        if len(self.buffer) >= CHUNK:
            self._submit(zlib.Z_SYNC_FLUSH)
        return len(data)

    def _submit(self, flush: int) -> None:
        piece, self.buffer = bytes(self.buffer), bytearray()
        self.pending.append(self.pool.submit(self._deflate, piece, flush))
        while len(self.pending) > 2 * self.cores:
            self.file.write(self.pending.popleft().result())

    def _deflate(self, piece: bytes, flush: int) -> bytes:
        deflate = zlib.compressobj(self.level, zlib.DEFLATED, -zlib.MAX_WBITS)
        return deflate.compress(piece) + deflate.flush(flush)

    def __enter__(self) -> "ParallelGzip":
        return self

    def __exit__(self, *_: object) -> None:
        self._submit(zlib.Z_FINISH)
        for piece in self.pending:
            self.file.write(piece.result())
        self.pool.shutdown()
        self.file.write(struct.pack("<II", self.crc, self.size & 0xFFFFFFFF))
