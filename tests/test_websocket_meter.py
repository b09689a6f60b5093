"""What a client says, against its rates, on a clock that the test turns."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.connectors.websocket.limits import DEFAULTS, Limits
from routerd.connectors.websocket.meter import Meter
from routerd.connectors.websocket.reasons import Ending

TEN = Limits(message_rate=10, rate_patience=5)
PER_BYTE = Limits(byte_rate=1000, rate_patience=5)


def talk(limits: Limits, steps: Iterable[tuple[float, int]]) -> tuple[Meter, float]:
    """A client that comes with so many messages after each pause; and when it was read at last."""
    meter, now = Meter(limits, now=0.0), 0.0
    for pause, messages in steps:
        now += pause
        now += meter.take(messages * 100, messages=messages, controls=0, now=now)
        if meter.breach:
            break
    return meter, now


def test_by_default_anything_may_be_said() -> None:
    meter, now = talk(DEFAULTS, [(0.0, 1_000_000)] * 1000)
    assert (meter.breach, now) == (None, 0.0)


@pytest.mark.parametrize("limits", [TEN, PER_BYTE], ids=["messages", "bytes"])
def test_a_burst_is_taken_at_once_and_what_follows_waits(limits: Limits) -> None:
    meter = Meter(limits, now=0.0)
    assert meter.take(3000, messages=30, controls=0, now=0.0) == 0
    assert meter.take(500, messages=5, controls=0, now=0.0) == 0.5
    assert meter.breach is None


@pytest.mark.parametrize("limits", [TEN, PER_BYTE], ids=["messages", "bytes"])
def test_who_goes_on_for_too_long_is_ended(limits: Limits) -> None:
    meter, now = talk(limits, [(0.0, 1)] * 10_000)
    assert meter.breach is Ending.RATE
    assert 4.9 <= now <= 5.2


def test_who_says_exactly_what_it_may_stays_for_ever() -> None:
    meter, now = talk(TEN, [(0.0, 30), *[(0.1, 1)] * 10_000])
    assert meter.breach is None
    assert now == pytest.approx(1000)


def test_who_says_a_little_too_much_is_slowed_down_and_ended_only_if_it_has_more() -> None:
    for more, ending in ((100, Ending.RATE), (40, None)):
        meter, _ = talk(TEN, [(0.0, 1)] * more)
        assert meter.breach is ending


def test_what_was_said_too_fast_is_forgiven_with_time() -> None:
    bunch = [(0.0, 1)] * 60
    meter, _ = talk(TEN, [*bunch, (10.0, 1)] * 20)
    assert meter.breach is None


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 30)), max_size=50))
def test_who_keeps_the_rate_is_never_stopped(steps: list[tuple[float, int]]) -> None:
    kept = [(max(pause, messages / 10), messages) for pause, messages in steps]
    meter, now = talk(TEN, kept)
    assert meter.breach is None
    assert now == pytest.approx(sum(pause for pause, _ in kept), abs=1e-6)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 50)), max_size=100))
def test_what_is_read_keeps_the_rate_whatever_is_said(steps: list[tuple[float, int]]) -> None:
    limits = Limits(message_rate=10, rate_patience=1e9)
    _, now = talk(limits, steps)
    assert sum(messages for _, messages in steps) <= 10 * (3 + now) + 1e-6


@pytest.mark.parametrize("limits", [TEN, PER_BYTE], ids=["messages", "bytes"])
def test_who_keeps_the_rate_may_say_it_all_at_once_after_we_did_not_listen(limits: Limits) -> None:
    meter = Meter(limits, now=0.0)
    assert meter.take(3000, messages=30, controls=0, now=0.0) == 0
    meter.rest(since=0.0, now=60.0)
    pauses = [meter.take(100, messages=1, controls=0, now=60.0) for _ in range(600)]
    assert (sum(pauses), meter.breach) == (0.0, None)
    assert meter.take(100, messages=1, controls=0, now=60.0) == pytest.approx(0.1)


def test_control_frames_have_a_rate_of_their_own_and_no_patience() -> None:
    meter = Meter(Limits(control_rate=2), now=0.0)
    for number in range(6):
        assert meter.take(6, messages=0, controls=1, now=number / 100) == 0
    assert meter.breach is None
    meter.take(6, messages=0, controls=1, now=0.06)
    assert meter.breach is Ending.CONTROL_RATE


def test_a_client_that_answers_pings_and_sends_some_stays() -> None:
    meter = Meter(DEFAULTS, now=0.0)
    for number in range(10_000):
        meter.take(6, messages=0, controls=1, now=number / 20)
    assert meter.breach is None
