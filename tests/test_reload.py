"""Reloads of whole daemons' connections, without files: who is asked, how often, what is said."""

import logging
from collections.abc import Callable

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from routerd.interfaces import Connection, Reloaded, RouteContext, Sink, Source
from routerd.receipt import SinkCounts
from routerd.reload import Reloads, reload
from routerd.status import DaemonStatus


class Shop(Connection):
    """A connection that counts its reloads; each waits until it `may_end`."""

    def __init__(self, *outcomes: Reloaded | Exception) -> None:
        self._outcomes = list(outcomes)
        self.begun = 0
        self.may_end = trio.Event()
        self.may_end.set()

    def open_source(self, spec: object, route: RouteContext) -> Callable[[], Source]:
        raise NotImplementedError

    def open_sink(self, spec: object, route: RouteContext, counts: SinkCounts) -> Sink:
        raise NotImplementedError

    async def reload(self) -> Reloaded:
        self.begun += 1
        await self.may_end.wait()
        outcome = self._outcomes.pop(0) if self._outcomes else Reloaded(taken=1)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


async def test_every_connection_is_asked_and_one_line_sums_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    status = DaemonStatus("1", reloaded_at=0.0)
    shops = {"ws": Shop(Reloaded(taken=2)), "ws.plant": Shop(Reloaded(taken=1))}
    await reload(shops, status)
    [(level, line)] = lines(caplog)
    assert level == "INFO"
    assert "comes with a later version taken=3 refused=0" in line
    assert status.is_reloaded
    assert status.reloaded_at > 0


async def test_what_is_refused_is_said_and_the_others_are_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    status = DaemonStatus("1", reloaded_at=0.0)
    bad = Reloaded(taken=1, refused=("no a; mend a", "no b; mend b"))
    await reload({"ws": Shop(bad), "mqtt": Shop(Reloaded(taken=1))}, status)
    assert [line for line in lines(caplog) if line[0] == "ERROR"] == [
        ("ERROR", "reload refused, what was there stays error='no a; mend a'"),
        ("ERROR", "reload refused, what was there stays error='no b; mend b'"),
    ]
    assert "taken=2 refused=2" in lines(caplog)[-1][1]
    assert not status.is_reloaded
    assert status.reloaded_at == 0
    await reload({"ws": Shop()}, status)
    assert status.is_reloaded


async def test_a_bug_in_one_connection_is_no_others(caplog: pytest.LogCaptureFixture) -> None:
    status, other = DaemonStatus("1"), Shop()
    await reload({"ws": Shop(LookupError("oh")), "mqtt": other}, status)
    assert other.begun == 1
    assert not status.is_reloaded
    bug, refused = caplog.records
    assert bug.exc_info is not None
    assert "[ws]" in refused.getMessage()


async def test_asked_again_and_again_while_one_runs_gives_one_more() -> None:
    reloads, shop = Reloads(), Shop()
    shop.may_end = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reloads.serve, {"ws": shop}, DaemonStatus("1"))
        for _ in range(5):
            reloads.ask()
        await wait_all_tasks_blocked()
        assert shop.begun == 1
        for _ in range(5):
            reloads.ask()
        await wait_all_tasks_blocked()
        assert shop.begun == 1
        shop.may_end.set()
        await wait_all_tasks_blocked()
        assert shop.begun == 2
        nursery.cancel_scope.cancel()


async def test_asked_before_there_is_anybody_is_not_forgotten() -> None:
    reloads, shop = Reloads(), Shop()
    reloads.ask()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reloads.serve, {"ws": shop}, DaemonStatus("1"))
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert shop.begun == 1


async def test_a_connection_without_files_has_nothing_to_say() -> None:
    class Plain(Shop):
        reload = Connection.reload

    assert await Plain().reload() == Reloaded()
