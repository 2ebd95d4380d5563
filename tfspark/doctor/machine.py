"""The machine: processor, memory, disk, temporary folders, its name, the wall."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tfspark.doctor.child import ChildError, ask
from tfspark.doctor.finding import Finding

_GIB = 2**30
_SHOWN = ("avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")
_GROUP = Path("/sys/fs/cgroup")
PROC = Path("/proc")


def processor() -> Iterator[Finding]:
    """Cores, and the instructions that TensorFlow's packages need."""
    cores = len(os.sched_getaffinity(0))
    quota = _text(_GROUP / "cpu.max").split()
    said = f"{cores} cores"
    if len(quota) == 2 and quota[0] != "max":
        said += f", of which the container may use {int(quota[0]) / int(quota[1]):g}"
    machine = platform.machine()
    lines = _text(PROC / "cpuinfo").splitlines()
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    there = [flag for flag in _SHOWN if flag in flags]
    said += f", {machine}" + (f" with {', '.join(there)}" if there else "")
    if machine not in ("x86_64", "AMD64"):
        yield Finding("processor", "look", said, "tfspark is tested on Linux x86-64 alone")
    elif flags and "avx" not in flags:
        todo = "TensorFlow's packages need AVX: take another machine (docs/setup.md)"
        yield Finding("processor", "bad", said, todo)
    else:
        yield Finding("processor", "ok", said)


def memory() -> Iterator[Finding]:
    """What is free, and what a container allows."""
    lines = (line.split() for line in _text(PROC / "meminfo").splitlines())
    known = {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) > 1}
    total, free = known["MemTotal"], known["MemAvailable"]
    said = f"{free / _GIB:.1f} GiB free of {total / _GIB:.1f}"
    limit, used = _text(_GROUP / "memory.max"), _text(_GROUP / "memory.current")
    if limit.isdigit() and int(limit) < total:
        free = min(free, int(limit) - int(used or 0))
        said += f"; the container may have {int(limit) / _GIB:.1f} GiB"
    if free < 4 * _GIB:
        todo = "close other programs; a job of one machine wants 4 GiB (spark.driver.memory: 2g)"
        yield Finding("memory", "bad" if free < _GIB else "look", said, todo)
    else:
        yield Finding("memory", "ok", said)


def folders() -> Iterator[Finding]:
    """Temporary folders and the cache of models: whether they can be used, and have room."""
    temp = Path(tempfile.gettempdir())
    places = {"temporary folder": temp, "this folder": Path.cwd()}
    local = os.environ.get("SPARK_LOCAL_DIRS", "")
    places |= {
        f"SPARK_LOCAL_DIRS {n}": Path(one) for n, one in enumerate(local.split(","), 1) if one
    }
    for name, place in places.items():
        yield _folder(name, place, name == "temporary folder")
    yield from _cache()


def _folder(name: str, place: Path, runs: bool) -> Finding:
    variable = name.split()[0] if name.startswith("SPARK") else "TMPDIR"
    todo = "" if name == "this folder" else f"export {variable}=/another/folder"
    try:
        free = shutil.disk_usage(place).free
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        return Finding(name, "bad", f"{place}: {error.strerror or error}", todo or "chmod u+w .")
    said = f"{place}, {free / _GIB:.1f} GiB free"
    if runs and os.statvfs(place).f_flag & os.ST_NOEXEC:
        return Finding(name, "bad", f"{said}, no program may run in it (noexec)", todo)
    if free < 5 * _GIB:
        more = "make room: tfspark cache clean, old versions in warehouse/"
        return Finding(name, "bad" if free < _GIB / 2 else "look", said, more)
    return Finding(name, "ok", said)


def _cache() -> Iterator[Finding]:
    from tfspark.errors import StorageError
    from tfspark.scoring.model.pack import cache_folder

    try:
        yield Finding("cache of models", "ok", str(cache_folder()))
    except StorageError as error:
        todo = "export TFSPARK_MODEL_CACHE=~/.cache/tfspark-models"
        yield Finding("cache of models", "bad", str(error), todo)


def limits() -> Iterator[Finding]:
    """Open files, and the machine's own name, which Spark asks for."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    known = 0 <= most < 1024
    yield Finding(
        "open files",
        "look" if known else "ok",
        f"at most {most:,}" if most >= 0 else "no limit",
        "ulimit -n 4096" if known else "",
    )
    if os.environ.get("SPARK_LOCAL_IP"):
        yield Finding("own name", "ok", "not asked for: SPARK_LOCAL_IP is set")
        return
    try:
        yield Finding("own name", "ok", f"{platform.node()} is {ask('host', 5)['address']}")
    except ChildError:
        said = f"nobody knows the address of {platform.node()}: Spark does not start"
        yield Finding("own name", "bad", said, "export SPARK_LOCAL_IP=127.0.0.1")


def wall() -> Iterator[Finding]:
    """Whether models are opened behind a wall."""
    found = ask("wall", 20)
    if not found["missing"]:
        said = f"whole: Landlock {found['landlock']}, seccomp"
        yield Finding("wall around models", "ok", said)
        return
    todo = "score only models that you trust, or take Linux 5.13 or newer (docs/security.md)"
    yield Finding("wall around models", "look", "; ".join(found["missing"]), todo)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
