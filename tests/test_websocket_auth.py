"""Who may come in: a table, what a client shows, and what a real listener answers."""

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from tests.entry_tables import entry_of
from tests.entry_tokens import (
    LATE,
    LOBBY,
    SECRET,
    STATIC,
    forged,
    public_pem,
    signed,
    write_files,
)
from tests.raw_websocket import request
from tests.websocket_house import open_house

IN, NO_TOKEN, NOT_ALLOWED, NOT_FOUND = 101, 401, 403, 404

TOKENS = 'auth = { tokens = "tokens.toml", cookie = "session", query = "token" }'
ONLY_HEADER = 'auth = { tokens = "tokens.toml" }'
CHECKED = 'audience = ["routerd", "other"], issuer = "https://id.example"'
RSA = f'auth = {{ jwt = [{{ algorithm = "RS256", key = "rsa.pem", {CHECKED} }}] }}'
SHARED = f'auth = {{ jwt = [{{ algorithm = "HS256", key = "hs.key", {CHECKED} }}] }}'
EC = f'auth = {{ jwt = [{{ algorithm = "ES256", key = "ec.pem", {CHECKED} }}] }}'
ED = f'auth = {{ jwt = [{{ algorithm = "EdDSA", key = "ed.pem", {CHECKED} }}] }}'
SET = f'auth = {{ jwt = [{{ jwks = "jwks.json", {CHECKED} }}] }}'
BARE = 'auth = { jwt = [{ algorithm = "RS256", key = "rsa.pem" }] }'
BOTH = f'{RSA[:-2]}, tokens = "tokens.toml" }}'
ROOMS = f'{BOTH}\n[ws.paths."/echo/{{room}}"]\nallow = {{ room = "{{@claim.room}}" }}'
OPEN_ECHO = f'{TOKENS}\n[ws.paths."/echo"]\nauth = "none"'
CLOSED_ROOM = f'[ws.paths."/echo/{{room}}"]\n{TOKENS}'


def meeting(decides: str) -> str:
    """Two patterns that meet at one path, which a third decides."""
    return f"""
[ws.paths."/echo/{{room}}"]
{TOKENS}
[ws.paths."/{{place}}/open"]
auth = "none"
[ws.paths."/echo/open"]
{decides}
"""


def rooms(allow: str) -> str:
    return f'{BOTH}\n[ws.paths."/echo/{{room}}"]\nallow = {{ {allow} }}'


def bearer(token: str) -> bytes:
    return b"Authorization: Bearer " + token.encode()


def protocol(token: str) -> bytes:
    return b"Sec-WebSocket-Protocol: chat, bearer." + token.encode()


def cookie(token: str) -> bytes:
    return b"Cookie: a=b; session=" + token.encode() + b"; c=d"


def by(make: Callable[[], str]) -> Callable[[], bytes]:
    """In the usual header, a token that is made when the test runs."""
    return lambda: bearer(make())


def ago(seconds: float) -> int:
    return int(time.time() - seconds)


@dataclass(frozen=True)
class Case:
    """A client at the door.

    Attributes:
        who: it is, in words.
        shows: lines of its handshake.
    """

    who: str
    table: str
    shows: tuple[bytes | Callable[[], bytes], ...]
    answer: int
    path: str = "/echo"


def _spliced() -> str:
    head, claims, signature = signed().split(".")
    other = signed(room="a").split(".")[1]
    assert other != claims
    return f"{head}.{other}.{signature}"


def _deep() -> str:
    return base64.urlsafe_b64encode(b"[" * 1500).rstrip(b"=").decode()


