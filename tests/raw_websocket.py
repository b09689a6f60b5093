"""A WebSocket client that writes the bytes itself, so that it can be as wrong as a test wants."""

import random
import socket
import ssl
import struct
from dataclasses import dataclass

import trio

KEY = b"MDEyMzQ1Njc4OWFiY2RlZg=="
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
CONTINUATION = 0x0

_keys = random.Random(6455)  # the same in each process: frames give parametrized tests their names


def request(path: str = "/echo", *more: bytes, **changed: bytes | None) -> bytes:
    """A handshake. `changed` replaces a header, or leaves it out for None; `more` adds lines."""
    headers: dict[str, bytes | None] = {
        "Host": b"127.0.0.1",
        "Upgrade": b"websocket",
        "Connection": b"Upgrade",
        "Sec_WebSocket_Key": KEY,
        "Sec_WebSocket_Version": b"13",
    }
    headers.update(changed)
    lines = [b"GET " + path.encode() + b" HTTP/1.1"]
    for name, value in headers.items():
        if value is not None:
            lines.append(name.replace("_", "-").encode() + b": " + value)
    return b"\r\n".join([*lines, *more]) + b"\r\n\r\n"


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    length: int | None = None,
    width: int | None = None,
    key: bytes | None = None,
) -> bytes:
    """One frame.

    Args:
        opcode: even of no meaning.
        payload: not masked yet.
        fin: whether nothing of the message follows.
        rsv: the reserved bits.
        masked: as a client's must be.
        length: a lie about the payload's.
        width: the bytes that tell it: 0, 2, 8; None: as few as may be.
        key: of the mask; None: any.
    """
    size = len(payload) if length is None else length
    if width is None:
        width = 0 if size < 126 else 2 if size < 1 << 16 else 8
    short = {0: size, 2: 126, 8: 127}[width]
    head = struct.pack(">BB", fin << 7 | rsv << 4 | opcode, masked << 7 | short)
    if width:
        head += size.to_bytes(width, "big")
    if not masked:
        return head + payload
    key = _keys.randbytes(4) if key is None else key
    return head + key + mask(payload, key)


def mask(payload: bytes, key: bytes) -> bytes:
    """Applies a masking key; a second time undoes it."""
    repeated = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(
        len(payload), "big"
    )


@dataclass
class Frame:
    """What the server sent."""

    opcode: int
    payload: bytes

    @property
    def code(self) -> int:
        """Of a close frame; 1005 for one without."""
        return int.from_bytes(self.payload[:2], "big") if self.payload else 1005


class RawClient:
    """One connection. Reads give None at the end of it, whichever way it came."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream: trio.SocketStream | trio.SSLStream[trio.SocketStream] = stream
        self.socket = stream.socket
        self._received = b""

    async def secure(self, tls: ssl.SSLContext) -> "RawClient":
        """Completes TLS's handshake."""
        assert isinstance(self.stream, trio.SocketStream)
        self.stream = trio.SSLStream(
            self.stream, tls, server_hostname="127.0.0.1", https_compatible=True
        )
        await self.stream.do_handshake()
        return self

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def open(self, path: str = "/echo", *more: bytes) -> "RawClient":
        """Completes the handshake; `more` are header lines."""
        await self.send(request(path, *more))
        status, _ = await self.read_answer()
        assert status == 101, status
        return self

    async def read_answer(self) -> tuple[int | None, bytes]:
        """Status and head of the HTTP answer; None if the connection ended without one."""
        while b"\r\n\r\n" not in self._received:
            if not await self._receive():
                return None, self._received
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), head

    async def read(self) -> Frame | None:
        """The next frame."""
        while (found := self._take_frame()) is None:
            if not await self._receive():
                return None
        return found

    async def read_close(self) -> int | None:
        """The code of the next close frame, skipping others; None without one."""
        while (found := await self.read()) is not None:
            if found.opcode == CLOSE:
                return found.code
        return None

    async def read_to_end(self) -> bytes:
        """Everything until the connection ends."""
        while await self._receive():
            pass
        return self._received

    async def echo(self, text: bytes) -> bytes:
        """Sends a text and gives what comes back; answers pings meanwhile."""
        await self.send(frame(TEXT, text))
        while (answer := await self.read()) is not None and answer.opcode == PING:
            await self.send(frame(PONG, answer.payload))
        assert answer is not None
        return answer.payload

    async def reset(self) -> None:
        """Goes without a word, and without a FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    async def aclose(self) -> None:
        await self.stream.aclose()

    async def _receive(self) -> bool:
        try:
            data = await self.stream.receive_some(1 << 16)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return False
        self._received += data
        return bool(data)

    def _take_frame(self) -> Frame | None:
        found = split(self._received)
        if found is None:
            return None
        first, self._received = found
        return first


async def connect(
    port: int, *, source: str = "127.0.0.1", receive_bytes: int | None = None
) -> RawClient:
    """A connection without a handshake yet.

    Args:
        port: of the listener.
        source: the address that it comes from, 127.anything.
        receive_bytes: what the kernel keeps of what isn't read; None: much.
    """
    sock = trio.socket.socket()
    try:
        if receive_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        # The kernel picks the port when it knows both ends, so that ports don't run out so soon.
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
        await sock.bind((source, 0))
        await sock.connect(("127.0.0.1", port))
    except BaseException:
        sock.close()
        raise
    return RawClient(trio.SocketStream(sock))


def split(data: bytes) -> tuple[Frame, bytes] | None:
    """The first frame that a server sent, and what follows it; None while it isn't whole."""
    if len(data) < 2:
        return None
    size, start = data[1] & 0x7F, 2
    if size > 125:
        start = 4 if size == 126 else 10
        if len(data) < start:
            return None
        size = int.from_bytes(data[2:start], "big")
    assert not data[1] & 0x80, "a server does not mask"
    if len(data) < start + size:
        return None
    return Frame(data[0] & 0x0F, data[start : start + size]), data[start + size :]
