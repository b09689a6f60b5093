"""A WebSocket client's side, as little as load needs: the handshake and one kind of frame."""

import os
import socket

_PAYLOAD = 100
FRAME_BYTES = _PAYLOAD + 2
"""What a member reads for each message: a server's frame has no masking key."""
_HEAD = bytes([0x81, 0x80 | _PAYLOAD, 0, 0, 0, 0])  # text, masked with a key of zeros
_STAMP = 20
_STAMP_FROM = 2


def connect(address: tuple[str, int], path: str) -> socket.socket:
    """A connection that has been upgraded, blocking."""
    connection = socket.create_connection(address, timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    request = [
        f"GET {path} HTTP/1.1",
        f"Host: {address[0]}:{address[1]}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
        "Sec-WebSocket-Version: 13",
    ]
    connection.sendall("\r\n".join([*request, "", ""]).encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):  # byte by byte: what follows is frames
        byte = connection.recv(1)
        if not byte:
            break
        answer += byte
    if b" 101 " not in answer:
        raise ConnectionError(f"no upgrade of {path}: {os.fsdecode(answer[:200])}")
    return connection


def stamped(nanoseconds: int) -> bytes:
    """A client's frame that tells when it was sent."""
    return _HEAD + b"%020d" % nanoseconds + b"x" * (_PAYLOAD - _STAMP)


def stamp(frame: bytes) -> int:
    """The nanoseconds that the publisher put into the frame that `frame` begins with."""
    return int(frame[_STAMP_FROM : _STAMP_FROM + _STAMP])
