"""The limits on what one client's message may be, judged from the headers of its frames.

trio-websocket counts characters instead of bytes, and fragments not at all, so the bytes
are looked at on their way to it. Payloads are skipped over; whether a frame is legal is left
to trio-websocket.
"""

from routerd.connectors.websocket.limits import Limits
from routerd.connectors.websocket.reasons import Ending

_CONTROL = 0x08
_CLOSE_OPCODE = 0x08


class FrameGuard:
    """Follows the frames of one client, fed in pieces of any size.

    Attributes:
        why: how the client shall be ended, once a breach was found.
    """

    __slots__ = (
        "_fragments", "_header", "_is_done", "_limits", "_message_bytes", "_skip", "why"
    )  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._skip = 0  # bytes of the current payload still to come
        self._header = b""  # what has come of a header that was cut by the end of a piece
        self._message_bytes = 0
        self._fragments = 0
        self._is_done = False
        self.why = Ending.TOO_BIG

    def find_breach(self, data: bytes) -> int | None:
        """Where the frame that is over a limit begins in `data`; None if there is none.

        A frame is judged by the length it announces. Negative: it began in an earlier piece,
        of which nothing but a part of its header has been passed on.
        """
        if self._is_done:
            return None
        if self._skip >= len(data):
            self._skip -= len(data)
            return None
        offset = self._skip - len(self._header)
        buffer = self._header + data[self._skip :] if self._header or self._skip else data
        position, self._skip, self._header = 0, 0, b""
        end = len(buffer)
        while position < end and not self._is_done:
            parsed = _parse_header(buffer, position)
            if parsed is None:
                self._header = buffer[position:]
                return None
            header_size, payload_size = parsed
            if not self._allows(buffer[position], payload_size):
                return offset + position
            position += header_size + payload_size
        self._skip = position - end
        return None

    def _allows(self, first: int, size: int) -> bool:
        """Counts one frame; `first` is the byte with FIN and the opcode."""
        if first & _CONTROL:
            self._is_done = first & 0x0F == _CLOSE_OPCODE
            return True
        self._message_bytes += size
        self._fragments += 1
        if self._message_bytes > self._limits.max_message:
            return False
        if self._fragments > self._limits.max_fragments:
            self.why = Ending.TOO_MANY_FRAGMENTS
            return False
        if first & 0x80:
            self._message_bytes = self._fragments = 0
        return True


def _parse_header(buffer: bytes, start: int) -> tuple[int, int] | None:
    """The sizes of the header and the payload of a frame; None if more bytes are needed."""
    size = len(buffer) - start
    if size < 2:  # noqa: PLR2004 - the two bytes that every frame has
        return None
    second = buffer[start + 1]
    mask = 4 if second & 0x80 else 0
    length = second & 0x7F
    if length < 126:  # noqa: PLR2004 - RFC 6455 section 5.2
        return 2 + mask, length
    extended = 2 if length == 126 else 8  # noqa: PLR2004
    if size < 2 + extended:
        return None
    return 2 + extended + mask, int.from_bytes(buffer[start + 2 : start + 2 + extended], "big")
