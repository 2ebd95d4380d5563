"""Which task of a stage becomes which rank. Pure logic."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any


@dataclass(frozen=True)
class Place:
    """Where a task of the stage runs.

    Attributes:
        task: its number in the stage.
        host: IPv4 address of its machine.
        cores: cores that it may use.
        gpus: addresses that Spark gave it.
        cpus: `spark.task.cpus`, if it was set.
    """

    task: int
    host: str
    cores: tuple[int, ...] = ()
    gpus: tuple[str, ...] = ()
    cpus: int | None = None


@dataclass(frozen=True)
class Slot:
    """A rank's numbers, in Horovod's words: local is within a host, cross is over hosts."""

    rank: int
    size: int
    local_rank: int
    local_size: int
    cross_rank: int
    cross_size: int


def assign(places: Iterable[Place]) -> list[tuple[Place, Slot]]:
    """Ranks in the order of hosts' addresses, so that those of a host are neighbours.

    The same hosts with the same number of tasks get the same ranks in every attempt.
    """
    ordered = sorted(places, key=lambda place: (IPv4Address(place.host), place.task))
    sizes = local_sizes(ordered)
    assigned = []
    local = dict.fromkeys(sizes, 0)
    for rank, place in enumerate(ordered):
        number = local[place.host]
        local[place.host] += 1
        across = [host for host, count in sizes.items() if count > number]
        cross = across.index(place.host), len(across)
        assigned.append((place, Slot(rank, len(ordered), number, sizes[place.host], *cross)))
    return assigned


def local_sizes(ordered: Iterable[Place]) -> dict[str, int]:
    """Ranks of each host, in the order of ranks."""
    sizes: dict[str, int] = {}
    for place in ordered:
        sizes[place.host] = sizes.get(place.host, 0) + 1
    return sizes


def share(place: Place, slot: Slot, threads: int | None, pin: bool) -> dict[str, Any]:
    """A rank's `threads`, and the `cores` to bind it to: none where it has the host to itself."""
    each = max(1, len(place.cores) // slot.local_size)
    first = slot.local_rank * each
    bind = pin and slot.local_size > 1 and len(place.cores) >= slot.local_size
    cores = list(place.cores[first : first + each]) if bind else []
    return {"threads": threads or place.cpus or each, "cores": cores}
