"""What a client asks for in its opening handshake, and the refusals that need no routing.

The request is read and judged here, within bounds, and trio-websocket is then given one that
says the same in canonical form: bytes that make its parsers fail never come to it. Extensions
are not passed on, nor are subprotocols but the one that is chosen.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload
from urllib.parse import parse_qsl, unquote_to_bytes

import h11

from routerd.connectors.websocket.reasons import Refusal

PLAIN = "routerd.v1"
"""The subprotocol that says nothing but that there is one: browsers that name any insist on it."""
HEAD_BYTES = 8 << 10
"""Most bytes of a request's head."""
MOST_HEADERS = 100
"""They stay with the client, and the shortest take twenty times their bytes in memory."""

_TLS_HANDSHAKE = b"\x16\x03"
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")

_LENGTH = 4  # bytes that tell one

Headers = Sequence[tuple[bytes, bytes]]


class PackedHeaders(Sequence[tuple[bytes, bytes]]):
    """Headers that are seldom looked at, in a fifth of the memory: each client has them."""

    __slots__ = ("_packed",)

    def __init__(self, headers: Headers) -> None:
        pieces = [piece for header in headers for piece in header]
        self._packed = b"".join([len(piece).to_bytes(_LENGTH) + piece for piece in pieces])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PackedHeaders) and self._packed == other._packed

    def __hash__(self) -> int:
        return hash(self._packed)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self._unpack())

    def __len__(self) -> int:
        return len(self._unpack())

    @overload
    def __getitem__(self, index: int) -> tuple[bytes, bytes]: ...

    @overload
    def __getitem__(self, index: slice) -> Headers: ...

    def __getitem__(self, index: int | slice) -> tuple[bytes, bytes] | Headers:
        return self._unpack()[index]

    def _unpack(self) -> list[tuple[bytes, bytes]]:
        packed, at, pieces = self._packed, 0, list[bytes]()
        while at < len(packed):
            start = at + _LENGTH
            at = start + int.from_bytes(packed[at:start])
            pieces.append(packed[start:at])
        return list(zip(pieces[::2], pieces[1::2], strict=True))


class Refused(Exception):
    """The request gets an HTTP answer instead of a WebSocket. Nobody is told more than this."""

    def __init__(self, reason: Refusal, *headers: bytes) -> None:
        super().__init__(reason.word)
        self.reason = reason
        self._headers = headers

    def encode(self) -> bytes:
        """The answer; the connection is closed after it."""
        status = self.reason.status
        lines = [
            b"HTTP/1.1 %d %s" % (status, status.phrase.encode()),
            *self._headers,
            b"Content-Length: 0",
            b"Connection: close",
        ]
        return b"\r\n".join(lines) + b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Handshake:
    """An HTTP request of which nothing but its syntax is known to be right.

    Attributes:
        path: as it was sent, still encoded, without the query.
        segments: of the path, each decoded by itself.
        query: as it was sent.
        headers: in their order, names in lower case.
    """

    path: bytes
    segments: tuple[str, ...]
    query: bytes
    headers: Headers

    def check_upgrade(self) -> None:
        """Whether it asks for a WebSocket, in full (RFC 6455 section 4.2.1).

        Raises:
            Refused: it doesn't.
        """
        if b"websocket" not in self._tokens(b"upgrade"):
            raise Refused(Refusal.NO_UPGRADE, b"Upgrade: websocket", b"Sec-WebSocket-Version: 13")
        if self.all(b"sec-websocket-version") != [b"13"]:
            raise Refused(Refusal.NO_UPGRADE, b"Sec-WebSocket-Version: 13")
        keys = self.all(b"sec-websocket-key")
        if len(keys) != 1 or not _is_key(keys[0]) or b"upgrade" not in self._tokens(b"connection"):
            raise Refused(Refusal.BAD_REQUEST)

    def offers(self, subprotocol: str) -> bool:
        """Whether the client speaks it. Others that it names say nothing to us."""
        name = subprotocol.encode()
        values = self.all(b"sec-websocket-protocol")
        return any(token.strip() == name for value in values for token in value.split(b","))

    def encode(self, subprotocol: str | None = None) -> bytes:
        """The request that trio-websocket is given; for one that asks for a WebSocket.

        Args:
            subprotocol: the only one that it offers there.
        """
        more = f"\r\nSec-WebSocket-Protocol: {subprotocol}".encode() if subprotocol else b""
        target = self.path + b"?" + self.query if self.query else self.path
        return (
            b"GET " + target + b" HTTP/1.1\r\nHost: routerd\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: " + self.all(b"sec-websocket-key")[0] + more + b"\r\n\r\n"
        )

    @property
    def host(self) -> bytes:
        """What it was asked as; HTTP/1.1 has just one."""
        return self.all(b"host")[0]

    def all(self, name: bytes) -> list[bytes]:
        """The values of a header, in their order."""
        return [value for header, value in self.headers if header == name]

    def read_query(self) -> dict[str, str]:
        """The parameters, decoded; of one given twice, the last."""
        return dict(parse_qsl(self.query.decode("ascii"), keep_blank_values=True))

    def read_headers(self) -> dict[str, str]:
        """The headers as texts; those given twice joined by commas."""
        found: dict[str, str] = {}
        for name, value in self.headers:
            key, text = name.decode("ascii"), value.decode("utf-8", "replace")
            found[key] = f"{found[key]}, {text}" if key in found else text
        return found

    def _tokens(self, name: bytes) -> list[bytes]:
        return [token.strip().lower() for value in self.all(name) for token in value.split(b",")]


