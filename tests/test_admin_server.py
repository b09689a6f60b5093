"""The admin listener against the clients it will meet: broken, hostile, stalled, many."""

import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from routerd.admin import open_admin
from routerd.admin.server import MAX_CLIENTS
from routerd.errors import Rejected
from routerd.status import DaemonStatus, ListenerStatus, RouteStatus, SinkStatus

GOOD = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"

HOSTILE = {
    "nothing": b"",
    "garbage": b"\x00\xff\x16\x03\x01" * 50,
    "a TLS client hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x01" * 500,
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/9.9": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "a path that is no ASCII": b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "a path of escapes": b"GET /%ff%00%0d%0a HTTP/1.1\r\nHost: x\r\n\r\n",
    "an absolute target": b"GET http://x/livez HTTP/1.1\r\nHost: x\r\n\r\n",
    "a double slash": b"GET //livez HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT": b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "OPTIONS *": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "a method of nonsense": b"G@T / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a header of 20 KB": b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20_000 + b"\r\n\r\n",
    "a path of 64 KB": b"GET /" + b"a" * 65_536 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "1000 headers": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
    "a folded header": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    "bare line feeds": b"GET / HTTP/1.1\nHost: x\n\n",
    "NUL in a header": b"GET / HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
    b"Content-Length: 2\r\n\r\nab",
    "a negative length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "length and chunks": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk that lies": b"POST / HTTP/1.1\r\nHost: x\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nfffffffff\r\nx",
    "40 chunks": b"GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"1\r\nx\r\n" * 40,
    "a body that never comes": b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n",
    "expecting 100": b"GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
    b"Content-Length: 5\r\n\r\n",
    "half a head": b"GET /livez HTTP/1.1\r\nHo",
    "h2c": b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nHTTP2-Settings: !!!\r\n\r\n",
    "HTTP/2 and garbage": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 64,
    "a WebSocket": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    # This one ends all of `hypercorn.trio.serve`: UnicodeDecodeError out of its nursery.
    "a WebSocket that is no ASCII": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: \xff\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    "a query of nonsense": b"GET /readyz?route=%ff&route&&=%zz HTTP/1.1\r\nHost: x\r\n\r\n",
    "accepting nonsense": b"GET /metrics HTTP/1.1\r\nHost: x\r\n"
    b"Accept: application/openmetrics-text; version=\xff\r\n\r\n",
}


def a_status(routes: int = 2) -> DaemonStatus:
    status = DaemonStatus("1")
    for number in range(routes):
        sinks = [SinkStatus("kafka:telemetry", required=True)]
        status.routes.append(RouteStatus(f"route-{number}", "mqtt:a/{b}", sinks))
    return status


class Admin:
    """The served admin listener, and what clients do to it."""

    def __init__(self, status: DaemonStatus) -> None:
        self.status = status
        host, port = status.listening["admin"].rsplit(":", 1)
        self.address = (host, int(port))

    async def connect(self) -> trio.SocketStream:
        stream = await trio.open_tcp_stream(*self.address)
        assert isinstance(stream, trio.SocketStream)
        return stream

    async def send(self, data: bytes, *, reset: bool = False) -> bytes:
        """What a connection answers to `data`, until it closes or has said something."""
        async with await self.connect() as stream:
            try:
                await stream.send_all(data)
                with trio.move_on_after(0.05):
                    return bytes(await stream.receive_some())
            except trio.BrokenResourceError:
                return b""
            finally:
                if reset:
                    stream.socket.setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
                    )
        return b""

    async def assert_well(self) -> None:
        async with await self.connect() as stream:
            await stream.send_all(GOOD)
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")

    async def stall(self) -> trio.SocketStream:
        """A client that asks for much and reads nothing."""
        raw = trio.socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await raw.connect(self.address)
        stream = trio.SocketStream(raw)
        await stream.send_all(SCRAPE)
        return stream


@asynccontextmanager
async def serving(status: DaemonStatus) -> AsyncIterator[Admin]:
    with trio.fail_after(20):
        async with open_admin(status, host="127.0.0.1", port=0):
            yield Admin(status)


@pytest.fixture
async def admin() -> AsyncIterator[Admin]:
    async with serving(a_status()) as opened:
        yield opened


