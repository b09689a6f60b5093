"""A WebSocket client's side, as little as load needs: the handshake and one kind of frame."""

import os
import socket

_PAYLOAD = 100
FRAME_BYTES = _PAYLOAD + 2
"""What a member reads for each message: a server's frame has no masking key."""
_HEAD = bytes([0x81, 0x80 | _PAYLOAD, 0, 0, 0, 0])  # text, masked with a key of zeros
PING = bytes([0x89, 0x80, 0, 0, 0, 0])
_PONG = bytes([0x8A, 0])
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


def masked(payload: bytes) -> bytes:
    """A client's text frame as browsers send it, with a random key."""
    key = os.urandom(4)
    data = bytes(byte ^ key[index & 3] for index, byte in enumerate(payload))
    return bytes([0x81, 0x80 | len(payload)]) + key + data


def read_pong(connection: socket.socket) -> None:
    """Waits for the pong without a payload, which is all that the server sends."""
    answer = b""
    while len(answer) < len(_PONG):
        piece = connection.recv(len(_PONG) - len(answer))
        if not piece:
            raise ConnectionResetError("the server closed a connection")
        answer += piece
    if answer != _PONG:
        raise ConnectionError(f"no pong: {answer!r}")


def read_count(address: tuple[str, int]) -> int:
    """What the server says to whoever comes to /count."""
    with connect(address, "/count") as connection:
        head = connection.recv(2, socket.MSG_WAITALL)
        return int(connection.recv(head[1], socket.MSG_WAITALL))
