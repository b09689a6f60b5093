"""Token buckets, against what their rate allows."""

from hypothesis import given
from hypothesis import strategies as st

from routerd.connectors.websocket.bucket import BURST_SECONDS, Bucket

RATES = st.integers(1, 1000)
STEPS = st.lists(st.tuples(st.floats(0, 10), st.integers(1, 50)), max_size=60)


def test_a_burst_is_there_at_once_and_no_more() -> None:
    bucket = Bucket(10, now=5.0)
    assert [bucket.offer(1, now=5.0) for _ in range(31)] == [True] * 30 + [False]


def test_it_fills_at_its_rate_and_not_over_its_brim() -> None:
    bucket = Bucket(10, now=0.0)
    assert bucket.offer(30, now=0.0)
    assert not bucket.offer(1, now=0.05)
    assert bucket.offer(1, now=0.1)
    assert not bucket.offer(31, now=1000.0)
    assert bucket.offer(30, now=1000.0)


def test_what_is_overdrawn_says_how_long_to_wait() -> None:
    bucket = Bucket(10, now=0.0)
    assert bucket.take(30, now=0.0) == 0
    assert bucket.take(5, now=0.0) == 0.5
    assert bucket.take(1, now=0.5) == 0.1


def test_it_is_full_when_all_that_was_taken_has_come_back() -> None:
    bucket = Bucket(10, now=0.0)
    bucket.take(10, now=0.0)
    assert not bucket.is_full(now=0.99)
    assert bucket.is_full(now=1.0)


def test_what_was_saved_is_there_over_the_brim_until_it_is_taken() -> None:
    bucket = Bucket(10, now=0.0)
    assert bucket.offer(30, now=0.0)
    bucket.save(since=1.0, now=11.0)
    assert not bucket.offer(111, now=11.0)
    assert bucket.offer(10, now=12.0)
    assert bucket.offer(100, now=12.0)
    assert not bucket.offer(1, now=12.0)


@given(RATES, STEPS)
def test_never_more_is_given_than_the_burst_and_the_rate(
    rate: int, steps: list[tuple[float, int]]
) -> None:
    bucket, now, given_away = Bucket(rate, now=0.0), 0.0, 0
    for pause, amount in steps:
        now += pause
        given_away += amount if bucket.offer(amount, now=now) else 0
        assert given_away <= rate * (BURST_SECONDS + now) * (1 + 1e-9)


@given(RATES, STEPS)
def test_whoever_waits_as_told_keeps_the_rate(rate: int, steps: list[tuple[float, int]]) -> None:
    bucket, now, taken = Bucket(rate, now=0.0), 0.0, 0
    for pause, amount in steps:
        taken += amount
        now += max(pause, bucket.take(amount, now=now))
        assert taken <= rate * (BURST_SECONDS + now) + 1e-6
