"""An MQTT broker that does what a test says, packet by packet, over every transport.

It knows no rule of MQTT: what it sends is the test's.
"""

import math
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from socket import SO_LINGER, SOL_SOCKET
from typing import Literal, Protocol

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from routerd.connectors.mqtt.settings import MqttSettings
from tests.mqtt_frames import CONNECT, SUBSCRIBE, connack, suback
from tests.rig.certs import Certs

Transport = Literal["tcp", "tls", "ws", "wss"]
SCHEMES: dict[Transport, Literal["mqtt", "mqtts", "ws", "wss"]] = {
    "tcp": "mqtt",
    "tls": "mqtts",
    "ws": "ws",
    "wss": "wss",
}
PATIENCE = 10.0
"""Seconds for anything that a client should do."""


class Stream(Protocol):
    """The bytes of one connection, whatever carries them."""

    async def send_all(self, data: bytes) -> None: ...
    async def receive_some(self) -> bytes: ...


class WebSocketStream:
    """A `Stream` in binary messages."""

    def __init__(self, connection: WebSocketConnection) -> None:
        self._connection = connection

    async def send_all(self, data: bytes) -> None:
        await self._connection.send_message(data)

    async def receive_some(self) -> bytes:
        try:
            message = await self._connection.get_message()
        except ConnectionClosed:
            return b""
        assert isinstance(message, bytes)
        return message


class Peer:
    """One connection of a client, from the broker's end."""

    def __init__(self, stream: Stream, raw: trio.SocketStream) -> None:
        self.done = trio.Event()
        self._stream = stream
        self._raw = raw
        self._rest = b""

    async def send(self, *frames: bytes) -> None:
        """All of them in one write."""
        await self._stream.send_all(b"".join(frames))

    async def receive(self) -> tuple[int, bytes]:
        """The next whole packet: its type, and its body.

        Raises:
            EOFError: the client closed the connection.
        """
        with trio.fail_after(PATIENCE):
            while (packet := self._split()) is None:
                data = await self._receive_some()
                if not data:
                    raise EOFError
                self._rest += data
        return packet

    async def expect(self, kind: int) -> bytes:
        """The body of the next packet, which must be of this type."""
        found, body = await self.receive()
        assert found == kind, f"packet of type {found}, not {kind}: {body!r}"
        return body

    async def acknowledged(self, count: int, kind: int = 4) -> list[int]:
        """The packet identifiers of the next `count` PUBACKs."""
        return [int.from_bytes((await self.expect(kind))[:2], "big") for _ in range(count)]

    async def welcome(
        self, *, is_v5: bool = True, is_present: bool = False, properties: bytes = b""
    ) -> None:
        """Takes CONNECT and SUBSCRIBE, of one filter, and agrees."""
        await self.expect(CONNECT)
        await self.send(connack(is_present=is_present, is_v5=is_v5, properties=properties))
        await self.grant(await self.expect(SUBSCRIBE), is_v5=is_v5)

    async def grant(self, subscribe: bytes, *codes: int, is_v5: bool = True) -> None:
        """SUBACK for the body of a SUBSCRIBE."""
        packet_id = int.from_bytes(subscribe[:2], "big")
        await self.send(suback(packet_id, *(codes or (1,)), is_v5=is_v5))

    async def says_nothing_but_closes(self) -> bool:
        """Waits until the client closes; whether it sent nothing more until then."""
        try:
            await self.receive()
        except EOFError:
            return not self._rest
        return False

    async def wait_closed(self) -> None:
        """Returns when the client has closed; what it sends until then is not looked at."""
        with trio.fail_after(PATIENCE):
            while await self._receive_some():
                pass

    def reset(self) -> None:
        """The connection breaks: RST."""
        self._raw.socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Closes the socket without a word."""
        trio.lowlevel.notify_closing(self._raw.socket)
        self._raw.socket.close()
        self.done.set()

    async def _receive_some(self) -> bytes:
        try:
            return await self._stream.receive_some()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return b""

    def _split(self) -> tuple[int, bytes] | None:
        data = self._rest
        for index in range(1, min(len(data), 5)):
            if data[index] < 128:
                length = sum((data[i] & 127) << 7 * (i - 1) for i in range(1, index + 1))
                stop = index + 1 + length
                if len(data) < stop:
                    return None
                self._rest = data[stop:]
                return data[0] >> 4, data[index + 1 : stop]
        return None


class ScriptedBroker:
    """Accepts connections for as long as `open_broker` is open; `accept` gives each of them."""

    def __init__(self, transport: Transport, certs: Certs | None, port: int) -> None:
        self.transport = transport
        self.port = port
        self.accepted = 0
        self._certs = certs
        self._peers_in, self._peers = trio.open_memory_channel[Peer](math.inf)

    async def accept(self) -> Peer:
        """The next connection."""
        with trio.fail_after(PATIENCE):
            return await self._peers.receive()

    def settings(
        self,
        *,
        version: Literal["5", "3.1.1"] = "5",
        keepalive: int = 60,
        max_packet: int = 1 << 20,
    ) -> MqttSettings:
        """What the `[mqtt]` table of a client says."""
        return MqttSettings(
            "mqtt",
            SCHEMES[self.transport],
            "localhost",
            self.port,
            version=version,
            ca=self._certs.ca if self._certs else None,
            keepalive=keepalive,
            max_packet=max_packet,
        )

    async def serve(self, raw: trio.SocketStream) -> None:
        """One connection, for `serve_listeners`."""
        self.accepted += 1
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError, ConnectionClosed):
            await self._serve(raw)

    async def _serve(self, raw: trio.SocketStream) -> None:
        lower: trio.abc.Stream = raw
        if self._certs is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certs.server.cert, self._certs.server.key)
            lower = trio.SSLStream(raw, context, server_side=True, https_compatible=True)
            await lower.do_handshake()
        if self.transport in {"tcp", "tls"}:
            await self._offer(Peer(_Bytes(lower), raw))
            return
        async with trio.open_nursery() as nursery:
            request = await wrap_server_stream(nursery, lower)
            connection = await request.accept(subprotocol="mqtt")
            await self._offer(Peer(WebSocketStream(connection), raw))
            nursery.cancel_scope.cancel()

    async def _offer(self, peer: Peer) -> None:
        self._peers_in.send_nowait(peer)
        await peer.done.wait()


class _Bytes:
    """A `Stream` as trio has it."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    async def send_all(self, data: bytes) -> None:
        await self._stream.send_all(data)

    async def receive_some(self) -> bytes:
        return bytes(await self._stream.receive_some())


@asynccontextmanager
async def open_broker(
    transport: Transport = "tcp", certs: Certs | None = None
) -> AsyncIterator[ScriptedBroker]:
    """A broker on a free port of localhost; `certs` for `tls` and `wss`."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    broker = ScriptedBroker(
        transport,
        certs if transport in {"tls", "wss"} else None,
        listener.socket.getsockname()[1],
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, broker.serve, [listener])
        yield broker
        nursery.cancel_scope.cancel()
