"""A listener from its binding to its end, and what it tells the status page."""

import errno
import logging
import os
from typing import cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from routerd.address import parse_group_path
from routerd.connectors.websocket import listener as listener_module
from routerd.connectors.websocket.connector import WebSocketConnection, WebSocketConnector
from routerd.connectors.websocket.frames import encode
from routerd.connectors.websocket.listener import let_in
from routerd.connectors.websocket.reasons import Ending
from routerd.connectors.websocket.roster import Roster
from routerd.connectors.websocket.settings import GroupSinkSpec, ListenerSettings
from routerd.errors import Rejected
from routerd.receipt import SinkCounts
from routerd.status import DaemonStatus
from tests.fakes import fake_status
from tests.raw_websocket import CLOSE, TEXT, connect, frame, request
from tests.websocket_house import context_of, open_house


def broadcast_to(connection: WebSocketConnection, path: str) -> None:
    """A route that sends to a group, as the table has it."""
    segments = parse_group_path(path)
    context = context_of(fake_status(), segments=segments)
    connection.open_sink(GroupSinkSpec(f"group:{path}", segments), context, SinkCounts())


async def test_clients_are_counted_by_the_paths_of_the_table() -> None:
    async with open_house() as house:
        assert house.counts.connections == {"/echo": 0, "/echo/{room}": 0}
        for path in ("/echo", "/echo/1", "/echo/2"):
            await house.connect(path)
        assert house.counts.connections == {"/echo": 1, "/echo/{room}": 2}


async def test_members_are_counted_for_groups_that_have_one_name() -> None:
    async with open_house() as house:
        for path in ("live", "/live/", "/live/{.device}", "/%2F"):
            broadcast_to(house.connection, path)
        for path in ("/live", "/live/", "/live/7", "/%2F"):
            await house.connect(path)
        assert house.counts.count_members() == {
            "group:/echo": 0, "group:live": 1, "group:/live/": 1, "group:/%2F": 1,
        }  # fmt: skip


async def test_two_listeners_are_counted_each_by_itself() -> None:
    async with open_house() as house:
        settings = ListenerSettings("ws.other", "127.0.0.1", 0)
        connector = WebSocketConnector()
        async with connector.open(settings, total_inflight=0, status=house.status) as other:
            broadcast_to(house.connection, "/live")
            broadcast_to(other, "/live")
            other.serve()
            await house.connect("/live")
            client = await connect(int(house.status.listening["ws.other"].rpartition(":")[2]))
            await client.open("/live")
            assert [each.key for each in house.status.listeners] == ["ws", "ws.other"]
            for counts in house.status.listeners:
                assert counts.connections["/live"] == 1
                assert counts.count_members()["group:/live"] == 1
            await client.aclose()


async def test_nobody_is_let_in_before_all_routes_are_open() -> None:
    status = DaemonStatus("test")
    settings = ListenerSettings("ws", "127.0.0.1", 0)
    async with WebSocketConnector().open(settings, total_inflight=0, status=status) as connection:
        client = await connect(int(status.listening["ws"].rpartition(":")[2]))
        await client.send(request("/live"))
        await wait_all_tasks_blocked(0.01)
        broadcast_to(connection, "/live")
        connection.serve()
        assert (await client.read_answer())[0] == 101
        await client.aclose()


async def test_an_address_that_is_taken_is_said_in_a_sentence() -> None:
    async with open_house() as house:
        settings = ListenerSettings("ws.two", "127.0.0.1", house.port)
        with pytest.raises(Rejected) as caught:
            async with WebSocketConnector().open(settings, total_inflight=0, status=house.status):
                pass
        assert str(caught.value) == (
            f"[ws.two] can't listen on 127.0.0.1:{house.port}: Address already in use; "
            "free that address, or give `listen` another one"
        )


async def test_a_host_that_is_not_ours_is_said_in_a_sentence() -> None:
    settings = ListenerSettings("ws", "192.0.2.1", 0)
    with pytest.raises(Rejected, match=r"^\[ws\] can't listen on 192\.0\.2\.1:0: "):
        async with WebSocketConnector().open(
            settings, total_inflight=0, status=DaemonStatus("test")
        ):
            pass


