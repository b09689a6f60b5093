"""The pacer pauses while many messages come in small bursts, and never otherwise."""

import random

import pytest

from routerd.connectors.mqtt.pacing import BUSY, FULL_BURST, LATELY, PAUSE, Pacer


def busy_pacer(now: float) -> Pacer:
    """One that has just seen more than enough to make it pause."""
    pacer = Pacer()
    pacer.read_at(2 * BUSY, now)
    return pacer


def test_the_first_message_is_followed_at_once() -> None:
    assert Pacer().read_at(1, 10.0) == 10.0


def test_messages_at_random_moments_are_not_delayed_while_there_are_few() -> None:
    pacer, chance, now, pauses = Pacer(), random.Random(1), 10.0, 0
    for _ in range(10_000):
        now += chance.expovariate(500)
        pauses += pacer.read_at(1, now) != now
    assert pauses < 10  # of 500 a second, 20 come within 10 ms hardly ever


def test_messages_that_come_fast_one_by_one_wait_for_more() -> None:
    pacer, now, read_at = Pacer(), 10.0, 0.0
    for _ in range(100):
        now += 0.0002
        read_at = pacer.read_at(1, now)
    assert now < read_at <= now + PAUSE


def test_a_quiet_spell_ends_the_pauses() -> None:
    pacer = busy_pacer(10.0)
    assert pacer.read_at(1, 10.0 + LATELY) == 10.0 + LATELY


def test_pauses_of_all_routes_end_together() -> None:
    first, second = busy_pacer(10.0001), busy_pacer(10.0002)
    assert first.read_at(1, 10.0004) == second.read_at(1, 10.0007) == pytest.approx(10.001)


def test_a_full_burst_is_followed_at_once() -> None:
    assert busy_pacer(10.0).read_at(FULL_BURST, 10.0005) == 10.0005


def test_a_read_without_messages_is_no_burst() -> None:
    assert busy_pacer(10.0).read_at(0, 10.0001) == 10.0001


def test_a_pause_always_lies_ahead() -> None:
    pacer = busy_pacer(12345.0)
    now = 12345.0
    for _ in range(1000):
        read_at = pacer.read_at(1, now)
        assert now <= read_at <= now + PAUSE + 1e-9
        now = max(read_at, now) + 0.0003
