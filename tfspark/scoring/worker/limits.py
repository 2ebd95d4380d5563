"""How much memory a process may take for models: more fails in the model, and not in others."""

from __future__ import annotations

import re
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_STATUS = Path("/proc/self/status")
_MACHINE = Path("/proc/meminfo")
_CGROUPS = Path("/sys/fs/cgroup")


def limit_memory(given: int, heap: int, hard: bool = False) -> None:
    """Limit what this process may allocate from now on.

    Args:
        given: bytes; 0: what the machine, or the container, has beside Java's heap, and at least
            half of what it has.
        heap: bytes of Java's heap; 0: none, so there is no limit if none is given.
        hard: for good; if not, code of this process may raise the limit again.
    """
    address_space, _ = resource.getrlimit(resource.RLIMIT_AS)
    if not given and (not heap or address_space != resource.RLIM_INFINITY):
        return  # spark.executor.pyspark.memory is the limit
    total = _total()
    allowed = _allocated() + (given or max(total - heap, total // 2))
    soft, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = min([allowed, *(n for n in (soft, most) if n != resource.RLIM_INFINITY)])
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit if hard else most))


def bytes_of(text: str) -> int:
    """A size as Spark writes it for memory: `2g`, `700m`, `1024` (MiB)."""
    found = re.fullmatch(r"\s*(\d+)\s*([kmgtp]?)(b?)\s*", text.lower())
    if not found:
        return 0
    unit = found[2] or ("" if found[3] else "m")
    return int(found[1]) << 10 * ["", *"kmgtp"].index(unit)


def _allocated() -> int:
    return _kib(_STATUS, "VmData")


def _total() -> int:
    """Bytes of memory that the container of this process has, else the machine."""
    return min(_kib(_MACHINE, "MemTotal"), *_of_groups())


def _kib(file: Path, name: str) -> int:
    found = re.search(rf"^{name}:\s*(\d+) kB", file.read_text(), re.M)
    return int(found[1]) << 10 if found else 0


def _of_groups() -> Iterator[int]:
    yield 1 << 62
    with suppress(OSError, ValueError):
        own = Path("/proc/self/cgroup").read_text().strip().rpartition("::")[2].strip("/")
        for folder in (_CGROUPS / own, *(_CGROUPS / own).parents):
            if folder.is_relative_to(_CGROUPS):
                yield from _limit(folder / "memory.max")
    yield from _limit(_CGROUPS / "memory" / "memory.limit_in_bytes")


def _limit(file: Path) -> Iterator[int]:
    with suppress(OSError, ValueError):  # there is none; `max`
        yield int(file.read_text())
