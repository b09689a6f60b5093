"""`kratos`: one binary frame, a uint32 in little-endian order, which is the type, then the payload.

As kratos-transport's WebSocket server speaks it since August 2022.
"""

import re

from routerd.connectors.websocket import frames
from routerd.connectors.websocket.codecs.codec import BadType, Content, Undecodable
from routerd.errors import DeliveryFailed

_HEADER = 4
_MOST = 0xFFFF_FFFF
_DIGITS = re.compile("0|[1-9][0-9]{0,9}")


class KratosCodec:
    """See `codec.Codec`."""

    has_types = True

    def read_type(self, text: str) -> str:
        """A number of 32 bits."""
        return read_number(text)

    def decode(self, data: bytes, *, is_text: bool) -> Content:
        """The server that it comes from takes no text frames."""
        if is_text or len(data) < _HEADER:
            raise Undecodable
        return str(int.from_bytes(data[:_HEADER], "little")), data[_HEADER:], None

    def encode(self, kind: str | None, payload: bytes, *, is_text: bool | None) -> bytes:
        """Any payload; the type must be a number."""
        header = as_number(kind).to_bytes(_HEADER, "little")
        return frames.encode(header + payload, is_text=False)


def read_number(text: str) -> str:
    """The type that an address means.

    Raises:
        BadType: it is no uint32, or written in another way than `{@type}` gives it.
    """
    if _DIGITS.fullmatch(text) and int(text) <= _MOST:
        return text
    raise BadType(f"write a number from 0 to {_MOST}")


def as_number(kind: str | None) -> int:
    """The type of a message that is to be sent.

    Raises:
        DeliveryFailed: it is no number: it came from a listener with another codec.
    """
    try:
        return int(read_number(kind or ""))
    except BadType as exc:
        raise DeliveryFailed(
            f"its type {kind!r} is no number from 0 to {_MOST}", reason="unroutable"
        ) from exc