CASES = [
    # Static tokens, and where they may stand.
    Case("who needs no token", "", (), IN),
    Case("who needs none and has one", "", (bearer("x"),), IN),
    Case("nobody in particular", TOKENS, (), NO_TOKEN),
    Case("a known token", TOKENS, (bearer(STATIC),), IN),
    Case(
        "a known token with another case of the scheme",
        TOKENS,
        (b"authorization: BEARER " + STATIC.encode(),),
        IN,
    ),
    Case("an unknown token", TOKENS, (bearer("x"),), NO_TOKEN),
    Case("the hash of a token", TOKENS, (bearer("0" * 64),), NO_TOKEN),
    Case("the beginning of a token", TOKENS, (bearer(STATIC[:-1]),), NO_TOKEN),
    Case("an empty token", TOKENS, (b"Authorization: Bearer ",), NO_TOKEN),
    Case("a token that is no UTF-8", TOKENS, (b"Authorization: Bearer \xff",), NO_TOKEN),
    Case("a password", TOKENS, (b"Authorization: Basic " + STATIC.encode(),), NO_TOKEN),
    Case("a token without its scheme", TOKENS, (b"Authorization: " + STATIC.encode(),), NO_TOKEN),
    Case("two tokens", TOKENS, (bearer(STATIC), bearer(STATIC)), NO_TOKEN),
    Case("a token that expired", TOKENS, (bearer(LATE),), NO_TOKEN),
    Case("a token that will", TOKENS, (bearer(LOBBY),), IN),
    Case("a browser's token, as a subprotocol", TOKENS, (protocol(STATIC),), IN),
    Case("a wrong one as a subprotocol", TOKENS, (protocol("x"),), NO_TOKEN),
    Case("two as subprotocols", TOKENS, (protocol(STATIC), protocol(STATIC)), NO_TOKEN),
    Case(
        "a subprotocol that is called so",
        TOKENS,
        (b"Sec-WebSocket-Protocol: " + STATIC.encode(),),
        NO_TOKEN,
    ),
    Case("a cookie", TOKENS, (cookie(STATIC),), IN),
    Case("a cookie in quotes", TOKENS, (b'Cookie: session="' + STATIC.encode() + b'"',), IN),
    Case("another cookie", TOKENS, (b"Cookie: sessions=" + STATIC.encode(),), NO_TOKEN),
    Case("a cookie twice", TOKENS, (cookie(STATIC), cookie("x")), NO_TOKEN),
    Case("a cookie where none is asked for", ONLY_HEADER, (cookie(STATIC),), NO_TOKEN),
    Case("a parameter", TOKENS, (), IN, f"/echo?a=b&token={STATIC}"),
    Case("an encoded parameter", TOKENS, (), IN, f"/echo?t%6fken=%43{STATIC[1:]}"),
    Case("a parameter twice", TOKENS, (), NO_TOKEN, f"/echo?token={STATIC}&token=x"),
    Case("another parameter", TOKENS, (), NO_TOKEN, f"/echo?Token={STATIC}"),
    Case("a parameter where none is asked for", ONLY_HEADER, (), NO_TOKEN, f"/echo?token={STATIC}"),
    Case("a wrong header before a right cookie", TOKENS, (bearer("x"), cookie(STATIC)), NO_TOKEN),
    Case("a right header before a wrong cookie", TOKENS, (bearer(STATIC), cookie("x")), IN),
    # Signed tokens.
    Case("a signed token", RSA, (by(signed),), IN),
    Case("a signed token as a subprotocol", RSA, (lambda: protocol(signed()),), IN),
    Case("one of elliptic curves", EC, (by(lambda: signed("ec", "ES256")),), IN),
    Case("one of Edwards' curve", ED, (by(lambda: signed("ed", "EdDSA")),), IN),
    Case("one by a shared secret", SHARED, (by(lambda: signed(SECRET, "HS256")),), IN),
    Case("one by another secret", SHARED, (by(lambda: signed(SECRET * 2, "HS256")),), NO_TOKEN),
    Case("one of another key", RSA, (by(lambda: signed("rsa-other")),), NO_TOKEN),
    Case(
        "one of another algorithm of the key",
        RSA,
        (by(lambda: signed(algorithm="RS512")),),
        NO_TOKEN,
    ),
    Case("one with another padding", RSA, (by(lambda: signed(algorithm="PS256")),), NO_TOKEN),
    Case("one that needs no signature", RSA, (by(lambda: forged({"alg": "none"})),), NO_TOKEN),
    Case("one that says so in capitals", RSA, (by(lambda: forged({"alg": "NONE"})),), NO_TOKEN),
    Case(
        "one signed with the public key as a secret",
        RSA,
        (by(lambda: forged({"alg": "HS256"}, public_pem("rsa"))),),
        NO_TOKEN,
    ),
    Case(
        "the same, that says the right algorithm",
        RSA,
        (by(lambda: forged({"alg": "RS256"}, public_pem("rsa"))),),
        NO_TOKEN,
    ),
    Case(
        "one that brings its own key",
        RSA,
        (by(lambda: forged({"alg": "HS256", "jwk": {"kty": "oct", "k": "YQ"}}, b"a")),),
        NO_TOKEN,
    ),
    Case("one that says no algorithm", RSA, (by(lambda: forged({"typ": "JWT"})),), NO_TOKEN),
    Case(
        "one with a header that must be understood",
        SHARED,
        (by(lambda: forged({"alg": "HS256", "crit": ["x"], "x": 1}, SECRET)),),
        NO_TOKEN,
    ),
    Case(
        "one of the same secret made by hand",
        SHARED,
        (by(lambda: forged({"alg": "HS256"}, SECRET)),),
        IN,
    ),
    Case("one whose claims were changed", RSA, (by(_spliced),), NO_TOKEN),
    Case(
        "one without its signature", RSA, (by(lambda: signed().rpartition(".")[0] + "."),), NO_TOKEN
    ),
    Case("no token at all", RSA, (bearer("a.b.c"),), NO_TOKEN),
    Case("a token of brackets", RSA, (by(lambda: f"{_deep()}.{_deep()}.x"),), NO_TOKEN),
    Case("an expired one", RSA, (by(lambda: signed(exp=ago(40))),), NO_TOKEN),
    Case("one that expired by a clock that is ahead", RSA, (by(lambda: signed(exp=ago(10))),), IN),
    Case("one that never expires", RSA, (by(lambda: signed(without=("exp",))),), NO_TOKEN),
    Case("one that expires sometime", RSA, (by(lambda: signed(exp="soon")),), NO_TOKEN),
    Case("one that expires in infinity", RSA, (by(lambda: signed(exp=float("inf"))),), NO_TOKEN),
    Case("one for later", RSA, (by(lambda: signed(nbf=ago(-60))),), NO_TOKEN),
    Case("one for later by a clock that is behind", RSA, (by(lambda: signed(nbf=ago(-10))),), IN),
    Case("one for somebody else", RSA, (by(lambda: signed(aud="shop")),), NO_TOKEN),
    Case("one for several", RSA, (by(lambda: signed(aud=["shop", "other"])),), IN),
    Case("one for nobody", RSA, (by(lambda: signed(without=("aud",))),), NO_TOKEN),
    Case("one of another issuer", RSA, (by(lambda: signed(iss="https://evil.example")),), NO_TOKEN),
    Case("one of no issuer", RSA, (by(lambda: signed(without=("iss",))),), NO_TOKEN),
    Case("one for somebody, where nobody is named", BARE, (by(signed),), NO_TOKEN),
    Case(
        "one for nobody, where nobody is named", BARE, (by(lambda: signed(without=("aud",))),), IN
    ),
    Case("one of a key set", SET, (by(lambda: signed(kid="one")),), IN),
    Case("one of its other key", SET, (by(lambda: signed("ec", "ES256", kid="two")),), IN),
    Case("one of a key that it doesn't have", SET, (by(lambda: signed(kid="three")),), NO_TOKEN),
    Case("one that names the wrong key", SET, (by(lambda: signed(kid="two")),), NO_TOKEN),
    Case("one that names no key", SET, (by(signed),), NO_TOKEN),
    Case("a static one, where both count", BOTH, (bearer(STATIC),), IN),
    Case("a signed one, where both count", BOTH, (by(signed),), IN),
    Case("none, where both count", BOTH, (), NO_TOKEN),
    # Paths.
    Case("nobody at an open path", OPEN_ECHO, (), IN),
    Case("nobody beside it", OPEN_ECHO, (), NO_TOKEN, "/echo/1"),
    Case("nobody at a closed path", CLOSED_ROOM, (), NO_TOKEN, "/echo/1"),
    Case("nobody at the same, written otherwise", CLOSED_ROOM, (), NO_TOKEN, "/%65cho/1"),
    Case("nobody beside the closed path", CLOSED_ROOM, (), IN),
    Case("nobody at an unknown path", TOKENS, (), NO_TOKEN, "/nowhere"),
    Case("somebody at an unknown path", TOKENS, (bearer(STATIC),), NOT_FOUND, "/nowhere"),
    Case("nobody at an unknown path beside a closed one", CLOSED_ROOM, (), NOT_FOUND, "/nowhere"),
    Case("nobody where two meet and a third asks", meeting(TOKENS), (), NO_TOKEN, "/echo/open"),
    Case("nobody where a third asks nothing", meeting('auth = "none"'), (), IN, "/echo/open"),
    Case("nobody beside the meeting", meeting('auth = "none"'), (), NO_TOKEN, "/echo/opens"),
    # What a token allows.
    Case("a room of the list", ROOMS, (bearer(STATIC),), IN, "/echo/a"),
    Case("a room that is not in it", ROOMS, (bearer(STATIC),), NOT_ALLOWED, "/echo/c"),
    Case("a room that is called as the list", ROOMS, (bearer(STATIC),), NOT_ALLOWED, "/echo/a%2Fb"),
    Case("the room of a claim", ROOMS, (bearer(LOBBY),), IN, "/echo/lobby"),
    Case("another room", ROOMS, (bearer(LOBBY),), NOT_ALLOWED, "/echo/lobbyx"),
    Case("a room, without the claim", ROOMS, (by(signed),), NOT_ALLOWED, "/echo/a"),
    Case("no room, with an empty claim", ROOMS, (by(lambda: signed(room="")),), IN, "/echo/"),
    Case("a room by a signed list", ROOMS, (by(lambda: signed(room=["x", "y"])),), IN, "/echo/y"),
    Case("a room by a table", ROOMS, (by(lambda: signed(room={"x": 1})),), NOT_ALLOWED, "/echo/x"),
    Case("a room that is a number", ROOMS, (by(lambda: signed(room=7)),), IN, "/echo/7"),
    Case("nobody, where a claim is asked for", ROOMS, (), NO_TOKEN, "/echo/a"),
    Case("a literal", rooms('room = ["x", "y"]'), (bearer(STATIC),), IN, "/echo/y"),
    Case("another one", rooms('room = "x"'), (bearer(STATIC),), NOT_ALLOWED, "/echo/y"),
    Case(
        "a text around a claim",
        rooms('room = "r-{@claim.level}"'),
        (bearer(STATIC),),
        IN,
        "/echo/r-3",
    ),
    Case(
        "a claim with a value", rooms('"@claim.admin" = "true"'), (bearer(STATIC),), IN, "/echo/z"
    ),
    Case("a claim of a list", rooms('"@claim.room" = "b"'), (bearer(STATIC),), IN, "/echo/z"),
    Case(
        "a claim with another value",
        rooms('"@claim.admin" = "true"'),
        (bearer(LOBBY),),
        NOT_ALLOWED,
        "/echo/z",
    ),
    Case(
        "a parameter that says the room",
        rooms('room = "{@query.r}"'),
        (bearer(STATIC),),
        IN,
        "/echo/z?r=z",
    ),
    Case(
        "a parameter that doesn't",
        rooms('room = "{@query.r}"'),
        (bearer(STATIC),),
        NOT_ALLOWED,
        "/echo/z",
    ),
    Case(
        "two demands", rooms('room = "a", "@claim.level" = "3"'), (bearer(STATIC),), IN, "/echo/a"
    ),
    Case(
        "one of two demands",
        rooms('room = "a", "@claim.level" = "4"'),
        (bearer(STATIC),),
        NOT_ALLOWED,
        "/echo/a",
    ),
    Case("who may only listen", rooms("publish = false"), (bearer(STATIC),), IN, "/echo/a"),
    Case("who may only send", rooms("subscribe = false"), (bearer(STATIC),), IN, "/echo/a"),
    Case(
        "who may neither",
        rooms("publish = false, subscribe = false"),
        (bearer(STATIC),),
        NOT_ALLOWED,
        "/echo/a",
    ),
    Case(
        "who may listen in one room and send in another",
        rooms('publish = { room = "a" }, subscribe = { room = "b" }'),
        (bearer(STATIC),),
        IN,
        "/echo/b",
    ),
    Case(
        "the same in a third",
        rooms('publish = { room = "a" }, subscribe = { room = "b" }'),
        (bearer(STATIC),),
        NOT_ALLOWED,
        "/echo/c",
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("auth")
    write_files(folder)
    return folder


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.who}: {case.answer}")
async def test_the_table_says_who_comes_in(case: Case, folder: Path) -> None:
    lines = [line if isinstance(line, bytes) else line() for line in case.shows]

    async with open_house(entry=entry_of(case.table, folder=folder)) as house:
        client = await house.dial()
        with trio.fail_after(5):
            await client.send(request(case.path, *lines))
            answer, head = await client.read_answer()

    assert answer == case.answer
    assert (b"\r\nWWW-Authenticate: Bearer\r\n" in head) == (answer == NO_TOKEN)
    if answer != IN:
        assert head.count(b"\r\n") == 2 + (answer == NO_TOKEN)
