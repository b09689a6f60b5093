"""Whatever bytes follow a good handshake, they get what RFC 6455 demands, and nobody else notices.

Hypothesis makes up what clients send; the listener runs in a thread of its own meanwhile.
"""

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import websocket_house
from tests.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, frame
from tests.rfc6455 import Verdict, judge
from tests.rig.certs import Certs
from tests.threaded_house import Listener, running_listener
from tests.websocket_house import ROOMY

pytestmark = pytest.mark.slow

MAX_MESSAGE, MAX_FRAGMENTS = 1000, 6
"""Small, so that few bytes come across them."""
LIMITS = replace(ROOMY, max_message=MAX_MESSAGE, max_fragments=MAX_FRAGMENTS)


def in_fragments(opcode: int, data: bytes, sizes: list[int], between: list[bytes]) -> bytes:
    """A message cut into pieces of these sizes, with other frames between the first of them."""
    found = b""
    for number, size in enumerate(sizes):
        found += frame(opcode, data[:size], fin=False, key=KEY)
        found += between[number] if number < len(between) else b""
        opcode, data = CONTINUATION, data[size:]
    return found + frame(opcode, data, key=KEY)


KEY = b"\x17\x2a\x00\xff"
texts = st.text(max_size=40).map(str.encode)
payloads = st.binary(max_size=140) | st.just(b"\xe2\x82\xac" * (MAX_MESSAGE // 3))
pings = st.builds(frame, st.sampled_from([PING, PONG]), st.binary(max_size=125), key=st.just(KEY))
sizes = st.lists(st.integers(0, 20), max_size=MAX_FRAGMENTS - 1)
cut_messages = st.builds(
    in_fragments, st.just(TEXT), texts, sizes, st.lists(pings, max_size=3)
) | st.builds(in_fragments, st.just(BINARY), payloads, sizes, st.lists(pings, max_size=3))
messages = st.builds(frame, st.just(TEXT), texts, key=st.just(KEY)) | st.builds(
    frame, st.just(BINARY), payloads, key=st.just(KEY)
)
codes = st.sampled_from([0, 999, *range(1000, 1017), 2999, 3000, 4999, 5000, 65535])
reasons = st.builds(lambda code, text: code.to_bytes(2, "big") + text, codes, texts | payloads)
closes = st.builds(frame, st.just(CLOSE), reasons | st.binary(max_size=3), key=st.just(KEY))
odd = st.builds(
    frame,
    st.sampled_from([*range(16), TEXT, TEXT, TEXT, CONTINUATION]),
    texts | payloads | st.binary(min_size=MAX_MESSAGE, max_size=MAX_MESSAGE + 2),
    fin=st.booleans(),
    rsv=st.sampled_from([0, 0, 0, 0, 1, 2, 4, 7]),
    masked=st.sampled_from([True, True, True, True, False]),
    length=st.none() | st.none() | st.integers(0, 200) | st.integers(0, (1 << 64) - 1),
    width=st.none() | st.none() | st.just(8),
    key=st.binary(min_size=4, max_size=4),
)
dirty_texts = st.builds(
    in_fragments, st.just(TEXT), st.binary(min_size=1, max_size=9), sizes, st.lists(pings)
)
too_many = st.lists(st.integers(0, 9), min_size=MAX_FRAGMENTS, max_size=MAX_FRAGMENTS)
too_big = st.builds(
    in_fragments, st.just(BINARY), st.just(b"z" * (MAX_MESSAGE + 1)), sizes, st.lists(pings)
) | st.builds(in_fragments, st.just(BINARY), payloads, too_many, st.lists(pings))
good = st.lists(messages | cut_messages | pings, max_size=5).map(b"".join)
bad = odd | dirty_texts | too_big | closes | st.binary(max_size=20) | st.just(b"")
streams = st.builds(lambda first, then, rest: first + then + rest, good, bad, good)
cuts = st.lists(st.integers(1, 300), max_size=6)


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with running_listener(limits=LIMITS) as found:
        yield found


@pytest.fixture(scope="module")
def tls_listener(certs: Certs) -> Iterator[Listener]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(websocket_house, "TLS", certs)
        tls = ssl.create_default_context(cafile=certs.ca)
        with running_listener(tls=tls, limits=LIMITS) as found:
            yield found


def compare(heard: list[Frame], verdict: Verdict) -> None:
    """Whether what was heard until the end of the connection is right."""
    code: int | None = None
    if heard and heard[-1].opcode == CLOSE:
        code = heard.pop().code
    assert code in verdict.codes
    # The close overtakes what is still on its way through the route.
    messages = [each for each in heard if each.opcode in {TEXT, BINARY}]
    pongs = [each.payload for each in heard if each.opcode == PONG]
    assert messages == verdict.messages[: len(messages)]
    assert pongs == verdict.pongs[: len(pongs)]
    assert len(heard) == len(messages) + len(pongs)


def converse(listener: Listener, data: bytes, cuts: list[int]) -> None:
    """Sends it, and looks at what comes back until the end."""
    verdict = judge(data, max_message=MAX_MESSAGE, max_fragments=MAX_FRAGMENTS)
    with listener.client() as client:
        client.send(data, cuts)
        heard: list[Frame] = []
        if verdict.codes == {None}:
            heard = client.read(len(verdict.messages) + len(verdict.pongs))
            assert len(heard) == len(verdict.messages) + len(verdict.pongs)
        if listener.tls is None:
            client.sock.shutdown(socket.SHUT_WR)
        if listener.tls is None or None not in verdict.codes:
            heard += client.read(1000)
    compare(heard, verdict)
    assert listener.grumbles.records == []


@settings(max_examples=2000)
@given(data=streams, cuts=cuts)
def test_any_bytes_are_answered_as_the_rfc_demands(
    data: bytes, cuts: list[int], listener: Listener
) -> None:
    converse(listener, data, cuts)


@settings(max_examples=200)
@given(data=streams, cuts=cuts)
def test_any_bytes_are_answered_as_the_rfc_demands_by_tls(
    data: bytes, cuts: list[int], tls_listener: Listener
) -> None:
    converse(tls_listener, data, cuts)


def client_hello(tls: ssl.SSLContext) -> bytes:
    outgoing = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        tls.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="127.0.0.1").do_handshake()
    return outgoing.read()


@settings(max_examples=300)
@given(at=st.integers(0, 600), junk=st.binary(max_size=60), is_inserted=st.booleans())
def test_any_bytes_amid_a_tls_handshake_end_that_client_alone(
    at: int, junk: bytes, is_inserted: bool, tls_listener: Listener
) -> None:
    assert tls_listener.tls is not None
    hello = client_hello(tls_listener.tls)
    rest = hello[at:] if is_inserted else hello[at + len(junk) :]
    with tls_listener.connection() as sock:
        sock.sendall(hello[:at] + junk + rest)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(1 << 16):
            pass
    assert tls_listener.grumbles.records == []


@settings(max_examples=200)
@given(junk=st.binary(min_size=1, max_size=60))
def test_any_bytes_amid_a_tls_session_end_that_client_alone(
    junk: bytes, tls_listener: Listener
) -> None:
    with tls_listener.client() as client:
        os.write(client.sock.fileno(), junk)
        client.sock.shutdown(socket.SHUT_WR)
    with tls_listener.client() as client:
        client.send(frame(TEXT, b"still here"), [])
        assert client.read(1) == [Frame(TEXT, b"still here")]
    assert tls_listener.grumbles.records == []
