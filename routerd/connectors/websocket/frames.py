"""What a server sends, as bytes: whole unmasked frames (RFC 6455 section 5).

Encoded once for all members of a group. What clients send is decoded by trio-websocket.
"""

from struct import Struct

TEXT = 0x81
BINARY = 0x82
CLOSE = 0x88
PING = 0x89
PONG = 0x8A
"""First byte of a frame: FIN and the opcode."""

_SHORT = Struct(">BB").pack
_MEDIUM = Struct(">BBH").pack
_LONG = Struct(">BBQ").pack


def encode(payload: bytes, *, is_text: bool | None) -> bytes:
    """One data frame.

    Args:
        payload: for a text frame, valid UTF-8.
        is_text: the kind of the frame; None: text if the payload is UTF-8, since browsers
            hand out binary frames as Blobs, and `JSON.parse` fails on those.
    """
    if is_text is None:
        is_text = is_utf8(payload)
    first = TEXT if is_text else BINARY
    size = len(payload)
    if size < 126:  # noqa: PLR2004 - RFC 6455 section 5.2
        return _SHORT(first, size) + payload
    if size < 1 << 16:
        return _MEDIUM(first, 126, size) + payload
    return _LONG(first, 127, size) + payload


def is_utf8(payload: bytes) -> bool:
    """Whether a text frame may carry it."""
    if payload.isascii():
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def encode_ping() -> bytes:
    """A ping without words."""
    return _SHORT(PING, 0)


def encode_close(code: int) -> bytes:
    """A close frame without words: clients are told no details."""
    return _SHORT(CLOSE, 2) + code.to_bytes(2, "big")
