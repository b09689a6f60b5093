"""Which pages may come in: a table, an `Origin`, and who stands at the door of a real listener."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.connectors.websocket.entry.origin import canonical
from tests.entry_tables import entry_of
from tests.raw_websocket import request
from tests.websocket_house import open_house

IN, OUT = 101, 403
LISTED = 'origins = ["https://example.org", "http://localhost:5173", "app://shop"]'
ANYONE = 'origins = ["*"]'
NULL = 'origins = ["null"]'
REQUIRED = "require_origin = true"
ROOM = f'[ws.paths."/echo/{{room}}"]\n{LISTED}'
OPEN_ROOM = f'{LISTED}\n[ws.paths."/echo/open"]\n{ANYONE}'
HOST = b"example.org"


@dataclass(frozen=True)
class Case:
    """A client at the door.

    Attributes:
        who: it is, in words.
        origins: the `Origin` headers that it sends.
    """

    who: str
    table: str
    origins: tuple[bytes, ...]
    answer: int
    path: str = "/echo"
    host: bytes = HOST


CASES = [
    # Without `origins`: the same host.
    Case("a program", "", (), IN),
    Case("a page of this host", "", (b"http://example.org",), IN),
    Case("a page of this host behind TLS of a proxy", "", (b"https://example.org",), IN),
    Case("a page of this host with its port", "", (b"http://example.org:80",), IN),
    Case("a page in capitals", "", (b"http://EXAMPLE.ORG",), IN),
    Case("a page of this host and port", "", (b"http://h:88",), IN, host=b"h:88"),
    Case("a page of an address", "", (b"http://[::1]:88",), IN, host=b"[::1]:88"),
    Case("a page of another port", "", (b"http://example.org:8800",), OUT),
    Case("a page of another host", "", (b"http://evil.example",), OUT),
    Case("a page whose host goes on", "", (b"http://example.org.evil",), OUT),
    Case("a page whose host has a name in front", "", (b"http://www.example.org",), OUT),
    Case("a page that names its host as a user", "", (b"http://example.org@evil",), OUT),
    Case("a page without an origin", "", (b"null",), OUT),
    Case("a page with nothing in its origin", "", (b"",), OUT),
    Case("a page of two origins", "", (b"http://example.org", b"http://example.org"), OUT),
    Case("a page with two in one", "", (b"http://example.org http://evil",), OUT),
    Case("bytes", "", (b"\xff",), OUT),
    # With them: exactly those.
    Case("a listed page", LISTED, (b"https://example.org",), IN, host=b"api"),
    Case("a listed page with its scheme's port", LISTED, (b"https://example.org:443",), IN),
    Case("a listed page with a port", LISTED, (b"http://localhost:5173",), IN),
    Case("an app", LISTED, (b"app://shop",), IN),
    Case("a listed page in capitals", LISTED, (b"HTTPS://Example.org",), IN),
    Case("a listed page without TLS", LISTED, (b"http://example.org",), OUT),
    Case("a listed page of another port", LISTED, (b"http://localhost:5174",), OUT),
    Case("a name below a listed one", LISTED, (b"https://www.example.org",), OUT),
    Case("a listed page with a path", LISTED, (b"https://example.org/",), OUT),
    Case("a page of this host that is not listed", LISTED, (b"http://api",), OUT, host=b"api"),
    Case("a page without an origin, not listed", LISTED, (b"null",), OUT),
    Case("a page without an origin, listed", NULL, (b"null",), IN),
    Case("a page where only those without are listed", NULL, (b"https://null",), OUT),
    Case("the name for anyone as an origin", LISTED, (b"*",), OUT),
    Case("anyone", ANYONE, (b"http://evil.example",), IN),
    Case("anyone, without an origin", ANYONE, (b"null",), IN),
    Case("anyone, twice", ANYONE, (b"http://a", b"http://b"), OUT),
    Case("a program, where pages are listed", LISTED, (), IN),
    # Those that are no page.
    Case("a program that must have one", REQUIRED, (), OUT),
    Case("a page of this host that must have one", REQUIRED, (b"http://example.org",), IN),
    Case("a program, where anyone may but with one", f"{ANYONE}\n{REQUIRED}", (), OUT),
    # One path and another.
    Case("a listed page at its path", ROOM, (b"https://example.org",), IN, "/echo/1", b"api"),
    Case("a listed page elsewhere", ROOM, (b"https://example.org",), OUT, "/echo", b"api"),
    Case("a page of this host at that path", ROOM, (b"http://api",), OUT, "/echo/1", b"api"),
    Case("anyone at the open path", OPEN_ROOM, (b"http://evil.example",), IN, "/echo/open"),
    Case("anyone beside it", OPEN_ROOM, (b"http://evil.example",), OUT, "/echo/opens"),
    Case("anyone at it, written otherwise", OPEN_ROOM, (b"http://evil",), IN, "/echo/%6fpen"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.who}: {case.answer}")
async def test_the_table_says_which_pages_come_in(case: Case) -> None:
    lines = [b"Origin: " + origin for origin in case.origins]

    async with open_house(entry=entry_of(case.table)) as house:
        client = await house.dial()
        await client.send(request(case.path, *lines, Host=case.host))
        answer, _ = await client.read_answer()
        refused = sum(house.counts.refused.values())

    assert answer == case.answer
    assert refused == (case.answer == OUT)


async def test_who_is_refused_is_told_no_more() -> None:
    async with open_house() as house:
        client = await house.dial()
        await client.send(request(Origin=b"http://evil.example"))
        _, head = await client.read_answer()
        assert head.split(b"\r\n") == [
            b"HTTP/1.1 403 Forbidden", b"Content-Length: 0", b"Connection: close",
        ]  # fmt: skip
        assert house.counts.refused == {("/echo", "origin"): 1}


async def test_an_unknown_path_says_nothing_of_its_pages() -> None:
    async with open_house(entry=entry_of(REQUIRED)) as house:
        client = await house.dial()
        await client.send(request("/nowhere"))
        assert (await client.read_answer())[0] == 404


@given(st.text())
def test_an_origin_has_one_canonical_form_or_none(text: str) -> None:
    found = canonical(text)

    assert found is None or (canonical(found) == found and found.isascii())
