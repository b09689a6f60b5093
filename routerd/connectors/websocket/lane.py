"""The fast lane: whole messages taken out of a client's bytes before trio-websocket sees them.

One that came in one frame, as nearly all do, is taken here. Whatever else a client sends is
passed on to trio-websocket as it is: control frames, messages in fragments, and all that is
illegal. This is also where a client's frames are held to their limits, since trio-websocket
counts characters instead of bytes, and fragments not at all. Knows no sockets.
"""

from codecs import getincrementaldecoder
from dataclasses import dataclass

from routerd.connectors.websocket.reasons import Ending

Said = tuple[bytes, bool]
"""A message of a client: its data, and whether it was sent as text, which then is UTF-8."""

_TEXT, _BINARY = 0x81, 0x82  # with FIN: a whole message
_CONTROLS = frozenset({0x88, 0x89, 0x8A})
_CONTINUATIONS = frozenset({0x00, 0x80})
_BEGINNINGS = frozenset({0x01, 0x02, _TEXT, _BINARY})
_Decoder = getincrementaldecoder("utf-8")
_FIN, _CONTROL, _CLOSE = 0x80, 0x08, 0x88
_MASKED = 0x80
_SHORTEST = 6  # bytes of a masked frame with nothing in it
_SHORT = 125  # RFC 6455 section 5.2: the most that a length of seven bits says


@dataclass(slots=True)
class Passed:
    """Bytes for trio-websocket: one frame, or what came with an illegal one and since.

    Attributes:
        is_control: whether it is a frame that is no part of a message.
        is_last: whether a message ends with it.
    """

    data: bytes
    is_control: bool = False
    is_last: bool = False


Run = list[Said] | Passed
"""What followed one another on the wire."""


