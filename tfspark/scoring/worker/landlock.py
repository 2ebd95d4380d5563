"""Landlock: the kernel keeps a thread, and all that it starts, from files that are not named.

No privilege is needed, and nothing gives back what was given up. The numbers are those of
`linux/landlock.h`; what a kernel does not know yet is left out.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_GET_VERSION, _PATH_BENEATH = 1, 1
_NO_NEW_PRIVILEGES = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE, _IOCTL_DEVICE = 1 << 14, 1 << 15
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_DEVICE = _READ_FILE | _WRITE_FILE | _TRUNCATE | _IOCTL_DEVICE
_OF_A_FILE = _EXECUTE | _DEVICE
# Rights by the version that first knew them.
_FILES = ((1, 0x1FFF), (2, 1 << 13), (3, _TRUNCATE), (5, _IOCTL_DEVICE))
_NETWORK = ((4, 0b11),)  # bind and connect of TCP
_SCOPES = ((6, 0b11),)  # sockets without a file, signals: none beyond this wall

_libc = ctypes.CDLL(None, use_errno=True)
_kept: list[int] = []


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scopes", ctypes.c_uint64),
    )


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """What the kernel knows of Landlock; 0: nothing, or it may not be used here."""
    if sys.platform != "linux":
        return 0
    return max(0, _call(_CREATE_RULESET, None, 0, _GET_VERSION))


def restrict(read: Iterable[Path], devices: Iterable[Path]) -> None:
    """Leave this thread files to read, and devices to use; paths that are not there are left out.

    Args:
        read: files, and folders with all below.

    Raises:
        OSError: the kernel refuses.
    """
    known = version()
    handled = _known(_FILES, known)
    asked = _Ruleset(handled, _known(_NETWORK, known), _known(_SCOPES, known))
    rules = _must(_call(_CREATE_RULESET, ctypes.byref(asked), ctypes.sizeof(asked), 0))
    try:
        for paths, rights in ((read, _READ), (devices, _DEVICE)):
            for path in paths:
                _allow(rules, path, rights & handled)
        give_up_privileges()
        _must(_call(_RESTRICT_SELF, rules, 0))
    finally:
        os.close(rules)


def give_up_privileges() -> None:
    """What a thread without privileges has to do first: programs that it starts gain none.

    Raises:
        OSError: the kernel refuses.
    """
    _must(_libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))


def _allow(rules: int, path: Path, rights: int) -> None:
    try:
        file = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not path.is_dir():
            rights &= _OF_A_FILE
        rule = _Beneath(rights, file)
        _must(_call(_ADD_RULE, rules, _PATH_BENEATH, ctypes.byref(rule), 0))
    finally:
        if path.is_relative_to("/proc"):  # its files are made anew once nobody has them open
            _kept.append(file)
        else:
            os.close(file)


def _known(rights: Iterable[tuple[int, int]], version: int) -> int:
    return sum(bits for since, bits in rights if since <= version)


def _call(number: int, *arguments: object) -> int:
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *given)
    return result


def _must(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"Landlock: {os.strerror(code)}")
    return result
