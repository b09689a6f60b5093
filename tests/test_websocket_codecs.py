"""Each wire format, byte for byte, both ways."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routerd.connectors.websocket.codecs import CODECS
from routerd.connectors.websocket.codecs.codec import BadType, Undecodable
from routerd.errors import DeliveryFailed

CHAT = b'{"type":1,"message":"hi"}'
KRATOS = bytes.fromhex(
    "01 00 00 00 7b 22 74 79 70 65 22 3a 31 2c 22 6d 65 73 73 61 67 65 22 3a 22 68 69 22 7d"
)
KRATOS_TEXT = rb'{"type":1,"payload":"{\"type\":1,\"message\":\"hi\"}"}'
POSITIONS = b'[{"vehicle_id":"0018.00423","longitude":24.687111}]'
EVENT = (
    rb'{"event_id":"positions",'
    rb'"payload":"[{\"vehicle_id\":\"0018.00423\",\"longitude\":24.687111}]"}'
)
TYPED = ["kratos", "kratos-text", "event"]

kinds = {
    "kratos": st.integers(0, 0xFFFF_FFFF).map(str),
    "kratos-text": st.integers(0, 0xFFFF_FFFF).map(str),
    "event": st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
}
texts = st.text(st.characters(exclude_categories=["Cs"])).map(str.encode)


def data_of(frame: bytes) -> bytes:
    """The data of a server's frame."""
    start = {126: 4, 127: 10}.get(frame[1], 2)
    return frame[start:]


@pytest.mark.parametrize(
    ("name", "kind", "payload", "data", "first"),
    [
        ("raw", None, CHAT, CHAT, 0x81),
        ("kratos", "1", CHAT, KRATOS, 0x82),
        ("kratos", "0", b"", bytes(4), 0x82),
        ("kratos", "4294967295", b"\xff", b"\xff\xff\xff\xff\xff", 0x82),
        ("kratos-text", "1", CHAT, KRATOS_TEXT, 0x81),
        ("event", "positions", POSITIONS, EVENT, 0x82),
        ("event", "r\xe4t", b"", b'{"event_id":"r\xc3\xa4t","payload":""}', 0x82),
    ],
)  # fmt: skip
def test_a_frame_is_what_the_format_says_both_ways(
    name: str, kind: str | None, payload: bytes, data: bytes, first: int
) -> None:
    codec = CODECS[name]
    frame = codec.encode(kind, payload, is_text=None)
    assert frame[0] == first
    assert data_of(frame) == data
    found = codec.decode(data, is_text=first == 0x81)
    assert found[:2] == (kind, payload)


@pytest.mark.parametrize("is_text", [False, True])
def test_a_raw_frame_keeps_its_kind(is_text: bool) -> None:
    assert CODECS["raw"].decode(b"x", is_text=is_text) == (None, b"x", is_text)
    assert CODECS["raw"].encode(None, b"x", is_text=is_text)[0] == (0x81 if is_text else 0x82)


@pytest.mark.parametrize("name", ["kratos-text", "event"])
def test_a_payload_in_a_string_is_text(name: str) -> None:
    data = KRATOS_TEXT if name == "kratos-text" else EVENT
    assert CODECS[name].decode(data, is_text=False)[2] is True


@pytest.mark.parametrize(
    ("name", "data", "is_text"),
    [
        ("kratos", b"", False),
        ("kratos", b"\x01\x00\x00", False),
        ("kratos", KRATOS, True),
        ("kratos-text", b"", True),
        ("kratos-text", b"[]", True),
        ("kratos-text", b'{"payload":""}', True),
        ("kratos-text", b'{"type":"1","payload":""}', True),
        ("kratos-text", b'{"type":-1,"payload":""}', True),
        ("kratos-text", b'{"type":4294967296,"payload":""}', True),
        ("kratos-text", b'{"type":1e99,"payload":""}', True),
        ("kratos-text", b'{"type":true,"payload":""}', True),
        ("kratos-text", b'{"type":1,"payload":{"message":"hi"}}', True),
        ("event", b"{", False),
        ("event", b'{"payload":""}', False),
        ("event", b'{"event_id":1,"payload":""}', False),
        ("event", b'{"event_id":"a","payload":null}', False),
        ("event", b'{"event_id":"a","payload":"\xff"}', False),
        ("event", rb'{"event_id":"a","payload":"\ud800"}', False),
        ("event", b'{"event_id":"a","payload":""}{}', False),
        ("event", b'{"event_id":"a","x":' + b"[" * 100_000, False),
    ],
)
def test_anything_else_is_undecodable(name: str, data: bytes, is_text: bool) -> None:
    with pytest.raises(Undecodable):
        CODECS[name].decode(data, is_text=is_text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("raw", "1"),
        ("kratos", ""),
        ("kratos", "chat"),
        ("kratos", "01"),
        ("kratos", "-1"),
        ("kratos", "+1"),
        ("kratos", "1 "),
        ("kratos", "4294967296"),
        ("kratos", "\N{ARABIC-INDIC DIGIT ONE}"),
        ("kratos-text", "1.0"),
        ("event", ""),
        ("event", "@connect"),
    ],
)
def test_what_names_no_type_is_refused(name: str, text: str) -> None:
    with pytest.raises(BadType):
        CODECS[name].read_type(text)