async def test_a_host_with_several_addresses_and_port_0_gets_one_port() -> None:
    status = DaemonStatus("test")
    settings = ListenerSettings("ws", "localhost", 0)
    async with WebSocketConnector().open(settings, total_inflight=0, status=status) as connection:
        connection.serve()
        assert list(status.listening) == ["ws"]


async def test_everyone_is_sent_home_after_what_is_queued_for_them() -> None:
    async with open_house() as house:
        clients = [await house.connect("/echo/1") for _ in range(5)]
        heard: list[list[bytes]] = []

        async def listen_until_the_end(number: int) -> None:
            client, payloads = clients[number], []
            while (found := await client.read()) is not None and found.opcode == TEXT:
                payloads.append(found.payload)
            assert found is not None
            assert found.code == Ending.RESTART.code
            await client.send(frame(CLOSE, Ending.RESTART.code.to_bytes(2, "big")))
            assert await client.read() is None
            await client.aclose()
            heard.append(payloads)

        for number in range(5):
            house.nursery.start_soon(listen_until_the_end, number)
        for number in range(10):
            house.publish(("echo", "1"), encode(b"%d" % number, is_text=True))
        house.keep_clients()
    assert heard == [[b"%d" % number for number in range(10)]] * 5
    assert house.counts.closed == {("/echo/{room}", "restart"): 5}
    assert house.counts.connections["/echo/{room}"] == 0


@pytest.mark.slow
async def test_who_ignores_the_goodbye_does_not_keep_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "GOODBYE_TIMEOUT", 0.1)
    async with open_house() as house:
        ignorant, waiting = await house.connect("/echo/1"), await house.dial()
        await waiting.send(request("/echo/1")[:-1])
        house.keep_clients()
    with trio.fail_after(5):
        assert await ignorant.read_close() == Ending.RESTART.code
        assert await ignorant.read() is None
        assert (await waiting.read_answer())[0] is None
    await ignorant.aclose()
    await waiting.aclose()


async def test_who_comes_in_during_the_goodbye_is_sent_home_at_once() -> None:
    async with open_house() as house:
        await house.connection.roster.dismiss(Ending.RESTART, within=0)
        late = await house.connect("/echo/1")
        assert await late.read_close() == Ending.RESTART.code


class Exhausted:
    """A listening socket of a process that has no file descriptor left for a while."""

    def __init__(self) -> None:
        self.attempts = 0

    async def accept(self) -> trio.SocketStream:
        await trio.lowlevel.checkpoint()
        self.attempts += 1
        if self.attempts <= 5:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        await trio.sleep_forever()
        raise AssertionError


class Crowded(Exhausted):
    """One whose every client that leaves makes room for the next one, and for no more."""

    def __init__(self, transport: trio.SocketStream) -> None:
        super().__init__()
        self._transport = transport

    async def accept(self) -> trio.SocketStream:
        await trio.lowlevel.checkpoint()
        self.attempts += 1
        if self.attempts % 2:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return self._transport


class Passing:
    """A client that leaves at once."""

    def __init__(
        self, transport: trio.SocketStream, roster: Roster, *, address: str | None
    ) -> None:
        self._roster = roster
        self._address = address

    async def run(self) -> None:
        await trio.lowlevel.checkpoint()
        self._roster.gate.leave(self._address)


async def test_no_file_descriptors_left_time_and_again_is_said_once_a_minute(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "Client", Passing)
    transport = trio.SocketStream(trio.socket.socket())
    listener = Crowded(transport)
    async with transport, trio.open_nursery() as nursery:
        with trio.move_on_after(119):
            await let_in(cast("trio.SocketListener", listener), Roster(), nursery=nursery)
    assert listener.attempts > 1000
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2


async def test_no_file_descriptors_left_is_waited_for_and_said_once(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    listener = Exhausted()
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(60):
            await let_in(cast("trio.SocketListener", listener), Roster(), nursery=nursery)
    assert listener.attempts == 6
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "Too many open files" in caplog.text
