"""`event`: one binary frame, `{"event_id":"name","payload":"..."}`, payload as text in a string.

The convention of the live map that routerd replaces.
"""

import msgspec

from routerd.connectors.websocket import frames
from routerd.connectors.websocket.codecs.codec import BadType, Content, Undecodable
from routerd.connectors.websocket.codecs.text import as_text
from routerd.errors import DeliveryFailed


class _Envelope(msgspec.Struct, gc=False):
    event_id: str
    payload: str = ""  # Go, whose format it is, reads it so, too


_DECODE = msgspec.json.Decoder(_Envelope).decode
_ENCODE = msgspec.json.Encoder().encode


class EventCodec:
    """See `codec.Codec`."""

    has_types = True

    def read_type(self, text: str) -> str:
        """Any name, but for those of session events."""
        if not text or text.startswith("@"):
            raise BadType("write a name")
        return text

    def decode(self, data: bytes, *, is_text: bool) -> Content:
        """Text frames are read, too: it is plain what they mean."""
        try:
            found = _DECODE(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise Undecodable from None
        return found.event_id, found.payload.encode(), True

    def encode(self, kind: str | None, payload: bytes, *, is_text: bool | None) -> bytes:
        """The payload must be UTF-8."""
        if not kind:
            raise DeliveryFailed("it has no type to be sent with", reason="unroutable")
        envelope = _Envelope(kind, as_text(payload))
        return frames.encode(_ENCODE(envelope), is_text=False)
