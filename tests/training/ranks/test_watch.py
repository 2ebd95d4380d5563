"""Who hangs, from made-up heartbeats and a made-up clock."""

from __future__ import annotations

from tfspark.training.ranks.watch import Watch


def watch(size: int = 2, phase: str = "step") -> Watch:
    """Ranks that have met at second 0, with `start_seconds` 10 and `stall_seconds` 5."""
    made = Watch(size, 10, 5, 0)
    for rank in range(size):
        beat(made, rank, 0, phase, 0)
    return made


def beat(made: Watch, rank: int, steps: int, phase: str, now: float) -> None:
    made.beat(rank, steps, phase, f"host{rank}", 100 + rank, now)


def test_steps_are_life() -> None:
    made = watch()
    for second in range(1, 100):
        for rank in (0, 1):
            beat(made, rank, second // 4, "step", second)
        assert made.verdict(second) is None


def test_a_rank_without_heartbeats_is_named() -> None:
    made = watch()
    for second in range(1, 6):
        beat(made, 0, second, "step", second)
        assert made.verdict(second - 0.5) is None
    verdict = made.verdict(5)
    assert verdict is not None
    assert "rank 1 (host host1, pid 101, step 0, in step) gave no sign of life for 5 s" in verdict
    assert "rank 0" not in verdict


def test_the_rank_behind_is_named_not_the_one_that_waits_longer() -> None:
    made = watch()
    beat(made, 0, 1, "step", 1)  # enters step 1 and waits there for rank 1
    for second in range(1, 6):
        beat(made, 0, 1, "step", second)
        beat(made, 1, 0, "read", second)
    verdict = made.verdict(6)
    assert verdict == (
        "rank 1 (host host1, pid 101, step 0, in read) made no step for 6 s, "
        "the others wait at step 1"
    )


def test_a_rank_ahead_that_waits_is_no_hang() -> None:
    made = watch()
    beat(made, 0, 9, "step", 1)
    for second in range(1, 9):
        beat(made, 0, 9, "step", second)
        beat(made, 1, second, "step", second)
    assert made.verdict(8) is None


def test_of_three_the_slowest_is_named() -> None:
    made = watch(3)
    for second in range(1, 7):
        for rank, steps in enumerate((2, 1, 2)):
            beat(made, rank, steps, "step", second)
    verdict = made.verdict(6)
    assert verdict is not None
    assert verdict.startswith("rank 1 ")
    assert "rank 0" not in verdict


def test_all_stand_still() -> None:
    made = watch()
    for second in range(1, 7):
        beat(made, 0, 3, "step", second)
        beat(made, 1, 3, "evaluate", second)
    assert made.verdict(5.5) is None
    verdict = made.verdict(6)
    assert verdict is not None
    assert verdict.startswith("all ranks stand at step 3, in evaluate and step, for more than 5 s")


def test_a_rank_that_waits_for_one_that_starts_is_no_hang() -> None:
    made = Watch(2, 100, 5, 0)
    for second in range(20):
        beat(made, 0, 1, "step", second)
        assert made.verdict(second) is None
    beat(made, 1, 0, "step", 20)
    for second in range(20, 26):
        beat(made, 0, 1, "step", second)
        beat(made, 1, 0, "step", second)
    verdict = made.verdict(25)
    assert verdict is not None
    assert verdict.startswith("rank 1 ")


def test_one_rank_alone() -> None:
    made = watch(1, "read")
    for second in range(1, 6):
        beat(made, 0, 0, "read", second)
    assert made.verdict(4.9) is None
    assert made.verdict(5) == ("rank 0 (host host0, pid 100, step 0, in read) made no step for 5 s")


def test_a_rank_that_ended_is_not_missed() -> None:
    made = watch()
    beat(made, 1, 7, "step", 1)
    made.end(1)
    for second in range(1, 20):
        beat(made, 0, second, "checkpoint", second)
        assert made.verdict(second) is None
    for second in range(20, 26):
        beat(made, 0, 19, "checkpoint", second)
    verdict = made.verdict(25)
    assert verdict is not None
    assert "rank 0" in verdict
    assert "rank 1" not in verdict


def test_who_did_not_start() -> None:
    made = Watch(3, 10, 5, 0)
    for second in range(14):
        beat(made, 0, 0, "meet", second)
        beat(made, 2, 0, "meet", second)
    assert made.verdict(12.9) is None
    verdict = made.verdict(13)
    assert verdict is not None
    assert verdict.startswith("rank 1 did not start within 13 s (distributed.start_seconds")


def test_who_did_not_get_to_meet_and_who_waits_for_whom() -> None:
    made = Watch(2, 10, 5, 0)
    for second in range(13):
        beat(made, 0, 0, "meet", second)
        beat(made, 1, 0, "begin", second)
    verdict = made.verdict(12)
    assert verdict is not None
    assert verdict.startswith("rank 1 (host host1, pid 101, step 0, in begin) did not get as far")
    beat(made, 1, 0, "meet", 12)
    verdict = made.verdict(12)
    assert verdict is not None
    assert "rank 0 (host host0" in verdict
    assert "rank 1 (host host1" in verdict
    assert "did not meet the others" in verdict


def test_starting_long_is_no_stall() -> None:
    made = Watch(1, 100, 5, 0)
    for second in range(50):
        beat(made, 0, 0, "begin", second)
        assert made.verdict(second) is None
    beat(made, 0, 0, "start", 50)
    assert made.verdict(54) is None  # its first step is counted from here


def test_the_drivers_own_delay_does_not_count() -> None:
    made = watch()
    for rank in (0, 1):
        beat(made, rank, 1, "step", 1)
    made.pause(60)
    assert made.verdict(61) is None
    for second in range(61, 67):
        beat(made, 0, 2, "step", second)
        beat(made, 1, 1, "read", second)
    assert made.verdict(65.9) is None
    verdict = made.verdict(66)
    assert verdict is not None
    assert verdict.startswith("rank 1")