class Lane:
    """Follows the frames of one client, fed in pieces of any size.

    A frame that is cut by the end of a piece is kept until the rest comes: the limit on a
    message bounds it, and each byte is copied a few times, however many pieces it comes in.

    Attributes:
        breach: which limit was exceeded; nothing shall be fed from then on.
    """

    __slots__ = (
        "_fragments", "_is_through", "_kept", "_message_bytes", "_most_bytes", "_most_fragments",
        "_needed", "_text", "breach",
    )  # fmt: skip

    def __init__(self, *, message_bytes: int, fragments: int) -> None:
        """One for a client of which no frame was seen yet.

        Args:
            message_bytes: most bytes of a message, its fragments together.
            fragments: most fragments of a message.
        """
        self._most_bytes = message_bytes
        self._most_fragments = fragments
        self._kept: bytearray | None = None
        self._needed = 2  # bytes of it that must be there before it says more
        self._text: _CutText | None = None  # as far as it is one
        self._fragments = 0  # of the message that isn't complete yet
        self._message_bytes = 0
        self._is_through = False  # trio-websocket gets all from here on, and will end it
        self.breach: Ending | None = None

    @property
    def is_between_messages(self) -> bool:
        """Whether what was passed on needs nothing after it, and is legal so far."""
        return not self._fragments and not self._is_through

    def feed(self, piece: bytes) -> list[Run]:
        """What came with `piece`, in order; without what a limit forbids, and all after it."""
        if self._kept is not None:
            self._kept += piece
            if len(self._kept) < self._needed:
                return self._look_ahead(self._kept)
            piece, self._kept, self._text = bytes(self._kept), None, None
        runs: list[Run] = []
        at, end = 0, len(piece)
        while at < end:
            said, at = self._take_whole(piece, at)
            if said:
                runs.append(said)
            passed = self._pass_on(piece, at)
            if passed is None:
                break
            runs.append(passed)
            at += len(passed.data)
        if at < end and self.breach is None:
            self._kept = bytearray(piece[at:])
            runs += self._look_ahead(self._kept)
        return runs

    def _look_ahead(self, kept: bytearray) -> list[Run]:
        """Passes on a text that isn't whole yet, if it shows already that it is none."""
        if kept[0] != _TEXT or len(kept) < _SHORTEST:
            return []
        if self._text is None:
            start, _ = _read_length(kept, 0)
            if start >= len(kept):
                return []
            self._text = _CutText(start=start)
        if self._text.is_utf8_so_far(kept):
            return []
        self._kept, self._is_through = None, True
        return [Passed(bytes(kept))]

    def _take_whole(self, data: bytes, at: int) -> tuple[list[Said], int]:
        """Takes messages until something else begins; gives where. Hot."""
        said: list[Said] = []
        if self._fragments or self._is_through:
            return said, at
        end, most, number = len(data), self._most_bytes, int.from_bytes
        last = end - _SHORTEST
        while at <= last:
            first, second = data[at], data[at + 1]
            if (first != _TEXT and first != _BINARY) or second < _MASKED:  # noqa: PLR1714 - hot
                break
            start, size = at + 6, second & 0x7F
            if size == 126:  # noqa: PLR2004 - RFC 6455 section 5.2
                start, size = at + 8, data[at + 2] << 8 | data[at + 3]
                size = size if size > _SHORT else -1
            elif size == 127:  # noqa: PLR2004
                start, size = _read_length(data, at)
            stop = start + size
            if stop > end or not 0 <= size <= most:
                break
            # As `_unmask`, without the call.
            mask = data[start - 4 : start] * ((size + 3) >> 2)
            if size & 3:
                mask = mask[:size]
            payload = (number(data[start:stop]) ^ number(mask)).to_bytes(size)
            if first == _TEXT and not (payload.isascii() or _is_utf8(payload)):
                break
            said.append((payload, first == _TEXT))
            at = stop
        return said, at

    def _pass_on(self, data: bytes, at: int) -> Passed | None:
        """The frame at `at`, which is not for the lane; None if it isn't whole, or too much."""
        if self._is_through:
            return Passed(data[at:])
        here = len(data) - at
        self._needed = 2 if here < 2 else _length_end(data[at + 1])  # noqa: PLR2004
        if here < self._needed:
            return None
        first = data[at]
        start, size = _read_length(data, at)
        if not first & _CONTROL and self._exceeds(size):
            return None
        if not self._is_legal(first, data[at + 1], size):
            self._is_through = True
            return Passed(data[at:])
        self._needed = start + size - at
        if here < self._needed:
            return None
        return self._count(first, data[at : start + size], size)

    def _exceeds(self, size: int) -> bool:
        """Whether a limit forbids to add a frame of `size` to the message."""
        if self._message_bytes + size > self._most_bytes:
            self.breach = Ending.TOO_BIG
        elif self._fragments >= self._most_fragments:
            self.breach = Ending.TOO_MANY_FRAGMENTS
        return self.breach is not None

    def _is_legal(self, first: int, second: int, size: int) -> bool:
        """Whether trio-websocket will go on after this frame, as far as its header tells."""
        if second < _MASKED or size < 0:
            return False
        if first & _CONTROL:
            return first in _CONTROLS and size <= _SHORT
        return first in (_CONTINUATIONS if self._fragments else _BEGINNINGS)

    def _count(self, first: int, frame: bytes, size: int) -> Passed:
        if first & _CONTROL:
            self._is_through = first == _CLOSE
            return Passed(frame, is_control=True)
        if first == _TEXT:  # it is whole, but not UTF-8
            self._is_through = True
        self._fragments += 1
        self._message_bytes += size
        is_last = first >= _FIN
        if is_last:
            self._fragments = self._message_bytes = 0
        return Passed(frame, is_last=is_last)


class _CutText:
    """What has come of a text; each byte is looked at once."""

    __slots__ = ("_at", "_decoder", "_start")

    def __init__(self, *, start: int) -> None:
        self._at = self._start = start
        self._decoder = _Decoder()

    def is_utf8_so_far(self, kept: bytearray) -> bool:
        """Whether what follows may still make it one."""
        key = bytes(kept[self._start - 4 : self._start])
        turn = (self._at - self._start) & 3
        text = _unmask(bytes(kept[self._at :]), key[turn:] + key[:turn])
        self._at = len(kept)
        try:
            self._decoder.decode(text)
        except UnicodeDecodeError:
            return False
        return True


def _unmask(data: bytes, key: bytes) -> bytes:
    size = len(data)
    mask = (key * ((size + 3) >> 2))[:size]
    return (int.from_bytes(data) ^ int.from_bytes(mask)).to_bytes(size)


def _length_end(second: int) -> int:
    """How many bytes of a header tell the length, by its second byte."""
    return {126: 4, 127: 10}.get(second & 0x7F, 2)


def _read_length(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """Where a frame's payload begins, and its size; negative: told in more bytes than it needs.

    Of a header that is cut, the first is beyond the end of `data`.
    """
    end = _length_end(data[at + 1])
    if end == 2:  # noqa: PLR2004 - the length is in the second byte
        return at + 6, data[at + 1] & 0x7F
    size = int.from_bytes(data[at + 2 : at + end], "big")
    least = _SHORT + 1 if end == 4 else 1 << 16  # noqa: PLR2004
    return at + end + 4, size if size >= least else -1


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
