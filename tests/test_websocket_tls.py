"""Clients that come by TLS: what is true of all others, and what is only true of them."""

import gc
import logging
import ssl
from contextlib import suppress
from dataclasses import replace

import pytest
import trio
import trio_websocket
from trio.testing import wait_all_tasks_blocked

from routerd.certificate import CertificateFiles
from routerd.connectors.websocket.frames import encode
from routerd.connectors.websocket.identity import open_identity
from routerd.connectors.websocket.secure import SecureTransport
from routerd.errors import Rejected
from routerd.feed import Feed
from routerd.status import ListenerStatus
from tests import (
    test_websocket_client,
    test_websocket_events,
    test_websocket_hostile,
    websocket_house,
)
from tests.raw_websocket import CLOSE, frame, request
from tests.rig.certs import Certs
from tests.websocket_house import ROOMY, eventually, open_house


@pytest.fixture(autouse=True)
def by_tls(certs: Certs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every house of this file is entered by TLS."""
    monkeypatch.setattr(websocket_house, "TLS", certs)


# --- what is true of all

_SPEAKS_PLAIN_HTTP = "test_other_peoples_clients_get_along_with_us"
for module in (test_websocket_client, test_websocket_events):
    for name, one in vars(module).items():
        if name.startswith("test_") and name != _SPEAKS_PLAIN_HTTP:
            globals()[name] = one

for name in (
    "test_good_clients_notice_nothing_of_all_of_them_together",
    "test_frames_in_the_segment_of_the_request_are_heard",
):
    globals()[name] = getattr(test_websocket_hostile, name)


async def test_other_peoples_clients_get_along_with_us_by_tls(certs: Certs) -> None:
    tls = ssl.create_default_context(cafile=certs.ca)
    async with open_house() as house:
        url = f"wss://127.0.0.1:{house.port}/echo"
        async with trio_websocket.open_websocket_url(url, ssl_context=tls) as client:
            await client.send_message("hello")
            assert await client.get_message() == "hello"


# --- TLS's own handshake


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_1_2_and_1_3_are_spoken(certs: Certs, version: ssl.TLSVersion) -> None:
    tls = ssl.create_default_context(cafile=certs.ca)
    tls.minimum_version = tls.maximum_version = version
    async with open_house() as house:
        house.tls = tls
        client = await house.connect("/echo")
        assert await client.echo(b"x" * 100_000) == b"x" * 100_000


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
async def test_tls_1_1_is_refused_and_counted(certs: Certs) -> None:
    tls = ssl.create_default_context(cafile=certs.ca)
    tls.set_ciphers("ALL:@SECLEVEL=0")
    tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1_1
    async with open_house() as house:
        house.tls = tls
        with pytest.raises(trio.BrokenResourceError) as broken:
            await house.dial()
        assert "ALERT_PROTOCOL_VERSION" in str(broken.value.__cause__)
        await eventually(lambda: house.counts.refused == {("", "tls_failed"): 1})


async def test_plain_http_is_told_so_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    async with open_house() as house:
        house.tls = None
        caplog.set_level(logging.WARNING)
        for _ in range(20):
            client = await house.dial()
            await client.send(request())
            assert (await client.read_answer())[0] == 400
        await eventually(lambda: house.counts.refused == {("", "not_tls"): 20})
    assert caplog.records == []


async def test_garbage_is_cut_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    async with open_house() as house:
        house.tls = None
        caplog.set_level(logging.WARNING)
        for data in (b"\0" * 64, b"\x16\x03\x01\0\x05hello", bytes(range(256)) * 8):
            client = await house.dial()
            await client.send(data)
            await client.read_to_end()
        await eventually(lambda: house.counts.refused == {("", "tls_failed"): 3})
    assert caplog.records == []


async def test_tls_at_a_plain_listener_is_refused_at_once(
    certs: Certs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(websocket_house, "TLS", None)
    async with open_house() as house:
        house.tls = ssl.create_default_context(cafile=certs.ca)
        with pytest.raises(trio.BrokenResourceError):
            await house.dial()
        assert house.counts.refused == {("", "unexpected_tls"): 1}
    assert caplog.records == []


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01", b"tls"])
async def test_who_completes_no_tls_handshake_is_cut(sent: bytes) -> None:
    """`tls`: that one is completed, and no request comes."""
    async with open_house(limits=replace(ROOMY, handshake_timeout=0.3)) as house:
        if sent != b"tls":
            house.tls = None
        client = await house.dial()
        if sent != b"tls":
            await client.send(sent)
            assert await client.read_to_end() == b""
        else:
            assert (await client.read_answer())[0] == 408
        await eventually(lambda: house.counts.refused == {("", "timeout"): 1})


async def test_who_leaves_amid_the_handshake_is_no_bug(caplog: pytest.LogCaptureFixture) -> None:
    async with open_house() as house:
        house.tls = None
        await wait_all_tasks_blocked()
        tasks = trio.lowlevel.current_statistics().tasks_living
        caplog.set_level(logging.WARNING)
        for leave in ("aclose", "reset"):
            client = await house.dial()
            await client.send(b"\x16\x03\x01")
            await getattr(client, leave)()
        await eventually(lambda: trio.lowlevel.current_statistics().tasks_living == tasks)
    assert caplog.records == []


# --- its end


async def test_a_goodbye_ends_tls_too() -> None:
    """With close_notify: without it the client could not tell the end from an attack."""
    async with open_house() as house:
        client = await house.connect("/echo")
        assert isinstance(client.stream, trio.SSLStream)
        client.stream._https_compatible = False  # noqa: SLF001 - then it insists
        await client.send(frame(CLOSE, b"\x03\xe8"))
        assert await client.read_close() == 1000
        assert await client.stream.receive_some() == b""


async def test_garbage_amid_a_session_ends_that_client_alone() -> None:
    async with open_house() as house:
        good, bad = await house.connect("/echo/1"), await house.connect("/echo/2")
        await bad.socket.send(b"\x17\x03\x03\0\x20" + b"x" * 32)
        await bad.read_to_end()
        await eventually(lambda: house.counts.closed == {("/echo/{room}", "client"): 1})
        assert await good.echo(b"still here") == b"still here"


async def test_what_was_closed_leaves_nothing_behind() -> None:
    async with open_house() as house:
        await wait_all_tasks_blocked()
        tasks = trio.lowlevel.current_statistics().tasks_living
        for number in range(30):
            client = await house.connect("/echo")
            await (client.aclose, client.reset)[number % 2]()
        await house.connection.roster.wait_empty()
        await eventually(lambda: trio.lowlevel.current_statistics().tasks_living == tasks)
        gc.collect()
        left = [one for one in gc.get_objects() if isinstance(one, SecureTransport)]
        assert len(left) <= 1  # the accepting loop remembers the last one


# --- slow clients


async def test_a_large_broadcast_arrives_whole_at_a_client_that_takes_its_time() -> None:
    """More than one record, and more than the socket takes at once."""
    payloads = [bytes([number]) * 300_000 for number in range(3)]
    async with open_house() as house:
        client = await house.connect("/echo")
        for payload in payloads:
            house.publish(("echo",), encode(payload, is_text=False))
        await wait_all_tasks_blocked()
        for payload in payloads:
            heard = await client.read()
            assert heard is not None
            assert heard.payload == payload
        assert await client.echo(b"after") == b"after"


async def test_a_socket_that_is_full_keeps_what_was_encrypted(certs: Certs) -> None:
    """What TLS has encrypted can't be taken back: it is behind until the client reads."""
    transport, client = await shake_hands(certs)
    sent = heard = 0
    while not transport.is_behind:
        sent += transport.write(b"x" * 100_000)
    with pytest.raises(BlockingIOError):
        transport.write(b"x")
    while heard < sent:
        heard += len(await client.receive_some(1 << 20))
        with suppress(BlockingIOError):
            transport.write(b"")
    assert heard == sent
    assert not transport.is_behind
    await client.transport_stream.aclose()
    transport.socket.close()


async def test_before_the_handshake_and_after_the_end_nothing_is_written(certs: Certs) -> None:
    ours, theirs = trio.socket.socketpair()
    with ours, theirs:
        early = SecureTransport(trio.SocketStream(ours), context_of(certs))
        with pytest.raises(OSError, match="handshake"):
            early.write(b"x")
    transport, client = await shake_hands(certs)
    await transport.send_eof()
    with pytest.raises(OSError, match="handshake"):
        transport.write(b"x")
    assert await client.receive_some() == b""
    await client.transport_stream.aclose()
    transport.socket.close()


def context_of(certs: Certs) -> ssl.SSLContext:
    return CertificateFiles(certs.server.cert, certs.server.key).load().context


async def shake_hands(certs: Certs) -> tuple[SecureTransport, trio.SSLStream[trio.SocketStream]]:
    """Both ends of one connection."""
    ours, theirs = trio.socket.socketpair()
    transport = SecureTransport(trio.SocketStream(ours), context_of(certs))
    tls = ssl.create_default_context(cafile=certs.ca)
    client = trio.SSLStream(trio.SocketStream(theirs), tls, server_hostname="localhost")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transport.shake_hands)
        nursery.start_soon(client.do_handshake)
    return transport, client


async def test_one_that_may_miss_messages_stays_and_hears_whole_ones_to_the_newest() -> None:
    feed = Feed("drop_oldest")
    async with open_house() as house:
        client, groups = await house.connect("/echo"), house.connection.roster.groups
        for number in range(2000):
            payload = b"%d," % number + b"x" * 10_000
            groups.publish(("echo",), encode(payload, is_text=True), feed=feed)
            if number % 100 == 99:
                await groups.wait_flushed()
        numbers: list[int] = []
        while not numbers or numbers[-1] < 1999:
            heard = await client.read()
            assert heard is not None
            assert len(heard.payload) > 10_000
            numbers.append(int(heard.payload.partition(b",")[0]))
        assert numbers == sorted(set(numbers))
        assert feed.missed["oldest"] == 2000 - len(numbers) > 0
        assert await client.echo(b"still here") == b"still here"


# --- the start


async def test_a_pair_that_went_bad_since_the_check_ends_the_start(certs: Certs) -> None:
    files = CertificateFiles(certs.server.cert, certs.client.key)
    with pytest.raises(Rejected, match=r"^\[ws\] can't use certificate .* another certificate$"):
        await open_identity(files, ListenerStatus("ws"))
