"""Requests taken apart. Those that are refused stand in `hostile_websockets.py`."""

import pytest

from routerd.connectors.websocket.codecs import CODECS
from routerd.connectors.websocket.handshake import (
    HEAD_BYTES,
    PackedHeaders,
    Refused,
    find_end,
    parse,
)
from routerd.connectors.websocket.reasons import Refusal
from routerd.connectors.websocket.session import Session
from tests.raw_websocket import request


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ("/", ("",)),
        ("/chat", ("chat",)),
        ("/chat/", ("chat", "")),
        ("//", ("", "")),
        ("/a%2Fb/c", ("a/b", "c")),
        ("/a/../b", ("a", "..", "b")),
        ("/%2e%2e", ("..",)),
        ("/%E2%82%AC/%20", ("\N{EURO SIGN}", " ")),
        ("/a%00b", ("a\0b",)),
        ("/%252F", ("%2F",)),
        ("/{device}/+", ("{device}", "+")),
    ],
)
def test_each_segment_is_decoded_once_by_itself(path: str, segments: tuple[str, ...]) -> None:
    asked = parse(request(path))
    assert asked.segments == segments
    assert asked.path == path.encode()


def test_the_query_belongs_to_no_segment() -> None:
    asked = parse(request("/chat?a=/b?c"))
    assert (asked.segments, asked.path, asked.query) == (("chat",), b"/chat", b"a=/b?c")


def test_a_browsers_request_is_accepted() -> None:
    asked = parse(
        request(
            "/chat",
            b"Pragma: no-cache",
            b"User-Agent: Mozilla/5.0",
            b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
            Host=b"example.org:8800",
            Connection=b"keep-alive, Upgrade",
            Origin=b"http://example.org:8800",
        )
    )
    asked.check_upgrade()


def test_what_trio_websocket_is_given_says_the_same_and_no_more() -> None:
    asked = parse(request("/a%2Fb?x=1", b"Sec-WebSocket-Protocol: p", b"Cookie: \xff"))
    again = parse(asked.encode())
    again.check_upgrade()
    assert (again.path, again.query, again.segments) == (asked.path, asked.query, asked.segments)
    assert {name for name, _ in again.headers} == {
        b"host", b"upgrade", b"connection", b"sec-websocket-version", b"sec-websocket-key",
    }  # fmt: skip


def test_a_head_ends_where_its_empty_line_does() -> None:
    head = request()
    assert find_end(head[:-1]) == -1
    assert find_end(head) == len(head)
    assert find_end(head + b"a frame already") == len(head)


def test_a_head_has_a_hundred_headers_at_most() -> None:
    own = len(parse(request()).headers)
    most = parse(request("/echo", *[b"a: b"] * (100 - own)))
    assert len(most.headers) == 100
    with pytest.raises(Refused) as caught:
        parse(request("/echo", *[b"a: b"] * (101 - own)))
    assert caught.value.reason is Refusal.TOO_LONG


@pytest.mark.parametrize("data", [b"A" * HEAD_BYTES, b"A" * HEAD_BYTES + b"a\r\n\r\n"])
def test_a_head_that_is_too_long_is_refused(data: bytes) -> None:
    with pytest.raises(Refused) as caught:
        find_end(data)
    assert caught.value.reason is Refusal.TOO_LONG


def test_a_refusal_says_the_status_and_nothing_of_us() -> None:
    answer = Refused(Refusal.BAD_METHOD, b"Allow: GET").encode()
    assert answer == (
        b"HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\n"
        b"Content-Length: 0\r\nConnection: close\r\n\r\n"
    )


def session_of(asked: bytes) -> Session:
    return Session(parse(asked), peer="192.0.2.1:7", codec=CODECS["raw"], send=bool)


def test_a_session_knows_what_its_client_said() -> None:
    odd = request("/chat?room=a%20b&x=&x=2&%ff=1", b"X-Id: 7", b"x-id: 8", b"Cookie: \xff")
    session = session_of(odd)
    assert dict(session.query) == {"room": "a b", "x": "2", "\N{REPLACEMENT CHARACTER}": "1"}
    assert session.headers["x-id"] == "7, 8"
    assert session.headers["cookie"] == "\N{REPLACEMENT CHARACTER}"
    assert session.headers["host"] == "127.0.0.1"


def test_no_two_sessions_have_the_same_name() -> None:
    assert len({session_of(request()).session for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "headers", [[], [(b"host", b"a")], [(b"x", b""), (b"x", b"b\nc"), (b"y", b"\xe4")]]
)
def test_headers_are_the_same_packed(headers: list[tuple[bytes, bytes]]) -> None:
    packed = PackedHeaders(headers)
    assert (list(packed), len(packed)) == (headers, len(headers))
    assert [packed[index] for index in range(len(packed))] == headers
    assert packed[1:] == headers[1:]
    assert packed == PackedHeaders(headers)
    assert packed != PackedHeaders([*headers, (b"z", b"")])
