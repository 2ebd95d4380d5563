"""What a process reads while it opens and runs a model: the system and Python's packages."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

_DEVICES = ("null", "zero", "random", "urandom")
_SYSTEM = (
    *("/usr", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/localtime"),
    *("/sys/devices/system/cpu", "/sys/devices/system/node"),
    # Of a process no more: its variables may hold secrets. TensorFlow ends one whose command line
    # it cannot read.
    *("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/self/cmdline", "/proc/self/status"),
)
_OF_GPUS = ("/proc/driver/nvidia", "/sys/bus/pci", "/sys/devices", "/sys/module/nvidia")


def devices(gpu: bool) -> list[Path]:
    """Devices that may be opened for reading and writing."""
    folder = Path("/dev")
    return [*map(folder.joinpath, _DEVICES), *(folder.glob("nvidia*") if gpu else ())]


def readable(gpu: bool) -> list[Path]:
    """Files, and folders with all below.

    A folder of Python's path that holds more than packages, such as the one where a job was
    started, is left out; of it only packages that are in use can be read.
    """
    whole = {Path(path) for path in (*_SYSTEM, *(_OF_GPUS if gpu else ()))}
    whole |= {Path(prefix) for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix)}
    whole |= {Path(path) for path in sys.path if path and _packages(Path(path))}
    whole |= set(map(Path, os.environ.get("LD_LIBRARY_PATH", "").split(":")))
    whole = {path for path in whole if path.is_absolute() and path != Path("/")}
    return [*whole, *(p for p in _loaded() if whole.isdisjoint((p, *p.parents)))]


def _packages(path: Path) -> bool:
    """Whether a place of Python's path is an archive, or a folder that packages are put into."""
    return path.is_file() or any(path.glob("*.dist-info"))


def _loaded() -> Iterator[Path]:
    for name, module in list(sys.modules.items()):
        if "." not in name and isinstance(module, ModuleType):
            # Not by `getattr`, for which some modules import others.
            yield from map(Path, vars(module).get("__path__", ()))
