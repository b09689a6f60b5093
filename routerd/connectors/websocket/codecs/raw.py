"""`raw`: a frame is the payload, and keeps its kind. No types."""

from routerd.connectors.websocket import frames
from routerd.connectors.websocket.codecs.codec import BadType, Content


class RawCodec:
    """See `codec.Codec`."""

    has_types = False

    def read_type(self, text: str) -> str:
        """There is none."""
        raise BadType("its codec `raw` has none; write another `codec`")

    def decode(self, data: bytes, *, is_text: bool) -> Content:
        """Everything can be."""
        return None, data, is_text

    def encode(self, kind: str | None, payload: bytes, *, is_text: bool | None) -> bytes:
        """Text if it was, or if nobody knows and it is UTF-8."""
        return frames.encode(payload, is_text=is_text)
