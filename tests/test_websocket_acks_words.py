"""The frames of `routerd.ack.v1`, read and written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routerd.connectors.websocket.acks.words import (
    UNDECODABLE,
    UNMATCHED,
    Failure,
    as_message,
    encode_ack,
    encode_nack,
    failure_of,
    read,
)
from routerd.connectors.websocket.frames import encode
from routerd.errors import DeliveryFailed
from tests.raw_websocket import split

ROUTE_FELL = Failure("chat: route_restarted", is_final=False)
REFUSED = Failure("archive: rejected", is_final=True)


def text_of(frame: bytes) -> str:
    assert frame[0] == 0x81
    assert frame[1] == len(frame) - 2
    return frame[2:].decode()


@pytest.mark.parametrize(
    ("data", "ident", "frame"),
    [
        (b"pub 1 hello", b"1", b"hello"),
        (b"pub 1 ", b"1", b""),
        (b"pub 1", b"1", b""),
        (b"pub 1  two spaces", b"1", b" two spaces"),
        (b"pub a-B_7:/~! \x00\xff", b"a-B_7:/~!", b"\x00\xff"),
        (b"pub " + b"i" * 64 + b" x", b"i" * 64, b"x"),
        (b"pub 1 pub 2 x", b"1", b"pub 2 x"),
    ],
)
def test_a_message_is_named_by_its_sender(data: bytes, ident: bytes, frame: bytes) -> None:
    assert read(data) == (ident, frame)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"pub", b"pub ", b"pub  x", b"Pub 1 x", b" pub 1 x", b"publish 1 x", b"hello",
        b"pub \xc3\xa4 x", b"pub a\tb x", b"pub 1\n", b"pub 1\nx", b"pub " + b"i" * 65 + b" x",
        b"ack 1", b"msg pub 1 x",
    ],
)  # fmt: skip
def test_what_has_no_name_is_no_message(data: bytes) -> None:
    assert read(data) is None


def test_an_answer_is_a_line_of_text() -> None:
    assert text_of(encode_ack(b"7")) == "ack 7"
    nack = encode_nack(b"7", [REFUSED], taken=0, routes=1)
    assert text_of(nack) == "nack 7 final archive: rejected"
    nack = encode_nack(b"7", [ROUTE_FELL], taken=1, routes=2)
    assert text_of(nack) == "nack 7 retry chat: route_restarted; 1 of 2 routes took it"


def test_it_is_worth_another_try_if_one_of_the_routes_may_take_it_then() -> None:
    nack = encode_nack(b"7", [REFUSED, ROUTE_FELL], taken=0, routes=2)
    assert text_of(nack) == "nack 7 retry archive: rejected, chat: route_restarted"


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ("shutdown", Failure("chat: shutdown", is_final=False)),
        ("route_restarted", Failure("chat: route_restarted", is_final=False)),
        ("overloaded", Failure("chat: overloaded", is_final=False)),
        ("too_large", Failure("chat: too_large", is_final=True)),
        (DeliveryFailed("no, stopping", reason="shutdown"), Failure("chat: shutdown", False)),
        (DeliveryFailed("not JSON", reason="unroutable"),
         Failure("chat: unroutable: not JSON", is_final=True)),
    ],
)  # fmt: skip
def test_a_client_is_told_which_route_failed_and_in_which_way(
    error: object, failure: Failure
) -> None:
    assert failure_of("chat", error) == failure  # type: ignore[arg-type]


def test_what_a_sink_says_is_for_the_operator_alone() -> None:
    error = DeliveryFailed("not allowed to write to the Kafka topic payroll: ask for an ACL")
    assert failure_of("chat", error) == Failure("chat: rejected", is_final=True)


def test_a_message_that_nobody_could_take_is_of_no_use_a_second_time() -> None:
    assert UNMATCHED.is_final
    assert UNDECODABLE.is_final


def test_a_reason_is_one_line_of_text_and_not_a_long_one() -> None:
    failure = Failure("chat: unroutable: " + "a\nb\x00\udc80" * 100, is_final=True)
    found = split(encode_nack(b"7", [failure], taken=0, routes=1))
    assert found is not None
    said = found[0].payload.decode()
    assert said.startswith("nack 7 final chat: unroutable: a b ?a b ?")
    assert said.endswith("...")
    assert len(said) < 250


@pytest.mark.slow
@settings(max_examples=300)
@given(st.binary(max_size=300) | st.integers(0, 70_000).map(bytes), st.booleans())
def test_what_others_say_comes_behind_a_word_of_its_own(payload: bytes, is_text: bool) -> None:
    if is_text:
        payload = payload.decode("latin-1").encode()
    marked = as_message(encode(payload, is_text=is_text))
    assert marked == encode(b"msg " + payload, is_text=is_text)