# --- opening and leaving


async def test_the_bound_address_is_known_while_it_serves() -> None:
    status = a_status()
    async with serving(status) as admin:
        assert admin.address[0] == "127.0.0.1"
        await admin.assert_well()
    assert status.listening == {}
    with pytest.raises(OSError, match="connect"):
        await admin.connect()


async def test_a_port_that_is_taken_is_rejected_in_words(admin: Admin) -> None:
    host, port = admin.address
    with pytest.raises(
        Rejected, match=rf"\[admin\] can't listen on 127.0.0.1:{port}: .*in use; free that address"
    ):
        async with open_admin(a_status(), host=host, port=port):
            raise AssertionError("served")


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_an_address_that_is_not_ours_is_rejected_in_words(host: str) -> None:
    status = a_status()
    with pytest.raises(Rejected, match=rf"can't listen on {host}:0: .*; give `listen` another one"):
        async with open_admin(status, host=host, port=0):
            raise AssertionError("served")
    assert status.listening == {}


async def test_ipv6_addresses_are_shown_in_brackets() -> None:
    status = a_status()
    try:
        async with open_admin(status, host="::1", port=0):
            assert status.listening["admin"].startswith("[::1]:")
    except Rejected:
        pytest.skip("this machine has no IPv6")


async def test_leaving_finishes_the_answers_under_way() -> None:
    status = a_status(routes=200)
    async with trio.open_nursery() as nursery, serving(status) as admin:
        stream = await admin.connect()
        await stream.send_all(SCRAPE)
        whole = [bytes(await stream.receive_some(1000))]
        nursery.start_soon(_read_into, stream, whole)
    answer = b"".join(whole)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head


async def _read_into(stream: trio.SocketStream, parts: list[bytes]) -> None:
    async with stream:
        parts.extend([bytes(part) async for part in stream])


@pytest.mark.slow
async def test_leaving_waits_for_nobody_who_stalls() -> None:
    status = a_status(routes=300)
    async with open_admin(status, host="127.0.0.1", port=0):
        admin = Admin(status)
        stalled = [await admin.stall() for _ in range(10)]
        stalled.append(await admin.connect())  # says nothing
        await admin.assert_well()
        leaving_at = trio.current_time()
    assert trio.current_time() - leaving_at < 1  # the promise of open_admin itself
    for stream in stalled:
        await stream.aclose()


@pytest.mark.slow
async def test_cancelled_it_leaves_as_fast() -> None:
    status = a_status(routes=300)
    with trio.move_on_after(5) as scope:
        async with open_admin(status, host="127.0.0.1", port=0):
            stalled = [await Admin(status).stall() for _ in range(5)]
            await Admin(status).assert_well()
            scope.cancel()
            left_at = trio.current_time()
            await trio.sleep_forever()
    assert trio.current_time() - left_at < 1
    for stream in stalled:
        await stream.aclose()


# --- clients


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("name", HOSTILE)
async def test_no_request_harms_the_next_one(admin: Admin, name: str, *, reset: bool) -> None:
    await admin.send(HOSTILE[name], reset=reset)
    await admin.assert_well()


async def test_a_head_that_is_too_long_is_refused(admin: Admin) -> None:
    answer = await admin.send(b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20_000)
    assert answer.startswith(b"HTTP/1.1 431")


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    data=st.lists(
        st.sampled_from([GOOD, SCRAPE, *HOSTILE.values()]) | st.binary(max_size=40), max_size=6
    ).map(b"".join),
    cut=st.integers(0, 500),
)
def test_any_mixture_leaves_it_well(data: bytes, cut: int) -> None:
    async def main() -> None:
        async with serving(a_status()) as admin:
            await admin.send(data[cut:])
            await admin.assert_well()

    trio.run(main)


