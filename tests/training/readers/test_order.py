"""The order of rows, as a function: every property that readers and resuming rest on."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tfspark.training.readers.order import Order, Window

SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=8)
BATCH, SEED = st.integers(1, 30), st.integers(-3, 2**70)
RANKS = st.integers(1, 6)


def order_of(sizes: list[int], batch: int, seed: int, window: int) -> Order:
    return Order(sizes, batch, seed, window)


def rows_of(order: Order, cut: Window) -> list[int]:
    """A window's rows as numbers in file order."""
    begins = np.cumsum([0, *order.sizes[:-1]])
    run = np.concatenate([begins[part.block] + part.rows for part in cut.parts])
    return run[cut.index].tolist()


def steps_of(order: Order, epoch: int, rank: int, size: int) -> list[list[int]]:
    """The rows of a rank's steps of an epoch, without fillers."""
    steps: list[list[int]] = []
    for window in range(order.windows):
        cut = order.window(epoch, window, rank, size)
        rows = rows_of(order, cut)
        count = min(order.window_steps, order.steps - window * order.window_steps)
        assert len(rows) > (count - 1) * cut.step_rows
        assert len(rows) <= count * cut.step_rows
        kept = len(rows) - cut.fillers
        for step in range(count):
            steps.append(rows[step * cut.step_rows : min((step + 1) * cut.step_rows, kept)])
    return steps


@settings(max_examples=150, deadline=None)
@given(SIZES, BATCH, SEED, st.integers(0, 100), st.integers(0, 3), RANKS)
def test_every_row_once_in_full_batches(
    sizes: list[int], batch: int, seed: int, window: int, epoch: int, size: int
) -> None:
    order = order_of(sizes, batch, seed, window)
    ranks = [steps_of(order, epoch, rank, size) for rank in range(size)]
    assert {len(steps) for steps in ranks} == {order.steps}
    assert Counter(row for steps in ranks for step in steps for row in step) == Counter(
        range(sum(sizes))
    )
    for step in range(order.steps):
        counts = [len(steps[step]) for steps in ranks]
        assert sum(counts) == order.batch_rows(step)
        assert counts == [order.count(step, rank, size) for rank in range(size)]
        if order.batch_rows(step) == batch:
            assert max(counts) - min(counts) <= 1
        assert all(abs(count - order.batch_rows(step) / size) < 2 for count in counts)
    for rank, steps in enumerate(ranks):
        assert order.has_fillers(rank, size) == any(not step for step in steps)


@settings(max_examples=100, deadline=None)
@given(SIZES, BATCH, SEED, st.integers(0, 100), RANKS)
def test_global_batches_do_not_depend_on_the_number_of_ranks(
    sizes: list[int], batch: int, seed: int, window: int, size: int
) -> None:
    order = order_of(sizes, batch, seed, window)
    alone = steps_of(order, 1, 0, 1)
    ranks = [steps_of(order, 1, rank, size) for rank in range(size)]
    together = [[*chain(*parts)] for parts in zip(*ranks, strict=True)]
    assert together == alone


@settings(max_examples=100, deadline=None)
@given(SIZES, BATCH, st.integers(0, 100), RANKS, st.data())
def test_a_position_gives_what_follows_from_the_start(
    sizes: list[int], batch: int, window: int, size: int, data: Any
) -> None:
    order = order_of(sizes, batch, 0, window)
    number = data.draw(st.integers(0, order.windows - 1))
    rank = data.draw(st.integers(0, size - 1))
    whole = order.window(0, number, rank, size)
    steps = min(order.window_steps, order.steps - number * order.window_steps)
    skip = data.draw(st.integers(0, steps - 1))
    rest = order.window(0, number, rank, size, skip)
    assert rows_of(order, rest) == rows_of(order, whole)[skip * whole.step_rows :]
    assert rest.step_rows == whole.step_rows
    assert rest.fillers == min(whole.fillers, len(rest.index))


@settings(max_examples=100, deadline=None)
@given(SIZES, RANKS)
def test_file_order_is_split_into_runs(sizes: list[int], size: int) -> None:
    order = Order(sizes, 8)
    begins = np.cumsum([0, *sizes[:-1]])
    rows: list[int] = []
    for rank in range(size):
        parts = order.straight(order.rows * rank // size, order.rows * (rank + 1) // size)
        rows += [int(begins[part.block] + row) for part in parts for row in part.rows]
    assert rows == list(range(sum(sizes)))


def test_epochs_seeds_and_blocks_differ() -> None:
    def epoch(seed: int, number: int) -> list[list[int]]:
        return steps_of(Order([50, 50], 10, seed, 0), number, 0, 1)

    assert epoch(0, 0) == epoch(0, 0)
    assert len({str(epoch(seed, number)) for seed in (0, 1) for number in (0, 1)}) == 4
    [first, second] = Order([50, 50], 10, 0).parts(0, 0, 100)
    assert sorted([first.block, second.block]) == [0, 1]
    assert first.rows.tolist() != second.rows.tolist()


def test_without_shuffling_lanes_are_runs_of_the_file() -> None:
    order = Order([4, 8], 3, shuffle=False)
    assert steps_of(order, 5, 0, 1) == [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7, 11]]


def test_a_step_takes_rows_from_the_whole_window() -> None:
    order = Order([1000] * 10, 100, 0, 5000)
    assert (order.window_steps, order.windows) == (50, 2)
    for step in steps_of(order, 0, 0, 1):
        assert {row // 1000 for row in step} <= set(range(10))
        assert len({row // 1000 for row in step}) == 5


def test_a_window_holds_four_of_the_largest_block() -> None:
    assert Order([100, 10], 20, 0, 50).window_steps == 20
    assert Order([], 20).steps == 0


def test_draws_follow_the_weights() -> None:
    order = Order([1000], 10)
    weights = np.array([0.0, 1.0, 3.0, 0.0])
    drawn = np.bincount(order.draw(weights, 40_000, 0, 0, 0), minlength=4)
    assert drawn[0] == drawn[3] == 0
    assert abs(drawn[2] / drawn[1] - 3) < 0.2
    again = order.draw(weights, 40_000, 0, 0, 0)
    assert np.array_equal(np.bincount(again, minlength=4), drawn)
    assert not np.array_equal(order.draw(weights, 40_000, 0, 0, 1), again)
