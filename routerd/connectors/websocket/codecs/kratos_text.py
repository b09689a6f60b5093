"""`kratos-text`: one text frame, `{"type":1,"payload":"..."}`; the payload is text in a string.

As kratos-transport's WebSocket server speaks it since July 2023 with its text payload type.
"""

import msgspec

from routerd.connectors.websocket import frames
from routerd.connectors.websocket.codecs.codec import Content, Undecodable
from routerd.connectors.websocket.codecs.kratos import as_number, read_number
from routerd.connectors.websocket.codecs.text import as_text


class _Envelope(msgspec.Struct, gc=False):
    type: int
    payload: str = ""  # Go, whose format it is, reads it so, too


_DECODE = msgspec.json.Decoder(_Envelope).decode
_ENCODE = msgspec.json.Encoder().encode
_MOST = 0xFFFF_FFFF


class KratosTextCodec:
    """See `codec.Codec`."""

    has_types = True

    def read_type(self, text: str) -> str:
        """A number of 32 bits."""
        return read_number(text)

    def decode(self, data: bytes, *, is_text: bool) -> Content:
        """Binary frames are read, too: it is plain what they mean."""
        try:
            found = _DECODE(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise Undecodable from None
        if not 0 <= found.type <= _MOST:
            raise Undecodable
        return str(found.type), found.payload.encode(), True

    def encode(self, kind: str | None, payload: bytes, *, is_text: bool | None) -> bytes:
        """The payload must be UTF-8, the type a number."""
        envelope = _Envelope(as_number(kind), as_text(payload))
        return frames.encode(_ENCODE(envelope), is_text=True)
