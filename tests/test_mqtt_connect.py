"""Connecting never blocks the loop, says what went wrong, and leaves nothing behind."""

import socket
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio

from routerd.connectors.mqtt import client, connect
from routerd.connectors.mqtt import session as session_module
from routerd.connectors.mqtt.connect import SocketAddress, open_socket
from routerd.connectors.mqtt.settings import MqttSettings
from routerd.errors import Rejected, Unavailable
from routerd.tls import ClientTls
from tests.mqtt_house import MqttRoute, failure_of, start
from tests.rig.certs import Certs
from tests.rig.ports import free_port
from tests.scripted_broker import PATIENCE, SCHEMES, Transport, open_broker


@asynccontextmanager
async def listening() -> AsyncIterator[trio.SocketListener]:
    """A listener of which a test accepts the connections itself."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        yield listener


def settings_for(transport: Transport, port: int, certs: Certs | None = None) -> MqttSettings:
    ca = certs.ca if certs is not None else None
    return MqttSettings("mqtt", SCHEMES[transport], "127.0.0.1", port, ca=ca)


def limiter() -> trio.CapacityLimiter:
    return trio.CapacityLimiter(4)


# --- an attempt that is given up


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["tls", "ws", "wss"])
async def test_a_connect_cancelled_in_its_handshake_never_sends_connect(
    transport: Transport, certs: Certs
) -> None:
    async with listening() as listener, trio.open_nursery() as nursery:
        route = MqttRoute(settings_for(transport, listener.socket.getsockname()[1], certs))
        start(nursery, route)
        raw = await listener.accept()
        first = bytes(await raw.receive_some())  # of the handshake
        nursery.cancel_scope.cancel()
    # The route is gone; what it left in a thread may go on to the end of its handshake.
    async with raw:
        heard = await finish_handshake(transport, raw, first, certs)
    assert heard == b""


async def finish_handshake(
    transport: Transport, raw: trio.SocketStream, first: bytes, certs: Certs
) -> bytes:
    """Does the server's part of a handshake; what comes behind it until the client closes."""
    stream: trio.abc.Stream = trio.StapledStream(raw, _Replay(first, raw))
    with trio.fail_after(PATIENCE), suppress(trio.BrokenResourceError):
        if transport in {"tls", "wss"}:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certs.server.cert, certs.server.key)
            stream = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
            await stream.do_handshake()
        if transport in {"ws", "wss"}:
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                data = await stream.receive_some()
                if not data:
                    return b""
                request += data
            await stream.send_all(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n"
            )
        heard = b""
        while data := await stream.receive_some():
            heard += data
        return heard
    return b""


class _Replay(trio.abc.ReceiveStream):
    """Gives what was read already, then the rest."""

    def __init__(self, first: bytes, rest: trio.SocketStream) -> None:
        self._first = first
        self._rest = rest

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        first, self._first = self._first, b""
        return first or bytes(await self._rest.receive_some(max_bytes))

    async def aclose(self) -> None:
        await self._rest.aclose()


@pytest.mark.slow
async def test_a_connect_cancelled_while_it_looks_the_name_up_never_connects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_up, asked, real = threading.Event(), threading.Event(), socket.getaddrinfo

    def slow(*args: object, **options: object) -> object:
        asked.set()
        assert looked_up.wait(PATIENCE)
        return real(*args, **options)  # type: ignore[arg-type]

    async with open_broker() as broker:
        monkeypatch.setattr(socket, "getaddrinfo", slow)
        async with trio.open_nursery() as nursery:
            start(nursery, MqttRoute(broker.settings()))
            assert await trio.to_thread.run_sync(asked.wait, PATIENCE)
            with trio.fail_after(PATIENCE / 2):  # it blocks a thread, not the loop
                nursery.cancel_scope.cancel()
                await trio.lowlevel.checkpoint_if_cancelled()
        looked_up.set()
        await trio.sleep(0.1)
        assert broker.accepted == 0


# --- what can go wrong