@pytest.mark.parametrize(
    ("name", "kind", "payload", "why"),
    [
        ("kratos", "viewport", b"", "its type 'viewport' is no number from 0 to 4294967295"),
        ("kratos", None, b"", "its type None is no number"),
        ("kratos-text", "1", b"\xff", "its payload is not UTF-8"),
        ("kratos-text", "x", b"", "its type 'x' is no number"),
        ("event", "a", b"\xff", "its payload is not UTF-8"),
        ("event", None, b"", "it has no type"),
    ],
)
def test_what_a_format_cannot_carry_is_a_failure_of_that_message(
    name: str, kind: str | None, payload: bytes, why: str
) -> None:
    with pytest.raises(DeliveryFailed, match=why) as failure:
        CODECS[name].encode(kind, payload, is_text=None)
    assert failure.value.reason == "unroutable"


@pytest.mark.slow
@pytest.mark.parametrize("name", TYPED)
@settings(max_examples=2000)
@given(data=st.data(), payload=texts)
def test_what_was_encoded_is_decoded_again(name: str, data: st.DataObject, payload: bytes) -> None:
    kind = data.draw(kinds[name])
    codec = CODECS[name]
    frame = codec.encode(kind, payload, is_text=None)
    found = codec.decode(data_of(frame), is_text=frame[0] == 0x81)
    assert found[:2] == (kind, payload)


json_texts = st.sampled_from(
    [
        *[b"0", b"-0", b"1", b"01", b"4294967295", b"4294967296", b"18446744073709551616"],
        *[b"1.0", b"1e2", b"1e400", b"-1e-400", b"NaN", b"Infinity", b"9" * 5000],
        *[b"null", b"true", b"{}", b"[]", b"[1,", b'{"a":', b"[" * 5000, b'{"a":' * 5000],
        *[b"[" * 900 + b"]" * 900, b'""', b'"@connect"', b'"a', b'"\\', b'"\xff"', b'"\x00"'],
        *[rb'"\ud800"', rb'"\udc00\ud800"', rb'"\ud83d\ude00"', rb'"\u0000"', rb'"\x"', rb'"\u12"'],
        *[b'"\xed\xa0\x80"', b'"\xc0\xaf"', b'"\xf4\x90\x80\x80"'],
    ]
)
odd_fields = st.tuples(
    st.sampled_from([b'"type"', b'"event_id"', b'"payload"', b'"x"', rb'"\u0074ype"', b"type"]),
    json_texts,
).map(b":".join)
strings = st.text().map(json.dumps).map(str.encode)
right_fields = st.tuples(
    st.integers(0, 0xFFFF_FFFF).map(lambda number: b'"type":%d' % number),
    strings.map(b'"event_id":'.__add__),
    strings.map(b'"payload":'.__add__),
)
envelopes = st.builds(
    lambda right, odd, head, tail: head + b",".join([*right, *odd]) + tail,
    right_fields,
    st.lists(odd_fields, max_size=2),
    st.sampled_from([b"{", b"{", b"{", b" {\n", b"\xef\xbb\xbf{", b"[{", b""]),
    st.sampled_from([b"}", b"}", b"}", b" }\t", b"}}", b"}\0", b""]),
)


@pytest.mark.slow
@pytest.mark.parametrize("name", TYPED)
@settings(max_examples=2000)
@given(data=st.binary() | texts | envelopes, is_text=st.booleans())
def test_any_bytes_are_decoded_or_refused(name: str, data: bytes, is_text: bool) -> None:
    codec = CODECS[name]
    try:
        kind, payload, was_text = codec.decode(data, is_text=is_text)
    except Undecodable:
        return
    assert kind is not None
    if kind:  # an event may come without a name, and can't be sent so
        frame = codec.encode(kind, payload, is_text=was_text)
        assert codec.decode(data_of(frame), is_text=frame[0] == 0x81)[:2] == (kind, payload)


@pytest.mark.slow
@pytest.mark.parametrize("name", TYPED)
@settings(max_examples=500)
@given(
    kind=st.none() | st.text() | kinds["kratos"],
    payload=st.binary() | texts | envelopes,
    is_text=st.none() | st.booleans(),
)
def test_any_message_is_encoded_or_its_own_failure(
    name: str, kind: str | None, payload: bytes, is_text: bool | None
) -> None:
    codec = CODECS[name]
    try:
        frame = codec.encode(kind, payload, is_text=is_text)
    except DeliveryFailed:
        return
    assert codec.decode(data_of(frame), is_text=frame[0] == 0x81)[:2] == (kind, payload)
