"""Whatever a stranger writes into a handshake, it is answered, and lets nobody in.

Hypothesis makes up requests and tokens; the listener asks for one and runs in a thread of its own.
"""

import base64
import hashlib
import hmac
import json
import re
import socket
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.entry_tables import entry_of
from tests.entry_tokens import AUDIENCE, ISSUER, SECRET, public_pem, write_files
from tests.raw_websocket import request
from tests.threaded_house import Blocking, Listener, running_listener

pytestmark = pytest.mark.slow

TABLE = """
trusted_proxies = ["127.0.0.0/8"]
[ws.auth]
tokens = "tokens.toml"
cookie = "session"
query = "token"
jwt = [
    { algorithm = "HS256", key = "hs.key", audience = ["routerd"], issuer = "https://id.example" },
    { jwks = "jwks.json", audience = ["routerd"], issuer = "https://id.example" },
]
[ws.paths."/echo/{room}"]
allow = { room = ["{@claim.room}", "{@claim.level}-{@claim.room}"] }
"""


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listener]:
    """One that wants a token, in any of the places where it may stand."""
    folder = tmp_path_factory.mktemp("entry")
    write_files(folder)
    with running_listener(entry=entry_of(TABLE, folder=folder)) as found:
        yield found


def ask(listener: Listener, head: bytes, cuts: list[int]) -> int | None:
    """The status that answers a request; None: it was cut without one."""
    with listener.connection() as sock:
        Blocking(sock).send(head, cuts)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while data := sock.recv(1 << 16):
            answer += data
    assert listener.grumbles.records == []
    if not answer:
        return None
    found = re.match(rb"HTTP/1\.1 ([1-5][0-9]{2}) [ -~]+\r\n([ -~]+\r\n)*\r\n", answer)
    assert found is not None, answer
    return int(found[1])


names = st.sampled_from(
    b"Host Upgrade Connection Origin Cookie Authorization Expect X-Forwarded-For Content-Length "
    b"Sec-WebSocket-Key Sec-WebSocket-Version Sec-WebSocket-Protocol Sec-WebSocket-Extensions "
    b"X-Odd".split()
)
values = st.binary(max_size=30) | st.sampled_from(
    b"websocket|Upgrade|13|127.0.0.1|http://127.0.0.1|[::1|a:b:c|Bearer a.b.c|Bearer e30.e30.|"
    b'bearer.e30.e30.e30|routerd.ack.v1|,|session=a; session=b|session="|bearer.|bearer.\xff|'
    b"127.0.0.1, ::1%1, [::]:1|::ffff:1.2.3|chunked|0|Bearer \xff|Basic a|session=\xff".split(b"|")
)
lines = st.builds(lambda name, value: name + b": " + value, names, values)
paths = st.text(max_size=20).map(lambda text: "/echo/" + quote(text)) | st.sampled_from(
    ["/echo", "/echo/%00", "/echo/%ff", "/echo//", "//", "/no", "/echo?token=%ff&token", "/?token="]
)
cuts = st.lists(st.integers(1, 300), max_size=6)
whole_requests = st.builds(
    lambda path, more: request(path, *more), paths, st.lists(lines, max_size=4)
)
spoilt_requests = st.builds(
    lambda head, at, size, junk: head[:at] + junk + head[at + size :],
    whole_requests,
    st.integers(0, 250),
    st.integers(0, 9),
    st.binary(max_size=9),
)


@settings(max_examples=1000)
@given(head=whole_requests | spoilt_requests, cuts=cuts)
def test_any_request_without_a_token_is_answered_and_refused(
    head: bytes, cuts: list[int], listener: Listener
) -> None:
    assert ask(listener, head, cuts) != 101


def token(header: bytes, claims: bytes, key: bytes) -> bytes:
    """A signed one, of any two texts."""
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, claims))
    signature = hmac.digest(key, signed, hashlib.sha256) if key else b""
    return signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")


def as_object(pairs: list[tuple[str, str]]) -> bytes:
    """As JSON; of values that are JSON already, or nearly. Names may come twice."""
    return ("{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in pairs) + "}").encode()


numbers = ["0", "-1", "7", "1e400", "-1e400", "NaN", "Infinity", "4102444800.5", "1" * 5000]
texts = ['""', '"a"', r'"\ud800"', r'"\u0000"', '"4102444800"', '"HS256"', '"none"']
others = ["true", "null", "[]", '["a"]', '["a",{},[],null,1]', "{}", '{"a":{}}', "[", "[" * 900]
json_values = st.sampled_from(numbers + texts + others) | st.text(max_size=9).map(json.dumps)
claim_names = st.sampled_from(
    ["room", "level", "level", "level", "sub", "room.a", "exp", "nbf", "iat", "aud", "iss"]
)
sound_claims = [
    ("exp", "4102444800"),
    ("aud", json.dumps(AUDIENCE)),
    ("iss", json.dumps(ISSUER)),
    ("room", '"a"'),
]
claims = st.builds(
    lambda more, kept: as_object([*sound_claims[:kept], *more]),
    st.lists(st.tuples(claim_names, json_values), max_size=4),
    st.sampled_from([4, 4, 4, 4, 3, 2, 1, 0]),
)
headers = st.lists(
    st.tuples(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jku", "x5c"]), json_values),
    max_size=3,
).map(as_object)


@settings(max_examples=500)
@given(
    header=st.sampled_from([b'{"alg":"HS256"}', b'{"kid":"","alg":"HS256"}']),
    claims=claims,
    room=st.sampled_from("a7"),
)
def test_any_signed_claims_are_judged(
    header: bytes, claims: bytes, room: str, listener: Listener
) -> None:
    shown = b"Authorization: Bearer " + token(header, claims, SECRET)
    assert ask(listener, request(f"/echo/{room}", shown), []) in {101, 401, 403, 431}


@settings(max_examples=500)
@given(
    header=headers | st.sampled_from([b'{"alg":"HS256"}', b'{"alg":"none"}', b'{"alg":"RS256"}']),
    claims=claims | st.binary(max_size=30),
    key=st.sampled_from([b"", b"x", public_pem("rsa")]),
)
def test_no_token_that_others_signed_lets_anybody_in(
    header: bytes, claims: bytes, key: bytes, listener: Listener
) -> None:
    shown = b"Authorization: Bearer " + token(header, claims, key)
    assert ask(listener, request("/echo/a", shown), []) in {401, 431}
