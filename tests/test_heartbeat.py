"""The heartbeat: lag measured, liveness recorded, the watchdog's seam."""

import time
from functools import partial

import trio
import trio.testing

from routerd.heartbeat import INTERVAL_SECONDS, beat
from routerd.status import DaemonStatus


async def test_a_free_loop_beats_five_times_a_second(
    autojump_clock: trio.testing.MockClock,
) -> None:
    status = DaemonStatus("1")
    beats: list[float] = []
    with trio.move_on_after(10.5 * INTERVAL_SECONDS):
        await beat(status, on_beat=lambda: beats.append(trio.current_time()))
    assert len(beats) == 10
    assert sum(status.loop_lag.counts) == 10


async def test_a_beat_is_recorded_as_alive() -> None:
    status = DaemonStatus("1", last_heartbeat=0.0)
    before = time.monotonic()
    await _until_first_beat(status)
    assert before <= status.last_heartbeat <= time.monotonic()


async def test_a_blocked_loop_is_seen_as_lag(mock_clock: trio.testing.MockClock) -> None:
    status = DaemonStatus("1")
    async with trio.open_nursery() as nursery:
        await nursery.start(beat, status)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(INTERVAL_SECONDS + 0.7)
        await trio.testing.wait_all_tasks_blocked(0.001)
        nursery.cancel_scope.cancel()
    bounds = [*status.loop_lag.bounds, float("inf")]
    seen = {
        bound: count for bound, count in zip(bounds, status.loop_lag.counts, strict=True) if count
    }
    assert seen == {1.0: 1}
    assert round(status.loop_lag.total, 3) == 0.7


async def _until_first_beat(status: DaemonStatus) -> None:
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(beat, status, on_beat=nursery.cancel_scope.cancel))
