"""Wrong handshakes and wrong frames, and what each shall be answered with: tables of bytes."""

from collections.abc import Iterator

from tests.raw_websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    KEY,
    PING,
    PONG,
    TEXT,
    frame,
    request,
)

Row = tuple[str, bytes, int]

BAD = 400
CLIENT_HELLO = bytes.fromhex(
    "16030100c8010000c40303" + "ab" * 32 + "20" + "cd" * 32 + "001813011302c02bc02f0a0a"
)


def handshakes() -> Iterator[Row]:
    """Name, bytes, and the status that answers them; 101 where they are harmless."""
    yield from _non_ascii()
    yield from _headers()
    yield from _request_lines()
    yield from _sizes_and_bodies()


def _non_ascii() -> Iterator[Row]:
    odd = b"\xff\xc3\xa4\x80"
    good = request()
    yield "non-ASCII method", good.replace(b"GET", b"G\xc3\x84T"), BAD
    yield "non-ASCII path", good.replace(b"/echo", b"/echo/\xc3\xa4"), BAD
    yield "non-ASCII version", good.replace(b"HTTP/1.1", b"HTTP/1.\xff"), BAD
    yield "non-ASCII header name", request("/echo", b"X-\xc3\xa4: 1"), BAD
    yield "non-ASCII Host", request(Host=odd), 101
    yield "non-ASCII Upgrade", request(Upgrade=odd), 426
    yield "non-ASCII Connection", request(Connection=odd), BAD
    yield "non-ASCII Key", request(Sec_WebSocket_Key=odd), BAD
    yield "non-ASCII Version", request(Sec_WebSocket_Version=odd), 426
    yield "non-ASCII Protocol", request(Sec_WebSocket_Protocol=odd), 101
    yield "non-ASCII Extensions", request(Sec_WebSocket_Extensions=odd), 101
    yield "non-ASCII Origin", request(Origin=odd), 403
    yield "non-ASCII Cookie", request(Cookie=odd), 101
    yield "non-ASCII query", request("/echo?a=\N{EURO SIGN}"), BAD


def _headers() -> Iterator[Row]:
    yield "no Host", request(Host=None), BAD
    yield "two Hosts", request("/echo", b"Host: b"), BAD
    yield "empty Host", request(Host=b""), 101
    yield "empty Host with an Origin", request(Host=b"", Origin=b"http://a"), 403
    yield "no Upgrade", request(Upgrade=None), 426
    yield "two Upgrades", request("/echo", b"Upgrade: h2c"), 101
    yield "empty Upgrade", request(Upgrade=b""), 426
    yield "h2c", request(Upgrade=b"h2c"), 426
    yield "no Connection", request(Connection=None), BAD
    yield "empty Connection", request(Connection=b""), BAD
    yield "keep-alive only", request(Connection=b"keep-alive"), BAD
    yield "two Connections", request("/echo", b"Connection: keep-alive"), 101
    yield "no Key", request(Sec_WebSocket_Key=None), BAD
    yield "two Keys", request("/echo", b"Sec-WebSocket-Key: " + KEY), BAD
    yield "empty Key", request(Sec_WebSocket_Key=b""), BAD
    yield "Key that is not base64", request(Sec_WebSocket_Key=b"!" * 24), BAD
    yield "Key of 15 bytes", request(Sec_WebSocket_Key=b"MDEyMzQ1Njc4OWFiY2Rl"), BAD
    yield "Key of 17 bytes", request(Sec_WebSocket_Key=b"MDEyMzQ1Njc4OWFiY2RlZmc="), BAD
    yield "no Version", request(Sec_WebSocket_Version=None), 426
    yield "two Versions", request("/echo", b"Sec-WebSocket-Version: 13"), 426
    for version in (b"", b"0", b"7", b"8", b"99", b"13,13", b"013", b"thirteen"):
        yield f"Version {version!r}", request(Sec_WebSocket_Version=version), 426
    yield "foreign Origin", request(Origin=b"http://evil.example"), 403
    yield "Origin null", request(Origin=b"null"), 403
    yield "empty Origin", request(Origin=b""), 403
    yield "Origin of another port", request(Origin=b"http://127.0.0.1:81"), 403
    yield "Origin with a bad port", request(Origin=b"http://127.0.0.1:x"), 403
    yield "Origin with a bad bracket", request(Origin=b"http://[::1"), 403
    yield "Origin with our host as user", request(Origin=b"http://127.0.0.1@evil"), 403
    yield "Origin of another scheme", request(Origin=b"file://127.0.0.1"), 403
    yield "two Origins", request("/echo", b"Origin: http://evil", Origin=b"http://127.0.0.1"), 403
    yield "deflate", request(Sec_WebSocket_Extensions=b"permessage-deflate"), 101
    for bits in (b"abc", b"7", b"16", b"", b"-1"):
        value = b"permessage-deflate; client_max_window_bits=" + bits
        yield f"deflate with {bits!r}", request(Sec_WebSocket_Extensions=value), 101
    deflate = b"Sec-WebSocket-Extensions: permessage-deflate"
    yield "two Extensions", request("/echo", deflate, deflate), 101
    yield "empty Extensions", request(Sec_WebSocket_Extensions=b""), 101
    yield "Extensions of nothing but commas", request(Sec_WebSocket_Extensions=b",,;=,"), 101
    protocol = b"Sec-WebSocket-Protocol: a"
    yield "two Protocols", request("/echo", protocol, protocol), 101
    yield "empty Protocol", request(Sec_WebSocket_Protocol=b""), 101
    yield "Protocol of nothing but commas", request(Sec_WebSocket_Protocol=b",, ,"), 101
    protocols = b", ".join(b"p%d" % number for number in range(200))
    yield "200 subprotocols", request(Sec_WebSocket_Protocol=protocols), 101
    yield "header folding", request("/echo", b"X-A: 1", b" 2"), 101
    yield "NUL in a value", request("/echo", b"X-A: 1\x002"), BAD
    yield "CR in a value", request("/echo", b"X-A: 1\r2"), BAD
    yield "space before a colon", request("/echo", b"X-A : 1"), BAD
    yield "header without a colon", request("/echo", b"X-A"), BAD
    yield "header without a name", request("/echo", b": 1"), BAD


