"""What RFC 6455 and our limits demand of a server for what a client sent: a second opinion.

Slow, simple, and written from the RFC alone, so that the listener can be held against it.
"""

from codecs import getincrementaldecoder
from dataclasses import dataclass, field

from tests.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, mask

PROTOCOL_ERROR, INVALID_TEXT, TOO_BIG = 1002, 1007, 1009
_UNSENDABLE = {1004, 1005, 1006, *range(1014, 3000)}
"""Reserved, or assigned to nothing. 1014 was in the meantime, to gateways; wsproto knows it not."""


@dataclass
class Verdict:
    """What is right to answer.

    Attributes:
        messages: whole ones, in their order.
        pongs: the payloads of pings, in their order.
        codes: with any of these it may be closed; None: it stays open. More than one where the
            client's last frame is not all there, or wrong in more than one way.
    """

    messages: list[Frame] = field(default_factory=list)
    pongs: list[bytes] = field(default_factory=list)
    codes: set[int | None] = field(default_factory=lambda: {None})


class _Closed(Exception):
    def __init__(self, *codes: int | None) -> None:
        super().__init__(codes)
        self.codes = set(codes)


def judge(data: bytes, *, max_message: int, max_fragments: int) -> Verdict:
    """What the bytes after a handshake are to be answered with."""
    verdict = Verdict()
    reader = _Reader(verdict, max_message, max_fragments)
    try:
        while data:
            data = data[reader.read_frame(data) :]
    except _Closed as closed:
        verdict.codes = closed.codes
    return verdict


class _Reader:
    def __init__(self, verdict: Verdict, max_message: int, max_fragments: int) -> None:
        self._verdict = verdict
        self._max_message = max_message
        self._max_fragments = max_fragments
        self._opcode: int | None = None  # of the message that is being read
        self._message = b""
        self._announced = self._fragments = 0
        self._decoder = getincrementaldecoder("utf-8")()

    def read_frame(self, data: bytes) -> int:
        """Its size."""
        if len(data) < 2:
            raise _Closed(None, PROTOCOL_ERROR)
        size, start = data[1] & 0x7F, 2
        if size > 125:
            start = 4 if size == 126 else 10
            if len(data) < start:
                raise _Closed(None, PROTOCOL_ERROR, TOO_BIG)
            size = int.from_bytes(data[2:start], "big")
        self._check_header(data, size, start)
        start += 4
        if len(data) < start + size:
            raise _Closed(None, INVALID_TEXT)
        payload = mask(data[start : start + size], data[start - 4 : start])
        opcode, is_final = data[0] & 0x0F, bool(data[0] & 0x80)
        match opcode:
            case 0x8:
                self._close(payload)
            case 0x9:
                self._verdict.pongs.append(payload)
            case 0xA:
                pass
            case _:
                self._read_data(opcode, payload, is_final=is_final)
        return start + size

    def _check_header(self, data: bytes, size: int, start: int) -> None:
        opcode, is_final = data[0] & 0x0F, bool(data[0] & 0x80)
        is_control = opcode in {CLOSE, PING, PONG}
        is_over = False
        if not opcode & 0x8:
            self._announced += size
            self._fragments += 1
            is_over = self._announced > self._max_message or self._fragments > self._max_fragments
        is_wrong = (
            bool(data[0] & 0x70)
            or not data[1] & 0x80
            or (start == 4 and size < 126)
            or (start == 10 and size < 1 << 16)
            or (is_control and (size > 125 or not is_final))
            or not (is_control or opcode in {TEXT, BINARY, CONTINUATION})
        )
        is_out_of_order = not is_control and (opcode == CONTINUATION) != (self._opcode is not None)
        if is_wrong or is_over or is_out_of_order:
            # Whether the order is right may be found out when the payload is there.
            may_wait = is_out_of_order and not is_wrong and not is_over
            is_whole = len(data) >= start + 4 + size
            raise _Closed(
                *[PROTOCOL_ERROR] * (is_wrong or is_out_of_order),
                *[TOO_BIG] * is_over,
                *[None] * (may_wait and not is_whole),
            )

    def _close(self, payload: bytes) -> None:
        if not payload:
            raise _Closed(1005)
        code = int.from_bytes(payload[:2], "big")
        if len(payload) == 1 or not 1000 <= code < 5000 or code in _UNSENDABLE:
            raise _Closed(PROTOCOL_ERROR)
        try:
            payload[2:].decode()
        except UnicodeDecodeError:
            raise _Closed(INVALID_TEXT) from None
        raise _Closed(code)

    def _read_data(self, opcode: int, payload: bytes, *, is_final: bool) -> None:
        if self._opcode is None:
            self._opcode = opcode
        self._message += payload
        if self._opcode == TEXT:
            try:
                self._decoder.decode(payload, is_final)
            except UnicodeDecodeError:
                raise _Closed(INVALID_TEXT) from None
        if is_final:
            self._verdict.messages.append(Frame(self._opcode, self._message))
            self._opcode, self._message = None, b""
            self._announced = self._fragments = 0
            self._decoder.reset()
