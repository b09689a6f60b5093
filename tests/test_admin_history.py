"""What is remembered of the last minutes."""

import pytest
import trio
from trio.testing import MockClock

from routerd.admin.history import EVERY, SAMPLES, History
from routerd.status import DaemonStatus, RouteStatus


def a_status(routes: int = 2) -> DaemonStatus:
    return DaemonStatus("1", routes=[RouteStatus(f"r{n}", "mqtt:a", []) for n in range(routes)])


async def sample_after(history: History, seconds: float) -> None:
    await trio.sleep(seconds)
    history.sample()


async def test_a_rate_is_messages_per_second_since_the_last_sample(
    autojump_clock: MockClock,
) -> None:
    status = a_status()
    history = History(status)
    history.sample()
    assert history.rate(0) is None
    status.routes[0].delivered = 20
    await sample_after(history, 2)
    status.routes[0].delivered = 25
    await sample_after(history, 2)
    assert history.rates(0) == [10, 2.5]
    assert (history.rate(0), history.rate(1)) == (2.5, 0)


async def test_only_the_last_minutes_are_kept(autojump_clock: MockClock) -> None:
    status = a_status()
    history = History(status)
    async with trio.open_nursery() as nursery:
        await nursery.start(history.run)
        await trio.sleep(EVERY / 2)  # so that none of this happens at the moment of a sample
        for _ in range(2 * SAMPLES):
            status.routes[1].delivered += 10
            await trio.sleep(EVERY)
        nursery.cancel_scope.cancel()
    assert len(history.rates(1)) == SAMPLES
    assert set(history.rates(1)) == {10 / EVERY}


async def test_routes_that_are_opened_later_begin_then(autojump_clock: MockClock) -> None:
    status = a_status(0)
    history = History(status)
    history.sample()
    await sample_after(history, 2)
    status.routes += a_status().routes
    await sample_after(history, 2)
    assert history.rates(0) == []
    status.routes[0].delivered = 4
    await sample_after(history, 2)
    assert history.rates(0) == [2]


async def test_two_samples_at_one_moment_are_one(autojump_clock: MockClock) -> None:
    history = History(a_status())
    history.sample()
    history.sample()
    assert history.rates(0) == []


@pytest.mark.parametrize(
    ("lags", "expected"),
    [
        ([], None),
        ([0.0004] * 100, 0.001),
        ([0.0004] * 98 + [0.2] * 2, 0.25),
        ([100.0], float("inf")),
    ],
)
async def test_the_lag_is_that_of_99_of_100_heartbeats(
    lags: list[float], expected: float | None, autojump_clock: MockClock
) -> None:
    status = a_status()
    history = History(status)
    history.sample()
    for lag in lags:
        status.loop_lag.observe(lag)
    await sample_after(history, 2)
    assert history.loop_lag == expected


async def test_an_old_stall_is_forgotten_after_a_minute(autojump_clock: MockClock) -> None:
    status = a_status()
    history = History(status)
    history.sample()
    status.loop_lag.observe(3.0, count=10)
    await sample_after(history, 2)
    assert history.loop_lag == 5.0
    for _ in range(31):
        status.loop_lag.observe(0.0001, count=10)
        await sample_after(history, 2)
    assert history.loop_lag == 0.001
