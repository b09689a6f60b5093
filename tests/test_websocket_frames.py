"""What a server's frames look like."""

import pytest

from routerd.connectors.websocket.frames import encode, encode_close, is_utf8


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x82\x00"),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (65535, b"\x82\x7e\xff\xff"),
        (65536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_the_length_takes_the_fewest_bytes(size: int, head: bytes) -> None:
    assert encode(bytes(size), is_text=False) == head + bytes(size)


def test_the_kind_is_what_the_sender_meant() -> None:
    assert encode(b"a", is_text=True)[0] == 0x81
    assert encode(b"a", is_text=False)[0] == 0x82


@pytest.mark.parametrize("payload", [b"", b"a", "\N{EURO SIGN}".encode(), b'{"a": 1}', b"\0"])
def test_what_is_utf8_is_text_where_the_source_knows_no_kinds(payload: bytes) -> None:
    assert is_utf8(payload)
    assert encode(payload, is_text=None)[0] == 0x81


@pytest.mark.parametrize("payload", [b"\xff", b"caf\xe9", b"a\xe2\x82", b"\xed\xa0\x80"])
def test_what_is_not_utf8_is_binary_where_the_source_knows_no_kinds(payload: bytes) -> None:
    assert not is_utf8(payload)
    assert encode(payload, is_text=None)[0] == 0x82


def test_a_close_frame_has_its_code_and_no_words() -> None:
    assert encode_close(1001) == b"\x88\x02\x03\xe9"
    assert encode_close(4408) == b"\x88\x02\x11\x38"
