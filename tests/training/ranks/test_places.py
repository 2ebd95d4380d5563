"""Ranks for tasks: the numbers are Horovod's own, cores and threads are shared out."""

from __future__ import annotations

import random
from dataclasses import asdict

from horovod.runner.common.util.hosts import HostInfo, get_host_assignments
from hypothesis import given
from hypothesis import strategies as st

from tfspark.training.ranks.places import Place, assign, local_sizes, share


@given(counts=st.lists(st.integers(1, 4), min_size=1, max_size=4), seed=st.integers())
def test_numbers_are_those_of_horovod(counts: list[int], seed: int) -> None:
    hosts = [f"10.0.0.{number + 9}" for number in range(len(counts))]  # 10.0.0.10 after 10.0.0.9
    tasks = [host for host, count in zip(hosts, counts, strict=True) for _ in range(count)]
    random.Random(seed).shuffle(tasks)
    assigned = assign(Place(number, host) for number, host in enumerate(tasks))
    sizes = local_sizes(place for place, _ in assigned)
    assert list(sizes.items()) == list(zip(hosts, counts, strict=True))
    theirs = get_host_assignments([HostInfo(*item) for item in sizes.items()], len(tasks))
    assert [{"hostname": p.host, **asdict(s)} for p, s in assigned] == [
        {name: getattr(slot, name) for name in ("hostname", *asdict(assigned[0][1]))}
        for slot in theirs
    ]


def test_ranks_of_a_host_get_cores_of_their_own() -> None:
    places = [Place(number, "10.0.0.1", cores=(0, 1, 2, 3, 4)) for number in range(2)]
    shares = [share(place, slot, None, pin=True) for place, slot in assign(places)]
    assert shares == [{"threads": 2, "cores": [0, 1]}, {"threads": 2, "cores": [2, 3]}]


def test_a_rank_alone_on_its_host_has_all_cores() -> None:
    places = [Place(number, f"10.0.0.{number}", cores=(0, 1, 2, 3)) for number in range(2)]
    for place, slot in assign(places):
        assert share(place, slot, None, pin=True) == {"threads": 4, "cores": []}


def test_what_was_asked_for_wins() -> None:
    places = [Place(number, "10.0.0.1", cores=(0, 1), cpus=3) for number in range(2)]
    (place, slot), _ = assign(places)
    assert share(place, slot, None, pin=False) == {"threads": 3, "cores": []}
    assert share(place, slot, 5, pin=True) == {"threads": 5, "cores": [0]}


def test_more_ranks_than_cores_are_not_bound() -> None:
    places = [Place(number, "10.0.0.1", cores=(0,)) for number in range(2)]
    for place, slot in assign(places):
        assert share(place, slot, None, pin=True) == {"threads": 1, "cores": []}
