"""What is supervised restarts with backoff, and every state is reported."""

import logging

import pytest
import trio

from routerd import supervise as module
from routerd.errors import Rejected, Unavailable
from routerd.supervise import Backoff, supervise


class Script:
    """Lives that a test wrote down: how long each is up, and how it ends."""

    def __init__(self, *lives: tuple[float, Exception | None]) -> None:
        self.lives = list(lives)
        self.started_at: list[float] = []
        self.reports: list[tuple[str, str]] = []
        self.delays: list[float] = []

    async def live(self, *, task_status: trio.TaskStatus[None]) -> None:
        self.started_at.append(trio.current_time())
        up_for, error = self.lives.pop(0)
        if up_for:
            task_status.started()
            await trio.sleep(up_for)
        if error is not None:
            # A fresh one each time: raising one object again and again ties its context in a knot.
            raise type(error)(*error.args)

    def report(self, state: str, reason: str, delay: float | None) -> None:
        self.reports.append((state, reason))
        if delay is not None:
            self.delays.append(delay)

    async def run(self) -> None:
        await supervise(self.live, name="test", report=self.report)


async def test_a_life_that_returns_ends_it(autojump_clock: trio.abc.Clock) -> None:
    script = Script((1, None))
    await script.run()
    assert script.reports == [("starting", ""), ("running", "")]


async def test_a_life_that_falls_is_restarted_with_the_reason(
    autojump_clock: trio.abc.Clock,
) -> None:
    script = Script((1, Unavailable("connection lost")), (1, None))
    await script.run()
    assert script.reports[2] == ("backoff", "connection lost")
    assert script.reports[3:] == [("starting", ""), ("running", "")]


async def test_delays_double_up_to_a_minute(autojump_clock: trio.abc.Clock) -> None:
    script = Script(*[(0.0, Unavailable("down"))] * 12, (1, None))
    await script.run()
    bounds = [min(60.0, 0.5 * 2**n) for n in range(12)]
    assert all(b / 2 <= d <= b for d, b in zip(script.delays, bounds, strict=True))


async def test_a_healthy_minute_starts_the_delays_again(autojump_clock: trio.abc.Clock) -> None:
    script = Script(
        *[(0.0, Unavailable("down"))] * 8,
        (module.HEALTHY_AFTER + 1, Unavailable("reset")),
        (1, None),
    )
    await script.run()
    assert script.delays[-2] > 1
    assert script.delays[-1] <= module.FIRST_DELAY


async def test_what_a_peer_refused_is_failed_and_tried_slowly(
    autojump_clock: trio.abc.Clock,
) -> None:
    script = Script((0, Rejected("not authorised")), (1, None))
    await script.run()
    assert ("failed", "not authorised") in script.reports
    assert script.delays == [module.LONGEST_DELAY]


async def test_a_bug_restarts_too_and_is_logged_with_its_traceback(
    autojump_clock: trio.abc.Clock, caplog: pytest.LogCaptureFixture
) -> None:
    script = Script((1, ZeroDivisionError("1/0")), (1, None))
    await script.run()
    record = next(r for r in caplog.records if r.levelno == logging.ERROR)
    assert record.exc_info is not None
    assert ("backoff", "bug in routerd: ZeroDivisionError: 1/0") in script.reports


async def test_a_storm_of_equal_failures_is_one_line(
    autojump_clock: trio.abc.Clock, caplog: pytest.LogCaptureFixture
) -> None:
    script = Script(*[(0.0, Unavailable("connection refused"))] * 9, (1, None))
    await script.run()
    assert len(caplog.records) == 1


async def test_failures_that_take_turns_are_a_line_each(
    autojump_clock: trio.abc.Clock, caplog: pytest.LogCaptureFixture
) -> None:
    turns = [(0.0, Unavailable("connection refused")), (1.0, Unavailable("it broke"))]
    script = Script(*turns * 20, (1, None))
    await script.run()
    assert len(caplog.records) == 2
    assert "error='connection refused'" in caplog.text
    assert "error='it broke'" in caplog.text


async def test_the_same_bug_again_and_again_is_one_traceback(
    autojump_clock: trio.abc.Clock, caplog: pytest.LogCaptureFixture
) -> None:
    script = Script(*[(0.0, ZeroDivisionError("1/0"))] * 9, (1, None))
    await script.run()
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_after_a_healthy_minute_the_same_failure_is_said_again(
    autojump_clock: trio.abc.Clock, caplog: pytest.LogCaptureFixture
) -> None:
    long = module.HEALTHY_AFTER + 1
    script = Script(*[(long, Unavailable("it broke"))] * 3, (1, None))
    await script.run()
    assert len(caplog.records) == 3


async def test_the_cause_inside_nested_groups_is_the_reason(
    autojump_clock: trio.abc.Clock,
) -> None:
    inner = ExceptionGroup("inner", [Unavailable("the cause")])
    script = Script((1, ExceptionGroup("outer", [inner])), (1, None))
    await script.run()
    assert ("backoff", "the cause") in script.reports


async def test_cancelling_is_not_a_failure(autojump_clock: trio.abc.Clock) -> None:
    script = Script((1e9, None))
    with trio.move_on_after(10) as scope:
        await script.run()
    assert scope.cancelled_caught
    assert script.reports == [("starting", ""), ("running", "")]


def test_backoff_is_jittered() -> None:
    assert len({Backoff().next_delay() for _ in range(20)}) > 1