@pytest.mark.parametrize("transport", ["tcp", "tls", "ws", "wss"])
async def test_a_broker_that_is_down_is_unavailable(transport: Transport) -> None:
    port = free_port()
    failure = await failure_of(MqttRoute(settings_for(transport, port)))
    assert isinstance(failure, Unavailable)
    assert str(failure) == f"can't connect to 127.0.0.1:{port}: Connection refused"


@pytest.mark.parametrize("transport", ["tcp", "ws"])
async def test_a_name_that_nobody_knows_is_unavailable(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*args: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    settings = MqttSettings("mqtt", SCHEMES[transport], "broker.invalid", 1883)
    failure = await failure_of(MqttRoute(settings))
    assert isinstance(failure, Unavailable)
    assert str(failure) == "can't resolve broker.invalid: Name or service not known"


@pytest.mark.parametrize("transport", ["tcp", "ws"])
async def test_a_name_that_no_host_can_have_needs_a_person(transport: Transport) -> None:
    settings = MqttSettings("mqtt", SCHEMES[transport], "a" * 64 + ".example", 1883)
    failure = await failure_of(MqttRoute(settings))
    assert isinstance(failure, Rejected)
    assert "is no name that a host can have" in str(failure)


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["tls", "wss"])
async def test_an_unknown_authority_needs_a_person(
    transport: Transport, certs: Certs, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stranger = Certs(tmp_path_factory.mktemp("stranger"))
    async with open_broker(transport, certs) as broker:
        failure = await failure_of(MqttRoute(settings_for(transport, broker.port, stranger)))
    assert isinstance(failure, Rejected)
    assert f"the certificate of 127.0.0.1:{broker.port} is not trusted" in str(failure)
    assert str(failure).endswith(
        "; name the certificate of its authority as `ca` in the table of this connection"
    )


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["tls", "wss"])
async def test_a_certificate_for_another_name_needs_a_person(
    transport: Transport, certs: Certs, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest, **options: real("127.0.0.1", *rest, **options)
    )
    async with open_broker(transport, certs) as broker:
        settings = MqttSettings(
            "mqtt", SCHEMES[transport], "other.example", broker.port, ca=certs.ca
        )
        failure = await failure_of(MqttRoute(settings))
    assert isinstance(failure, Rejected)
    assert "is not trusted: Hostname mismatch" in str(failure)
    assert "authority" not in str(failure)


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["tls", "wss"])
async def test_a_broker_without_tls_is_unavailable(transport: Transport) -> None:
    async with listening() as listener, trio.open_nursery() as nursery:

        async def answer() -> None:
            async with await listener.accept() as stream:
                await stream.receive_some()
                await stream.send_all(b"\x20\x02\0\0" * 10)
                await trio.sleep_forever()

        nursery.start_soon(answer)
        port = listener.socket.getsockname()[1]
        failure = await failure_of(MqttRoute(settings_for(transport, port)))
        nursery.cancel_scope.cancel()
    assert isinstance(failure, Unavailable)
    assert f"the TLS connection to 127.0.0.1:{port} failed: wrong version number" in str(failure)


ANSWERS = {
    "no upgrade": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    "no key": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n",
    "wrong key": b"HTTP/1.1 101 OK\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
    "half a header": b"HTTP/1.1 101 OK\r\nConnection: Upgrade\r\nSec-WebSocket-Accept\r\n\r\n",
    "not UTF-8": b"HTTP/1.1 101 OK\r\nSec-WebSocket-Accept: \xff\r\n\r\n",
    "the end": b"",
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_wrong_websocket_handshake_is_unavailable(name: str) -> None:
    async with listening() as listener, trio.open_nursery() as nursery:

        async def answer() -> None:
            stream = await listener.accept()
            await stream.receive_some()
            await stream.send_all(ANSWERS[name])
            await stream.aclose()

        nursery.start_soon(answer)
        port = listener.socket.getsockname()[1]
        failure = await failure_of(MqttRoute(settings_for("ws", port)))
    assert isinstance(failure, Unavailable)
    assert str(failure).startswith(f"can't connect to 127.0.0.1:{port}: ")
    assert "WebSocket" in str(failure)


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["tls", "ws", "wss"])
async def test_a_broker_that_accepts_and_says_nothing_is_given_up(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "CONNECT_TIMEOUT", 0.1)
    async with listening() as listener:
        port = listener.socket.getsockname()[1]
        failure = await failure_of(MqttRoute(settings_for(transport, port)))
        raw = await listener.accept()
        await raw.aclose()
    assert isinstance(failure, Unavailable)
    assert str(failure) == f"127.0.0.1:{port} does not answer within 0.1 s"