def find_end(received: bytes) -> int:
    """Where the head of a request ends in what was received so far; -1 if it hasn't yet.

    Raises:
        Refused: it is too long, its lines end in a bare line feed, or it is TLS.
    """
    if received.startswith(_TLS_HANDSHAKE):
        raise Refused(Refusal.UNEXPECTED_TLS)
    end = received.find(b"\r\n\r\n")
    if end > HEAD_BYTES or (end < 0 and len(received) >= HEAD_BYTES):
        raise Refused(Refusal.TOO_LONG)
    if b"\n\n" in (received if end < 0 else received[:end]):
        raise Refused(Refusal.BAD_REQUEST)
    return -1 if end < 0 else end + 4


def parse(head: bytes) -> Handshake:
    """Takes a request's head apart.

    Raises:
        Refused: it is no GET of HTTP/1.1 with a path of ours, or carries a body.
    """
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES + 4)
    try:
        connection.receive_data(head)
        request = connection.next_event()
        following = connection.next_event()
    except h11.RemoteProtocolError:
        raise Refused(Refusal.BAD_REQUEST) from None
    if not isinstance(request, h11.Request) or request.http_version != b"1.1":
        raise Refused(Refusal.BAD_REQUEST)
    if len(request.headers) > MOST_HEADERS:
        raise Refused(Refusal.TOO_LONG)
    if request.method != b"GET":
        raise Refused(Refusal.BAD_METHOD, b"Allow: GET")
    if not isinstance(following, h11.EndOfMessage):
        raise Refused(Refusal.BAD_REQUEST)
    path, _, query = request.target.partition(b"?")
    return Handshake(path, _segments(path), query, PackedHeaders(request.headers))


def _segments(path: bytes) -> tuple[str, ...]:
    """The segments of an absolute path; `..` and empty ones are names like any other."""
    if not path.startswith(b"/") or b"#" in path or _BAD_ESCAPE.search(path):
        raise Refused(Refusal.BAD_REQUEST)
    try:
        return tuple(unquote_to_bytes(part).decode() for part in path[1:].split(b"/"))
    except UnicodeDecodeError:
        raise Refused(Refusal.BAD_REQUEST) from None


def _is_key(value: bytes) -> bool:
    """Whether it is 16 bytes in base64 (RFC 6455 section 4.2.1)."""
    try:
        return len(b64decode(value, validate=True)) == 16  # noqa: PLR2004
    except binascii.Error:
        return False
