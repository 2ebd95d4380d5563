"""Writes with a condition: of a file that is not there yet, or still is the one that was read."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress

from tfspark.errors import StorageError
from tfspark.storage import hdfs, objects
from tfspark.storage.failures import told
from tfspark.storage.files import exists, filesystem, partial, read_bytes, write_bytes
from tfspark.storage.place import parse


def write_new(path: str, content: bytes) -> None:
    """Write a whole file where there is none.

    Raises:
        FileExistsError: there is one.
    """
    place = parse(path)
    with told("write", path):
        try:
            if place.is_objects:
                objects.put_new(place, content)
                return
            fs, inner = filesystem(path)
            beside = partial(fs, inner, content)
            try:
                if place.is_local:
                    os.link(beside, inner)  # unlike a rename, it never replaces
                else:
                    hdfs.rename(place.authority, beside, inner)
            finally:
                with suppress(OSError):
                    fs.delete_file(beside)
        except FileExistsError as error:
            there = error
        else:
            return
    raise FileExistsError(path) from there


def read_version(path: str) -> tuple[bytes, str] | None:
    """A file's bytes, and what `write_over` knows them by; None: there is none."""
    place = parse(path)
    with told("read", path):
        try:
            if place.is_objects:
                content, version = objects.read(place)
                return content, version or ""
            content = read_bytes(path)
            return content, hashlib.sha256(content).hexdigest()
        except (FileNotFoundError, StorageError):
            if exists(path):
                raise
            return None


def write_over(path: str, content: bytes, version: str | None) -> None:
    """Write a whole file if it is as it was read; None: if there is none.

    Only object stores compare: elsewhere the caller holds a lock (`locked`).

    Raises:
        FileExistsError: it is another one.
    """
    place = parse(path)
    if not place.is_objects:
        write_bytes(path, content)
    elif version is None:
        write_new(path, content)
    else:
        taken = False
        with told("write", path):
            try:
                objects.put_over(place, content, version)
            except FileExistsError:
                taken = True
        if taken:
            raise FileExistsError(path)