# --- several addresses


async def test_a_dead_address_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    real_connect = connect._connect  # noqa: SLF001 - a dead address can't be had on loopback
    dead = ("127.0.0.1", 9)

    async def connect_or_hang(
        family: socket.AddressFamily, address: SocketAddress
    ) -> socket.socket:
        if address == dead:
            await trio.sleep_forever()
        return await real_connect(family, address)

    monkeypatch.setattr(connect, "NEXT_ADDRESS_AFTER", 0.01)
    monkeypatch.setattr(connect, "_connect", connect_or_hang)
    async with listening() as listener:
        alive = listener.socket.getsockname()
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", a) for a in (dead, alive)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: found)
        with await open_socket("broker", 1, tls=None, limiter=limiter()) as sock:
            assert sock.getpeername() == alive
            assert sock.getblocking() is False


async def test_the_next_address_is_tried_at_once_after_a_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connect, "NEXT_ADDRESS_AFTER", PATIENCE)
    async with listening() as listener:
        alive = listener.socket.getsockname()
        refusing = ("127.0.0.1", free_port())
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", a) for a in (refusing, alive)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: found)
        with trio.fail_after(PATIENCE / 2):
            sock = await open_socket("broker", 1, tls=None, limiter=limiter())
        with sock:
            assert sock.getpeername() == alive


def test_families_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    six, four = socket.AF_INET6, socket.AF_INET
    found = [(f, 1, 6, "", (f.name, n)) for f, n in [(six, 1), (six, 2), (four, 1), (six, 3)]]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: found)
    addresses = connect._look_up("broker", 1)  # noqa: SLF001 - a matter of order only
    assert [(family, address[1]) for family, address in addresses] == [
        (six, 1), (four, 1), (six, 2), (six, 3),
    ]  # fmt: skip


@pytest.mark.slow
async def test_a_tls_socket_does_not_block_either(certs: Certs) -> None:
    tls = ClientTls(ca=certs.ca)
    async with open_broker("tls", certs) as broker:
        sock = await open_socket("localhost", broker.port, tls=tls.context, limiter=limiter())
        with sock:
            assert isinstance(sock, ssl.SSLSocket)
            with pytest.raises(ssl.SSLWantReadError):
                sock.recv(1)


@pytest.mark.slow
async def test_a_refused_certificate_is_told_even_if_the_next_write_fails(
    certs: Certs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With TLS 1.3 the verdict comes after the handshake, as an alert in front of the end."""
    refused = threading.Event()
    real = client.send_connect

    def send_late(*args: object, **options: object) -> None:
        assert refused.wait(PATIENCE)
        real(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(session_module, "send_connect", send_late)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs.server.cert, certs.server.key)
    context.load_verify_locations(certs.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=refuse, args=(server, context, refused))
        thread.start()
        failure = await failure_of(MqttRoute(settings_for("tls", server.getsockname()[1], certs)))
        await trio.to_thread.run_sync(thread.join)
    assert isinstance(failure, Rejected)
    assert "certificate required" in str(failure)


def refuse(server: socket.socket, context: ssl.SSLContext, refused: threading.Event) -> None:
    """Accepts one client, which shows no certificate."""
    connection, _ = server.accept()
    with connection, suppress(ssl.SSLError):
        context.wrap_socket(connection, server_side=True).close()
    refused.set()
