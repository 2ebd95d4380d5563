"""seccomp: calls that the kernel refuses to a thread, and to all that it starts.

A model computes. It needs no sockets, starts no programs, looks into no other process, and does
not hand its calls to io_uring, whose calls no filter sees.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from dataclasses import dataclass

from tfspark.scoring.worker.landlock import give_up_privileges

_SET_MODE_FILTER = 1
_ALLOW_SPECULATION = 1 << 2
"""Older kernels slow down a thread with a filter, against attacks of its own code on itself."""

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # of classic BPF
_NUMBER, _MACHINE = 0, 4  # where `struct seccomp_data` has them
_GO_ON, _REFUSE = 0x7FFF0000, 0x00050001  # SECCOMP_RET_ALLOW; SECCOMP_RET_ERRNO with EPERM
_FOREIGN = 0x40000000  # calls of x86-64's second numbering


@dataclass(frozen=True)
class _Calls:
    """Numbers of a kind of machine: its own, of `seccomp`, and of what is refused."""

    machine: int
    seccomp: int
    refused: tuple[int, ...]


# socket, execve, execveat, ptrace, process_vm_readv, process_vm_writev, io_uring_setup
_MACHINES = {
    "x86_64": _Calls(0xC000003E, 317, (41, 59, 322, 101, 310, 311, 425)),
    "aarch64": _Calls(0xC00000B7, 277, (198, 221, 281, 117, 270, 271, 425)),
}


class _Step(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("then", ctypes.c_uint8),
        ("otherwise", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("steps", ctypes.POINTER(_Step)))


_libc = ctypes.CDLL(None, use_errno=True)


def restrict() -> None:
    """Refuse the calls to this thread: they fail with EPERM.

    Raises:
        OSError: the kernel has no filters, or refuses this one.
    """
    calls = _MACHINES.get(platform.machine())
    if calls is None or sys.platform != "linux" or sys.maxsize < 2**32:
        raise OSError(f"seccomp: no list of calls for {sys.platform} on {platform.machine()}")
    give_up_privileges()
    steps = _steps(calls)
    program = _Program(len(steps), (_Step * len(steps))(*steps))
    given = (ctypes.c_long(_SET_MODE_FILTER), ctypes.c_long(_ALLOW_SPECULATION))
    if _libc.syscall(ctypes.c_long(calls.seccomp), *given, ctypes.byref(program)) < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"seccomp: {os.strerror(code)}")


def _steps(calls: _Calls) -> list[_Step]:
    """Whether a call is refused: the last step but one lets it be, the last one does not."""
    tests = [(_AT_LEAST, _FOREIGN), *((_EQUAL, number) for number in calls.refused)]
    steps = [
        _Step(_LOAD, 0, 0, _MACHINE),
        _Step(_EQUAL, 0, len(tests) + 2, calls.machine),
        _Step(_LOAD, 0, 0, _NUMBER),
    ]
    for place, (test, value) in enumerate(tests):
        steps.append(_Step(test, len(tests) - place, 0, value))
    return [*steps, _Step(_RETURN, 0, 0, _GO_ON), _Step(_RETURN, 0, 0, _REFUSE)]
