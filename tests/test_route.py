"""The pump: nothing is lost, settled twice, or acknowledged too early."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trio
import trio.lowlevel
import trio.testing

from routerd.delivery import Output
from routerd.errors import DeliveryFailed, Unavailable
from routerd.route import OFFER_AGAIN_EVERY, Route
from routerd.scope import Scope
from routerd.shape import Shape
from routerd.status import RouteStatus
from tests.fakes import FakeSink, FakeSource, fake_status

settled = trio.testing.wait_all_tasks_blocked


@dataclass
class Bench:
    """A route on fakes, as a test drives it."""

    route: Route
    status: RouteStatus
    sink: FakeSink
    lives: list[FakeSource] = field(default_factory=list)
    knows_past: bool = True
    says_started: bool = True

    @property
    def source(self) -> FakeSource:
        return self.lives[-1]

    def state(self) -> str:
        """As the status has it now."""
        return self.status.state

    def balance(self) -> None:
        """The equation that holds at every moment."""
        assert self.status.received == self.status.settled + self.status.inflight


def identity() -> Shape:
    return Shape(Scope([], []), when=None, body=None, payload=None)


@asynccontextmanager
async def running(
    *, on_error: str = "stop", best_effort: FakeSink | None = None, inflight: int = 100
) -> AsyncIterator[Bench]:
    """A running route with one required sink; drained at the end."""
    status, sink, lives = fake_status(inflight=inflight), FakeSink(), list[FakeSource]()

    def open_source() -> FakeSource:
        lives.append(FakeSource())
        lives[-1].knows_past, lives[-1].says_started = bench.knows_past, bench.says_started
        return lives[-1]

    outputs = [Output(sink, required=True)]
    if best_effort is not None:
        outputs.append(Output(best_effort, required=False))
    route = Route(
        status,
        open_source=open_source,
        outputs=outputs,
        shape=identity(),
        on_error="drop" if on_error == "drop" else "stop",
    )
    bench = Bench(route, status, sink, lives)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(route.run)  # noqa: ASYNC113 - it says nothing when it is up
        await settled()
        yield bench
        bench.balance()
        nursery.cancel_scope.cancel()
    bench.balance()
    assert status.inflight == 0


async def test_a_message_is_acknowledged_after_its_sink_confirmed() -> None:
    async with running() as bench:
        bench.source.put(b"a", b"b")
        await settled()
        assert bench.sink.accepted == [b"a", b"b"]
        assert bench.source.settled == []
        bench.sink.confirm()
        await settled()
        assert bench.source.settled == [b"a", b"b"]
        assert (bench.status.delivered, bench.status.inflight) == (2, 0)


async def test_settlement_keeps_the_order_of_arrival() -> None:
    async with running() as bench:
        for payload in (b"a", b"b", b"c"):
            bench.source.put(payload)
            await settled()
        held = bench.sink._held  # noqa: SLF001
        held.reverse()
        bench.sink.confirm(2)
        await settled()
        assert bench.source.settled == []
        bench.sink.confirm()
        await settled()
        assert bench.source.settled == [b"a", b"b", b"c"]


async def test_best_effort_sinks_are_offered_and_not_waited_for() -> None:
    slow = FakeSink()
    async with running(best_effort=slow) as bench:
        bench.source.put(b"a")
        await settled()
        bench.sink.confirm()
        await settled()
        assert slow.accepted == [b"a"]
        assert bench.source.settled == [b"a"]


async def test_a_refused_message_is_offered_once_more_alone_before_it_is_dropped() -> None:
    async with running(on_error="drop") as bench:
        bench.sink.refuses[b"bad"] = DeliveryFailed("too large")
        bench.source.put(b"a", b"bad", b"c")
        await settled()
        bench.sink.confirm()
        await settled()
        assert bench.sink.accepted == [b"a", b"bad", b"c", b"bad"]
        bench.sink.confirm()
        await settled()
        assert bench.source.settled == [b"a", b"bad", b"c"]
        assert bench.source.failed == {b"bad": "rejected"}
        assert (bench.status.delivered, bench.status.dropped) == (2, {"rejected": 1})


async def test_mates_of_a_refused_message_go_through_at_the_second_attempt() -> None:
    async with running() as bench:
        bench.sink.refuses[b"mate"] = DeliveryFailed("its batch was refused")
        bench.source.put(b"mate")
        await settled()
        bench.sink.confirm()
        bench.sink.refuses.clear()
        bench.sink.confirms_at_once = True
        await settled()
        assert (bench.status.delivered, bench.status.reordered) == (1, 1)
        assert bench.status.standing is None


async def test_a_route_stands_at_a_message_and_heals_by_itself(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "routerd")
    async with running() as bench:
        bench.sink.confirms_at_once = True
        bench.sink.refuses[b"bad"] = DeliveryFailed("topic t does not exist: create it")
        bench.source.put(b"good", b"bad")
        await trio.sleep(1)
        assert bench.state() == "failed"
        assert bench.status.standing is not None
        assert bench.status.standing.address == "t/bad"
        assert bench.status.standing.error.endswith("create it; tried again every 60 s")
        assert not bench.route._mailbox.has_room  # noqa: SLF001
        await trio.sleep(3 * OFFER_AGAIN_EVERY)
        assert bench.sink.accepted.count(b"bad") == 5
        assert len(bench.lives) == 1
        bench.sink.refuses.clear()
        await trio.sleep(OFFER_AGAIN_EVERY)
        assert bench.status.state == "running"
        assert bench.source.settled == [b"good", b"bad"]
        assert (bench.status.delivered, bench.status.settled) == (2, 2)
    assert "route goes on: its message went through route=fake after_s=240" in caplog.text


async def test_a_route_that_stands_tells_whether_only_another_table_helps() -> None:
    for reason in ("rejected", "unroutable"):
        async with running() as bench:
            bench.sink.confirms_at_once = True
            bench.sink.refuses[b"bad"] = DeliveryFailed("no", reason=reason)
            bench.source.put(b"bad")
            await settled()
            assert bench.status.standing is not None
            assert bench.status.standing.reason == reason


async def test_a_standing_message_is_returned_when_the_connection_breaks(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as bench:
        bench.sink.confirms_at_once = True
        bench.sink.refuses[b"bad"] = DeliveryFailed("no")
        bench.source.put(b"bad")
        await trio.sleep(1)
        bench.source.fall()
        await trio.sleep(2)
        assert (bench.status.returned, bench.status.standing) == (1, None)
        assert len(bench.lives) == 2
        assert bench.source.settled == []


async def test_what_fails_after_its_session_was_lost_is_named(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as bench:
        bench.sink.refuses[b"only copy"] = DeliveryFailed("no")
        bench.source.put(b"only copy")
        await settled()
        bench.source.is_session_kept = False
        bench.source.fall()
        await trio.sleep(2)
        bench.sink.confirms_at_once = True
        bench.sink.confirm()
        await trio.sleep(1)
        assert bench.status.dropped == {"session_lost": 1}
        assert "session_lost" in caplog.text


async def test_whether_a_failed_message_comes_again_is_decided_by_the_next_connection(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as bench:
        bench.sink.confirms_at_once = True
        bench.sink.refuses[b"only copy"] = DeliveryFailed("no")
        bench.source.put(b"only copy")
        await trio.sleep(1)
        old = bench.source
        bench.knows_past = False
        old.fall()
        await trio.sleep(1)
        assert len(bench.lives) == 2
        assert (bench.status.inflight, bench.status.settled) == (1, 0)
        old.is_session_kept = False
        assert bench.source.mailbox is not None
        bench.source.mailbox.past_known()
        await trio.sleep(0.1)
        assert (bench.status.inflight, bench.status.dropped) == (0, {"session_lost": 1})


async def test_an_old_life_never_acknowledges_on_a_new_connection(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as bench:
        bench.source.put(b"a")
        await trio.lowlevel.checkpoint()
        await settled()
        bench.source.fall()
        await trio.sleep(2)
        old, new = bench.lives
        assert not bench.route._mailbox.has_room  # noqa: SLF001
        bench.sink.confirm()
        await trio.sleep(0.1)
        assert (old.settled, new.settled) == ([], [])
        assert bench.status.delivered == 1
        assert bench.route._mailbox.has_room  # noqa: SLF001


async def test_drain_waits_for_messages_in_flight(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as bench:
        bench.source.put(b"a")
        await settled()
        bench.route.drain()
        await trio.sleep(5)
        assert bench.source.is_up
        bench.sink.confirm()
        await trio.sleep(0.1)
        assert bench.source.settled == [b"a"]
        assert bench.status.state == "stopped"


async def test_drain_ends_a_route_whose_source_is_down(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as bench:
        bench.source.fall()
        await settled()
        assert bench.state() == "backoff"
        bench.route.drain()
        await settled()
        assert bench.status.state == "stopped"
        assert len(bench.lives) == 1


async def test_drain_does_not_wait_for_a_message_that_stands(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as bench:
        bench.sink.confirms_at_once = True
        bench.sink.refuses[b"bad"] = DeliveryFailed("no")
        bench.source.put(b"bad")
        await trio.sleep(1)
        bench.source.put(b"behind")
        await trio.sleep(1)
        before = trio.current_time()
        bench.route.drain()
        await settled()
        assert bench.status.state == "stopped"
        assert trio.current_time() == before
        assert bench.source.settled == []
        assert (bench.status.returned, bench.status.delivered) == (1, 1)


async def test_a_source_that_fails_as_something_unexpected_is_restarted(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as bench:
        bench.source.fall(Unavailable("reset by peer"))
        await trio.sleep(2)
        assert len(bench.lives) == 2
        assert (bench.status.state, bench.status.restarts) == ("running", 1)
        assert bench.status.last_error == "reset by peer"


async def test_a_route_that_cannot_even_open_its_source_has_begun_all_the_same() -> None:
    """Else the daemon would wait for it, be ready for nobody, and hear no SIGTERM."""

    def open_source() -> FakeSource:
        raise OSError("no such thing")

    route = Route(
        fake_status(), open_source=open_source, outputs=[], shape=identity(), on_error="stop"
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(route.run)
        with trio.fail_after(5):
            await route.begun.wait()
        await settled()
        assert route.status.state == "backoff"
        nursery.cancel_scope.cancel()


async def test_a_bug_in_a_sink_gives_the_batch_back_and_restarts_the_route(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as bench:
        original, broken = bench.sink.accept, _raise_once(bench.sink)
        bench.sink.accept = broken  # type: ignore[method-assign, assignment]
        bench.source.put(b"a")
        first = bench.source
        await trio.sleep(2)
        bench.sink.accept = original  # type: ignore[method-assign]
        assert bench.status.returned == 1
        assert first.abandoned == [(b"a", "route_restarted")]
        assert len(bench.lives) == 2
        bench.sink.confirms_at_once = True
        bench.source.put(b"a")
        await trio.sleep(1)
        assert bench.source.settled == [b"a"]


def _raise_once(sink: FakeSink) -> Callable[..., object]:
    async def accept(messages: object) -> object:
        raise ZeroDivisionError("a bug")

    return accept


async def test_what_is_left_at_a_hard_stop_is_returned_or_dropped() -> None:
    async with running() as bench:
        bench.source.put(b"a", b"b")
        bench.source.put(b"c", token=0)
        await settled()
        status, source = bench.status, bench.source
    assert (status.returned, status.dropped) == (2, {"route_restarted": 1})
    assert source.abandoned == [(payload, "route_restarted") for payload in (b"a", b"b", b"c")]


async def test_a_source_is_told_of_what_its_route_read_and_did_not_settle_when_it_stops() -> None:
    async with running() as bench:
        for payload in (b"held by the sink", b"confirmed, and not yet its turn"):
            bench.source.put(payload)
            await settled()
        bench.sink.hold_for_ever()
        bench.sink.confirm()
        await settled()
        bench.route.drain()
        source = bench.source
    assert source.settled == []
    assert [reason for _, reason in source.abandoned] == ["shutdown"] * 2


async def test_what_is_left_of_a_session_that_the_broker_forgot_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running() as bench:
        bench.source.put(b"a", b"b")
        await settled()
        bench.source.is_session_kept = False
        status = bench.status
    assert (status.returned, status.dropped) == (0, {"session_lost": 2})
    assert "count=2 first_from='t/a'" in caplog.text


async def hold_the_second_of_two_refused(bench: Bench) -> None:
    """`x` was refused for good, `y` is being offered again and nobody answers."""
    bench.sink.refuses = {b"x": DeliveryFailed("no"), b"y": DeliveryFailed("no")}
    bench.source.put(b"x", b"y")
    for _ in range(2):
        await settled()
        bench.sink.confirm()
    await settled()
    assert bench.sink.accepted == [b"x", b"y", b"x", b"y"]


async def test_the_sum_holds_while_refused_messages_of_a_batch_are_offered_again() -> None:
    async with running(on_error="drop") as bench:
        await hold_the_second_of_two_refused(bench)
        bench.balance()
        bench.sink.confirm()
        await settled()
        assert bench.status.dropped == {"rejected": 2}


async def test_the_sum_holds_if_a_route_is_stopped_while_it_offers_messages_again() -> None:
    async with running(on_error="drop") as bench:
        await hold_the_second_of_two_refused(bench)
    assert (bench.status.returned, bench.status.dropped) == (2, {})


async def test_a_window_of_refused_messages_is_not_a_line_each_when_the_connection_breaks(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as bench:
        payloads = [b"m%d" % number for number in range(20)]
        bench.sink.confirms_at_once = True
        bench.sink.refuses = {payload: DeliveryFailed("no such topic") for payload in payloads}
        bench.source.put(*payloads)
        await trio.sleep(1)
        bench.source.fall()
        await trio.sleep(2)
        assert bench.status.returned == 20
        assert caplog.text.count("route stands") == 1


async def test_drain_settles_what_a_life_has_read_before_it_could_say_that_it_is_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as bench:
        bench.says_started = False
        bench.source.fall()
        await trio.sleep(2)
        assert bench.state() == "starting"
        bench.source.put(b"a")
        await settled()
        bench.route.drain()
        await settled()
        bench.sink.confirm()
        await trio.sleep(1)
        assert bench.source.settled == [b"a"]
        assert bench.state() == "stopped"


async def test_drain_does_not_wait_for_a_pump_that_crashed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as bench:
        bench.sink.accept = _raise_once(bench.sink)  # type: ignore[method-assign, assignment]
        for _ in range(6):  # by now it waits for many seconds
            await bench.source.started.wait()
            bench.source.put(b"a")
            await bench.source.left.wait()
            lives = len(bench.lives)
            while bench.status.restarts < 5 and len(bench.lives) == lives:  # noqa: ASYNC110
                await trio.sleep(0.1)
        await settled()
        assert bench.state() == "backoff"
        before = trio.current_time()
        bench.route.drain()
        await settled()
        assert bench.state() == "stopped"
        assert trio.current_time() == before