async def test_nothing_is_logged_above_debug_for_a_hostile_client(
    admin: Admin, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    for data in HOSTILE.values():
        await admin.send(data)
    await admin.assert_well()
    assert [each for each in caplog.records if each.levelno > logging.DEBUG] == []
    assert capfd.readouterr() == ("", "")


async def test_a_client_that_has_said_all_still_gets_its_answer(admin: Admin) -> None:
    async with await admin.connect() as stream:
        await stream.send_all(SCRAPE)
        await stream.send_eof()
        answer = b"".join([bytes(part) async for part in stream])
    assert b"routerd_build_info" in answer


async def test_pipelined_requests_are_answered_in_order(admin: Admin) -> None:
    nope = b"GET /nope HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    async with await admin.connect() as stream:
        await stream.send_all(GOOD * 20 + nope)
        answer = b"".join([bytes(part) async for part in stream])
    assert answer.count(b"HTTP/1.1 200") == 20
    assert answer.rindex(b"HTTP/1.1 404") > answer.rindex(b"HTTP/1.1 200")


async def test_50_stalled_scrapers_keep_nobody_from_an_answer() -> None:
    status = a_status(routes=100)
    async with serving(status) as admin:
        stalled = [await admin.stall() for _ in range(50)]
        await admin.assert_well()
        async with await admin.connect() as stream:
            await stream.send_all(SCRAPE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            answer = b"".join([bytes(part) async for part in stream])
        families = text_string_to_metric_families(answer.split(b"\r\n\r\n", 1)[1].decode())
        assert "routerd_build_info" in {family.name for family in families}
        for stream in stalled:
            await stream.aclose()


async def test_the_oldest_client_makes_room_for_a_new_one(admin: Admin) -> None:
    first = await admin.connect()
    rest = [await admin.connect() for _ in range(MAX_CLIENTS)]
    await admin.assert_well()
    assert await _is_ended(first)
    await rest[-1].send_all(GOOD)
    assert (await rest[-1].receive_some()).startswith(b"HTTP/1.1 200")
    for stream in [first, *rest]:
        await stream.aclose()


async def _is_ended(stream: trio.SocketStream) -> bool:
    with trio.fail_after(5):
        try:
            return await stream.receive_some() == b""
        except trio.BrokenResourceError:
            return True


@pytest.mark.slow
async def test_clients_that_went_away_leave_no_task_behind(
    admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("routerd.admin.client._HALF_CLOSED_SECONDS", 0.05)
    monkeypatch.setattr("routerd.admin.client._SILENT_SECONDS", 0.5)
    await admin.assert_well()  # the listener's own tasks have all started by now
    await trio.testing.wait_all_tasks_blocked(0.1)
    before = trio.lowlevel.current_statistics().tasks_living
    for data in HOSTILE.values():
        await admin.send(data)
    with trio.fail_after(5):
        while trio.lowlevel.current_statistics().tasks_living > before:  # noqa: ASYNC110 - no event
            await trio.sleep(0.005)


# --- falling


async def test_a_listener_that_falls_is_opened_again_and_takes_nothing_down(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = trio.serve_listeners
    fell = trio.Event()

    async def fall_once(
        handler: object, listeners: list[trio.SocketListener], **options: object
    ) -> None:
        if fell.is_set():
            await real(handler, listeners, **options)  # type: ignore[arg-type]
        for listener in listeners:
            await listener.aclose()
        fell.set()
        raise OSError("accept failed in a new way")

    monkeypatch.setattr(trio, "serve_listeners", fall_once)
    monkeypatch.setattr("routerd.admin.server._FIRST_RETRY_SECONDS", 0.01)
    async with serving(a_status()) as admin:
        await fell.wait()
        with trio.fail_after(10):
            while not await _answers(admin):  # noqa: ASYNC110 - no event
                await trio.sleep(0.01)
    fallen = [each for each in caplog.records if "admin listener fell" in each.getMessage()]
    assert len(fallen) == 1
    assert fallen[0].exc_info is not None


async def _answers(admin: Admin) -> bool:
    try:
        await admin.assert_well()
    except OSError:
        return False
    return True


async def test_a_bug_in_an_answer_is_a_500_and_a_traceback_in_our_log(
    admin: Admin, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken() -> dict[str, int]:
        raise ZeroDivisionError

    admin.status.listeners.append(ListenerStatus("ws", count_members=broken))
    answer = await admin.send(SCRAPE)
    assert answer.startswith(b"HTTP/1.1 500")
    await admin.assert_well()
    errors = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert [each.name for each in errors] == ["routerd.admin.app"]
    assert errors[0].exc_info is not None
    assert capfd.readouterr() == ("", "")
