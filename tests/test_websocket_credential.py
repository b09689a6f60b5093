"""Tokens in handshakes: found where they may stand, and nowhere afterwards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.connectors.websocket.entry.credential import (
    AmbiguousToken,
    Hiding,
    find_token,
)
from routerd.connectors.websocket.entry.settings import AuthSettings
from routerd.connectors.websocket.handshake import Handshake, parse
from tests.raw_websocket import request

AUTH = AuthSettings(cookie="sid", query="tok")
HIDING = Hiding(is_needed=True, cookies=frozenset({"sid"}), queries=frozenset({"tok"}))
NAMES = st.sampled_from(["authorization", "cookie", "sec-websocket-protocol", "x-other"])
PIECES = st.sampled_from(
    [
        "Bearer T0KEN", "bearer  T0KEN", "Basic x", "bearer.T0KEN", " bearer.T0KEN ", "chat",
        "sid=T0KEN", ' sid = "T0KEN"', "sid", "sids=x", "a=b", "", "=", "=T",
    ]
)  # fmt: skip
LINES = st.lists(st.tuples(NAMES, st.lists(PIECES, max_size=4), st.sampled_from(",;")), max_size=4)
QUERIES = st.lists(
    st.sampled_from(["tok=T0KEN", "t%6Fk=T0KEN", "tok", "toks=x", "a=b", "", "=", "a"]), max_size=4
)


def asked(lines: list[tuple[str, list[str], str]], query: list[str]) -> Handshake:
    headers = [(name.encode(), sign.join(pieces).encode()) for name, pieces, sign in lines]
    return Handshake(b"/", ("",), "&".join(query).encode(), headers)


@given(LINES, QUERIES)
def test_nothing_is_found_where_everything_was_hidden(
    lines: list[tuple[str, list[str], str]], query: list[str]
) -> None:
    hidden = HIDING.hide(asked(lines, query))

    assert find_token(hidden, AUTH) is None
    assert HIDING.hide(hidden) == hidden
    assert "tok" not in hidden.read_query()


@given(LINES, QUERIES)
def test_what_is_no_token_stays_as_it_was(
    lines: list[tuple[str, list[str], str]], query: list[str]
) -> None:
    before = asked(lines, query)
    after = HIDING.hide(before)

    others = [header for header in before.headers if header[0] == b"x-other"]
    assert [header for header in after.headers if header[0] == b"x-other"] == others
    parameters = {name: value for name, value in before.read_query().items() if name != "tok"}
    assert after.read_query() == parameters


@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=200))
def test_no_bytes_make_it_fail(authorization: bytes, protocols: bytes, cookies: bytes) -> None:
    headers = [
        (b"authorization", authorization),
        (b"sec-websocket-protocol", protocols),
        (b"cookie", cookies),
    ]
    handshake = Handshake(b"/", ("",), b"tok=%ff&=&&%74ok", headers)

    try:
        found = find_token(handshake, AUTH)
    except AmbiguousToken:
        found = None

    assert found is None or found
    assert find_token(HIDING.hide(handshake), AUTH) is None


@pytest.mark.parametrize(
    "token",
    ["abc", "a.b-c_d~e+f/g==", "0" * 2000, "\N{EURO SIGN}"],
    ids=["short", "signs", "long", "euro"],
)
def test_a_token_is_read_as_it_was_written(token: str) -> None:
    value = token.encode()
    for line in (
        b"Authorization: Bearer " + value,
        b"Authorization:bearer   " + value + b"  ",
        b"Sec-WebSocket-Protocol: a, bearer." + value + b" ,b",
        b"Cookie: x=y;sid=" + value + b"; z",
    ):
        assert find_token(parse(request("/", line)), AUTH) == token


def test_without_auth_nothing_is_hidden() -> None:
    hiding = Hiding.of([AuthSettings()])
    handshake = parse(request("/?tok=x", b"Authorization: Bearer x"))
    assert hiding.hide(handshake) is handshake


def test_the_places_of_every_path_are_hidden_at_each() -> None:
    hiding = Hiding.of(
        [AuthSettings(cookie="a"), AuthSettings(tokens=None, query="b"), AuthSettings(jwt=())]
    )
    assert hiding == Hiding(is_needed=False, cookies=frozenset("a"), queries=frozenset("b"))
