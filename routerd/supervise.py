"""Keeps one thing alive: restart with backoff, and say once what happened.

An expected failure is one warning line, a bug is a traceback; both restart. Whoever is
supervised knows nothing of it.
"""

import logging
import random
from collections.abc import Awaitable, Callable
from typing import Protocol

import trio

from routerd.errors import Rejected, Unavailable, leaves
from routerd.status import RouteState

logger = logging.getLogger(__name__)

FIRST_DELAY = 0.5
"""Seconds before the first restart, at most; each further one doubles it."""
LONGEST_DELAY = 60.0
"""Seconds; also the pace at which what a peer refused is tried again."""
HEALTHY_AFTER = 60.0
"""Seconds of running after which the next failure counts as the first."""

_MOST_TOLD = 100

Report = Callable[[RouteState, str, float | None], None]
"""Called with the new state, the reason in words, and how many seconds until the next try."""


class Life(Protocol):
    """One attempt: calls `started()` once it is up, and returns only when it is done for good."""

    def __call__(self, *, task_status: trio.TaskStatus[None]) -> Awaitable[None]:
        """Runs once."""


class Backoff:
    """How long to wait before the next restart."""

    def __init__(self) -> None:
        self._failures = 0

    def next_delay(self) -> float:
        """Seconds, between half of and the whole of a bound that doubles with each call."""
        bound = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(self._failures, 32))
        self._failures += 1
        # Jitter, so that a hundred routes don't come back to a restarted broker as one.
        return bound * random.uniform(0.5, 1.0)  # noqa: S311 - no secret depends on it

    def reset(self) -> None:
        """The next failure counts as the first again."""
        self._failures = 0


async def supervise(life: Life, *, name: str, report: Report) -> None:
    """Runs `life` again and again until one of them returns.

    Args:
        life: what is kept alive.
        name: of the route, for the log.
        report: told of every change of state.
    """
    backoff = Backoff()
    told: set[str] = set()
    while True:
        report("starting", "", None)
        attempt = _Attempt(life, report)
        await attempt.run()
        if attempt.failure is None:
            return
        if attempt.ran_for >= HEALTHY_AFTER:
            backoff.reset()
            told.clear()
        refused = isinstance(attempt.failure, Rejected)
        delay = LONGEST_DELAY if refused else backoff.next_delay()
        reason = str(attempt.failure) or type(attempt.failure).__name__
        if isinstance(attempt.failure, Unavailable | Rejected):
            if reason not in told:  # one line for each thing that happens, not for each try
                if refused:
                    logger.error(
                        "route is refused; mend what the error says, it is tried again meanwhile "
                        "route=%s retry_s=%.1f error=%r",
                        name, delay, reason,
                    )  # fmt: skip
                else:
                    logger.warning(
                        "route fell; is tried again until it is up route=%s retry_s=%.1f error=%r",
                        name, delay, reason,
                    )  # fmt: skip
        else:
            reason = f"bug in routerd: {type(attempt.failure).__name__}: {reason}"
            if reason not in told:
                logger.error(
                    "route crashed route=%s retry_s=%.1f", name, delay, exc_info=attempt.failure
                )
        if len(told) == _MOST_TOLD:
            told.clear()
        told.add(reason)
        report("failed" if refused else "backoff", reason, delay)
        await trio.sleep(delay)


class _Attempt:
    """One life, and what ended it.

    Attributes:
        failure: None when it returned by itself.
        ran_for: seconds since it was up; 0 if it never was.
    """

    def __init__(self, life: Life, report: Report) -> None:
        self.failure: BaseException | None = None
        self.ran_for = 0.0
        self._life = life
        self._report = report

    async def run(self) -> None:
        up_since = None
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._start)
                up_since = trio.current_time()
                self._report("running", "", None)
        except* Exception as group:  # noqa: BLE001 - to keep a bug from the other routes
            causes = leaves(group)
            # A bug names itself even if a peer failed in the same moment.
            bugs = [exc for exc in causes if not isinstance(exc, Unavailable | Rejected)]
            self.failure = (bugs or causes)[0]
        if up_since is not None:
            self.ran_for = trio.current_time() - up_since

    async def _start(self, *, task_status: trio.TaskStatus[None]) -> None:
        await self._life(task_status=task_status)
