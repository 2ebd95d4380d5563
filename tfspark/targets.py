"""Whether a target may be written: never over what is read, nor over others' files."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable

from tfspark import storage
from tfspark.errors import ConfigError, StorageError
from tfspark.rowgroups import footers
from tfspark.tablenames import delta_around, is_delta
from tfspark.wording import say

GLOB = re.compile(r"[*?\[{]")
# Of scored tables and of quarantines; Delta's own names for columns of special characters.
_OURS = {"run_id"}
_MAPPED = re.compile(r"col-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def refuse_overlap(target: str, sources: Iterable[str], option: str) -> None:
    """Refuse a target that is a source, or lies inside or around one.

    Args:
        target: a path.
        sources: paths, also globs.
        option: how the target is named, for the message.

    Raises:
        ConfigError: it is.
    """
    for source in sources:
        if overlap(target, source):
            raise ConfigError(say("target_source", target=target, source=source, option=option))


def overlap(target: str, source: str) -> bool:
    """Whether a path is one that is read, or lies inside or around it."""
    for one in _places(target):
        for other in _places(_fixed(source)):
            if _inside(other, one):
                return True
            if not GLOB.search(source):
                if _inside(one, other):
                    return True
            elif _inside(one, other) and _matches(one[len(other) :], source):
                return True
    return False


def refuse_foreign(target: str, option: str) -> None:
    """Refuse a folder that is no Delta table and holds files that no run of ours left there.

    Raises:
        ConfigError: it does; or it is no folder.
    """
    if target.startswith("file:") and re.search("[#?%]", target):
        raise ConfigError(say("target_uri", target=target, option=option))
    if around := delta_around(target):
        raise ConfigError(say("target_in_delta", target=target, table=around, option=option))
    if not storage.exists(target) or is_delta(target):
        return
    if not storage.is_dir(target):
        raise ConfigError(say("target_file", target=target, option=option))
    files = [name for name, _ in storage.files(target)]
    for name in files:
        if any(part.startswith(("_", ".")) for part in name.split("/")):
            continue
        if not name.endswith(".parquet") or not _is_ours(storage.join(target, name)):
            raise ConfigError(say("target_foreign", target=target, file=name, option=option))


def refuse_others(target: str, option: str = "TARGET") -> None:
    """Refuse a folder that holds files at all, or lies in a Delta table.

    Raises:
        ConfigError: it does.
    """
    around = target if is_delta(target) else delta_around(target)
    if around is not None:
        raise ConfigError(say("target_in_delta", target=target, table=around, option=option))
    for name, _ in storage.files(target) if storage.is_dir(target) else ():
        if not any(part.startswith(("_", ".")) for part in name.split("/")):
            raise ConfigError(say("target_foreign", target=target, file=name, option=option))


def _is_ours(path: str) -> bool:
    """Whether a killed run of ours, or one that still runs, wrote a Parquet file."""
    try:
        names = footers([path], [])[0].schema.names
    except StorageError:
        return True  # it was cut off
    return set(names) >= _OURS or (bool(names) and all(map(_MAPPED.fullmatch, names)))


def _fixed(source: str) -> str:
    """The folders of a glob that it names as they are."""
    if not GLOB.search(source):
        return source
    parts = source.split("/")
    number = next(i for i, part in enumerate(parts) if GLOB.search(part))
    return "/".join(parts[:number]) or ("/" if source.startswith("/") else ".")


def _places(path: str) -> set[str]:
    """Where a path leads: of a `file:` URI also what Spark takes it for."""
    place = storage.parse(path)
    if not place.is_local:
        rest = posixpath.normpath(f"{place.authority}/{place.key.lstrip('/')}")
        return {f"{place.scheme}://{rest}"}
    places = {place.key}
    if path.startswith("file:"):
        places.add("/" + path.removeprefix("file:").lstrip("/"))
    return {os.path.realpath(place) for place in places}


def _inside(one: str, other: str) -> bool:
    """Whether a place is the other, or lies in it."""
    return one == other or one.startswith(other.rstrip("/") + "/")


def _matches(below: str, source: str) -> bool:
    """Whether what lies below a glob's fixed folders is, or lies in, what the glob names."""
    parts = source.split("/")
    number = next(i for i, part in enumerate(parts) if GLOB.search(part))
    patterns, names = [p for p in parts[number:] if p], below.strip("/").split("/")
    return len(names) >= len(patterns) and all(
        _pattern(pattern).fullmatch(name) for pattern, name in zip(patterns, names, strict=False)
    )


def _pattern(glob: str) -> re.Pattern[str]:
    """A part of a glob of Hadoop's: `*`, `?`, `[a-z]`, `{a,b}`."""
    made, depth = "", 0
    for part in re.findall(r"\[[^\]]+\]|\\.|.", glob):
        if part in ("*", "?"):
            made += {"*": ".*", "?": "."}[part]
        elif part == "{" or (part in ",}" and depth):
            depth += {"{": 1, "}": -1}.get(part, 0)
            made += {"{": "(?:", ",": "|", "}": ")"}[part]
        elif part.startswith("[") and len(part) > 2:
            made += "[" + re.escape(part[1:-1]).replace(r"\-", "-").replace(r"\^", "^") + "]"
        else:
            made += re.escape(part.removeprefix("\\"))
    return re.compile(made if not depth else re.escape(glob))