def _request_lines() -> Iterator[Row]:
    good = request()
    for method in (b"POST", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"CONNECT"):
        yield f"method {method!r}", good.replace(b"GET", method), 405
    yield "empty method", good.replace(b"GET", b""), BAD
    yield "method in lower case", good.replace(b"GET", b"get"), 405
    yield "HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BAD
    yield "OPTIONS *", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 405
    for version in (b"HTTP/0.9", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.1.1", b"http/1.1", b""):
        yield f"version {version!r}", good.replace(b"HTTP/1.1", version), BAD
    yield "absolute form", good.replace(b"/echo", b"http://127.0.0.1/echo"), BAD
    yield "authority form", good.replace(b"/echo", b"127.0.0.1:80"), BAD
    yield "empty path", good.replace(b"/echo", b""), BAD
    yield "fragment", request("/echo#a"), BAD
    yield "unrouted path", request("/nowhere"), 404
    yield "unrouted path without an upgrade", request("/nowhere", Upgrade=None), 404
    for path in ("//", "/../", "/../echo", "/echo/", "/%2e%2e/echo", "/echo%2F1", "/ECHO", "/"):
        yield f"path {path}", request(path), 101 if path == "/echo/" else 404
    yield "NUL in the path", request("/echo%00"), 404
    yield "escapes that are none", request("/echo/%zz"), BAD
    yield "half an escape", request("/echo/%"), BAD
    yield "escaped bytes that are no UTF-8", request("/echo/%ff%fe"), BAD
    yield "escaped surrogate", request("/echo/%ed%a0%80"), BAD
    yield "space in the path", request("/echo /1"), BAD
    yield "tab in the path", request("/echo\t1"), BAD


def _sizes_and_bodies() -> Iterator[Row]:
    good = request()
    yield "path of 16 KiB", request("/echo/" + "a" * 16384), 431
    yield "header of 20 KB", request("/echo", b"X-A: " + b"a" * 20000), 431
    yield "1000 headers", request("/echo", *[b"X-%d: 1234567" % n for n in range(1000)]), 431
    yield "endless line", b"A" * 70000, 431
    yield "bare LF", good.replace(b"\r\n", b"\n"), BAD
    yield "bare CR", good.replace(b"\r\n", b"\r") + b"\r\n\r\n", BAD
    yield "mixed line ends", good.replace(b"\r\nHost", b"\nHost"), 101
    yield "nothing but line ends", b"\r\n" * 10, 400
    yield "Content-Length 10", request("/echo", b"Content-Length: 10") + b"0123456789", BAD
    yield "Content-Length -1", request("/echo", b"Content-Length: -1"), BAD
    yield "Content-Length text", request("/echo", b"Content-Length: ten"), BAD
    yield "two Content-Lengths", request("/echo", b"Content-Length: 1", b"Content-Length: 2"), BAD
    chunked = b"Transfer-Encoding: chunked"
    yield "chunked", request("/echo", chunked) + b"5\r\nhello\r\n0\r\n\r\n", BAD
    yield "chunked with a length", request("/echo", chunked, b"Content-Length: 5"), BAD
    yield "odd transfer encoding", request("/echo", b"Transfer-Encoding: gzip"), 400
    yield "a body that no length announces", request("/nowhere") + b"hello", 404
    yield "Expect", request("/echo", b"Expect: 100-continue"), 101
    yield "a second request behind a refused one", request("/nowhere") + request(), 404
    yield "a second request behind a good one", request() + request(), 101
    yield "a broken frame behind a good request", request() + b"\xff" * 50, 101
    yield "a broken frame behind a refused request", request("/nowhere") + b"\xff" * 50, 404
    yield "nothing but NULs", bytes(9000), 431
    yield "garbage", b"GARBAGE\r\n\r\n", BAD
    yield "binary garbage", bytes(range(256)) + b"\r\n\r\n", BAD
    yield "TLS on the plain port", CLIENT_HELLO + b"\r\n\r\n", BAD
    yield "a frame instead of a request", frame(TEXT, b"hello") + b"\r\n\r\n", BAD
    yield "an MQTT CONNECT", b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00\r\n\r\n", BAD


OVER = (1 << 20) + 1


def frames() -> Iterator[Row]:
    """Name, bytes after the handshake, and the close code that answers them."""
    yield from _headers_of_frames()
    yield from _fragments()
    yield from _texts()
    yield from _closes()


def _headers_of_frames() -> Iterator[Row]:
    broken = 1002
    for opcode in (TEXT, BINARY, PING, CLOSE):
        yield f"unmasked {opcode}", frame(opcode, b"", masked=False), broken
    for rsv in range(1, 8):
        yield f"reserved bits {rsv:03b}", frame(TEXT, b"a", rsv=rsv), broken
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        yield f"opcode {opcode}", frame(opcode, b"a"), broken
    yield "length 5 in 2 bytes", frame(TEXT, b"hello", width=2), broken
    yield "length 5 in 8 bytes", frame(TEXT, b"hello", width=8), broken
    yield "length 1000 in 8 bytes", frame(TEXT, b"a" * 1000, width=8), broken
    yield "length 2^63", frame(BINARY, length=1 << 63, width=8), 1009
    yield "length 2^64-1", frame(BINARY, length=(1 << 64) - 1, width=8), 1009
    yield "length 2^62", frame(BINARY, length=1 << 62, width=8), 1009
    yield "length 4 GiB", frame(TEXT, length=1 << 32, width=8), 1009
    yield "one byte too many", frame(TEXT, b"a" * OVER), 1009
    yield "one byte too many, binary", frame(BINARY, b"a" * OVER), 1009
    yield "ping of 126", frame(PING, b"a" * 126), broken
    yield "pong of 126", frame(PONG, b"a" * 126), broken
    yield "close of 126", frame(CLOSE, b"\x03\xe8" + b"a" * 124), broken
    yield "ping of 64 KiB", frame(PING, b"a" * 65536), broken
    for opcode in (PING, PONG, CLOSE):
        yield f"fragmented control {opcode}", frame(opcode, b"", fin=False), broken
    yield "a second request", request(), broken
    yield "zeros", bytes(100), broken
    yield "ones", b"\xff" * 100, broken


def odd_but_right() -> Iterator[tuple[str, bytes, list[bytes]]]:
    """Name, bytes after the handshake, and the messages and pongs that answer them."""
    a, b, end = frame(TEXT, b"a", fin=False), frame(CONTINUATION, b"b", fin=False), CONTINUATION
    full = b"x" * (OVER - 1)
    yield "an empty text", frame(TEXT), [b""]
    yield "an empty binary", frame(BINARY), [b""]
    yield "empty fragments", frame(TEXT, fin=False) + frame(end, fin=False) + frame(end), [b""]
    yield "three fragments", a + b + frame(end, b"c"), [b"abc"]
    yield "a ping amid fragments", a + frame(PING, b"p") + frame(end, b"b"), [b"p", b"ab"]
    yield "a pong amid fragments", a + frame(PONG, b"p") + frame(end, b"b"), [b"ab"]
    yield "an empty ping", frame(PING), [b""]
    yield "a ping of 125", frame(PING, b"p" * 125), [b"p" * 125]
    yield "pongs that nobody asked for", frame(PONG) + frame(PONG, b"p") + frame(TEXT, b"a"), [b"a"]
    yield "a message one byte short of the limit", frame(BINARY, full[1:]), [full[1:]]
    yield "a message at the limit", frame(BINARY, full), [full]
    halves = frame(BINARY, full[:1000], fin=False) + frame(end, full[1000:])
    yield "a message at the limit in two", halves, [full]
    yield "as many fragments as may be", a + b * 1022 + frame(end), [b"a" + b"b" * 1022]
    for size in (125, 126, 127, 65535, 65536):
        yield f"a message of {size}", frame(TEXT, b"x" * size), [b"x" * size]
    euro = "\N{EURO SIGN}".encode()
    cut = frame(TEXT, euro[:1], fin=False) + frame(end, euro[1:2], fin=False) + frame(end, euro[2:])
    yield "a character cut at the edges of fragments", cut, [euro]
    yield "bytes that are no UTF-8 as binary", frame(BINARY, b"\xff\xfe"), [b"\xff\xfe"]
    yield "the last character of all", frame(TEXT, "\U0010ffff".encode()), ["\U0010ffff".encode()]
    yield "NULs as text", frame(TEXT, bytes(3)), [bytes(3)]
    yield "a hundred in one segment", frame(TEXT, b"a") * 100, [b"a"] * 100
    two = frame(TEXT, b"a" * 60000, fin=False) + frame(end, b"b" * 60000) + frame(BINARY, b"c")
    yield "large fragments and another message", two, [b"a" * 60000 + b"b" * 60000, b"c"]
    yield "a mask of zeros", b"\x81\x81\0\0\0\0a", [b"a"]


def _fragments() -> Iterator[Row]:
    first = frame(TEXT, b"a", fin=False)
    more = frame(CONTINUATION, b"a", fin=False)
    yield "continuation of nothing", frame(CONTINUATION, b"a"), 1002
    yield "unfinished continuation of nothing", more, 1002
    yield "continuation after the end", frame(TEXT, b"a") + more, 1002
    yield "text among fragments", first + frame(TEXT, b"a"), 1002
    yield "binary among fragments", first + frame(BINARY, b"a"), 1002
    yield "too many fragments", first + more * 1100, 1009
    yield "too many empty fragments", first + frame(CONTINUATION, fin=False) * 5000, 1009
    yield "too many empty first ones", frame(TEXT, fin=False) + frame(TEXT, fin=False), 1002
    half = frame(CONTINUATION, b"a" * (OVER // 2), fin=False)
    yield "too many bytes in fragments", first + half + half, 1009
    yield (
        "too many bytes announced in fragments",
        first + frame(CONTINUATION, length=OVER, width=8),
        1009,
    )
    euro = "\N{EURO SIGN}".encode() * (OVER // 3 + 1)
    yield "few characters of many bytes", frame(TEXT, euro), 1009
    yield "pings among too many fragments", first + (more * 20 + frame(PING, b"x")) * 55, 1009


def _texts() -> Iterator[Row]:
    invalid = 1007
    wrong = {
        "0xFF": b"\xff",
        "continuation byte alone": b"a\x80",
        "overlong": b"\xc0\xaf",
        "overlong in three bytes": b"\xe0\x80\xaf",
        "surrogate": b"\xed\xa0\x80",
        "above U+10FFFF": b"\xf4\x90\x80\x80",
        "cut at the end": b"abc\xe2\x82",
        "latin-1": b"caf\xe9",
    }
    for name, text in wrong.items():
        yield f"text: {name}", frame(TEXT, text), invalid
    yield (
        "text: wrong across fragments",
        frame(TEXT, b"\xe2", fin=False) + frame(CONTINUATION, b"\x28\xa1"),
        invalid,
    )
    yield (
        "text: cut at the last fragment",
        frame(TEXT, b"\xe2", fin=False) + frame(CONTINUATION, b"\x82"),
        invalid,
    )
    yield "text: wrong before the end", frame(TEXT, b"\xff", fin=False), invalid


def _closes() -> Iterator[Row]:
    yield "close of one byte", frame(CLOSE, b"\x03"), 1002
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535):
        yield f"close code {code}", frame(CLOSE, code.to_bytes(2, "big")), 1002
    yield "close with a reason that is no UTF-8", frame(CLOSE, b"\x03\xe8\xff"), 1007
    yield "close without a code", frame(CLOSE), 1005
    for code in (1000, 1001, 1002, 1003, 1007, 1011, 3000, 3999, 4000, 4999):
        yield f"proper close {code}", frame(CLOSE, code.to_bytes(2, "big")), code
    yield "longest reason", frame(CLOSE, b"\x03\xe8" + b"a" * 123), 1000
    yield "reason of 124", frame(CLOSE, b"\x03\xe8" + b"a" * 124), 1002
    yield "close amid fragments", frame(TEXT, b"a", fin=False) + frame(CLOSE, b"\x03\xe8"), 1000
    yield "close without a mask", frame(CLOSE, b"\x03\xe8", masked=False), 1002
    yield "two closes", frame(CLOSE, b"\x03\xe8") * 2, 1000
    yield "text after close", frame(CLOSE, b"\x03\xe8") + frame(TEXT, b"a"), 1000
    yield "too big a text after close", frame(CLOSE, b"\x03\xe8") + frame(TEXT, b"a" * OVER), 1000
    yield "garbage after close", frame(CLOSE, b"\x03\xe8") + b"\xff" * 50, 1000
    yield "ping after close", frame(CLOSE, b"\x03\xe8") + frame(PING, b"a"), 1000
