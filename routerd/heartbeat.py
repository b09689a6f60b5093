"""How late the event loop is: one task that sleeps, and measures when it wakes.

What the loop is busy with doesn't matter here; whoever needs to know that it still turns
(`/livez`, a watchdog) trusts this task alone.
"""

import time
from collections.abc import Callable
from typing import Final

import trio

from routerd.status import DaemonStatus

INTERVAL_SECONDS: Final = 0.2


async def beat(
    status: DaemonStatus,
    *,
    on_beat: Callable[[], None] = lambda: None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Records the loop's lag and its newest heartbeat, until cancelled.

    Args:
        status: written to at every beat.
        on_beat: called at every beat, e.g. to pat a watchdog; must not block or raise.
        task_status: told at once.
    """
    task_status.started()
    while True:
        due = trio.current_time() + INTERVAL_SECONDS
        await trio.sleep_until(due)
        status.loop_lag.observe(max(0.0, trio.current_time() - due))
        status.last_heartbeat = time.monotonic()
        on_beat()
