"""Where clients come from when proxies stand in front of us."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.connectors.websocket.entry.proxies import client_address, is_trusted
from routerd.connectors.websocket.limits import Limits
from tests.entry_tables import entry_of
from tests.raw_websocket import TEXT, frame, request
from tests.websocket_house import eventually, open_house

TRUSTED = tuple(map(ip_network, ("10.0.0.0/8", "2001:db8::/32", "192.0.2.1")))
PROXY = 'trusted_proxies = ["127.0.0.0/8"]'


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", [b"198.51.100.7, 10.9.9.9"], "198.51.100.7"),
        ("10.0.0.1", [b"evil, 203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", [b"203.0.113.9", b"198.51.100.7 ,10.1.1.1"], "198.51.100.7"),
        ("10.0.0.1", [b"10.2.2.2, 10.1.1.1"], "10.2.2.2"),
        ("10.0.0.1", [b"198.51.100.7:4711"], "198.51.100.7"),
        ("10.0.0.1", [b"[2001:db9::7]:4711"], "2001:db9::7"),
        ("10.0.0.1", [b"2001:db9::7, 2001:db8::1"], "2001:db9::7"),
        ("::ffff:10.0.0.1", [b"198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", [b"::ffff:198.51.100.7"], "198.51.100.7"),
        ("192.0.2.1", [b"198.51.100.7"], "198.51.100.7"),
        # Not to be believed.
        ("192.0.2.2", [b"198.51.100.7"], "192.0.2.2"),
        ("10.0.0.1", [b"unknown"], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.7,"], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.7, unknown, 10.1.1.1"], "10.0.0.1"),
        ("10.0.0.1", [b""], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.7:x"], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.256"], "10.0.0.1"),
        ("10.0.0.1", [b"fe80::1%eth0"], "10.0.0.1"),
        ("10.0.0.1", [b"\xff"], "10.0.0.1"),
        ("", [b"198.51.100.7"], ""),
    ],
)
def test_the_rightmost_that_is_no_proxy_is_the_client(
    peer: str, forwarded: list[bytes], address: str
) -> None:
    assert client_address(peer, forwarded, trusted=TRUSTED) == address


@given(st.lists(st.binary(max_size=30), max_size=5))
def test_whatever_is_in_front_never_changes_what_a_proxy_added(front: list[bytes]) -> None:
    forwarded = [*front, b"198.51.100.7"]
    assert client_address("10.0.0.1", forwarded, trusted=TRUSTED) == "198.51.100.7"


@given(st.lists(st.binary(max_size=60), max_size=3))
def test_who_is_no_proxy_is_not_believed(forwarded: list[bytes]) -> None:
    assert client_address("203.0.113.5", forwarded, trusted=TRUSTED) == "203.0.113.5"


def test_without_proxies_nobody_is_one() -> None:
    assert not is_trusted("127.0.0.1", ())


@pytest.mark.parametrize(
    ("table", "forwarded", "peer"),
    [
        (PROXY, b"198.51.100.7", "198.51.100.7"),
        (PROXY, b"2001:db8::7", "2001:db8::7"),
        (PROXY, b"nonsense", "127.0.0.1:"),
        ("", b"198.51.100.7", "127.0.0.1:"),
        ('trusted_proxies = ["10.0.0.0/8"]', b"198.51.100.7", "127.0.0.1:"),
    ],
)
async def test_the_peer_is_the_client_behind_a_trusted_proxy(
    table: str, forwarded: bytes, peer: str
) -> None:
    async with open_house(entry=entry_of(table)) as house:
        room = house.add_room("/peer")
        client = await house.dial()
        await client.send(request("/peer", b"X-Forwarded-For: " + forwarded))
        assert (await client.read_answer())[0] == 101
        await client.send(frame(TEXT, b"x"))
        await eventually(lambda: len(room.heard) == 1)
        origin = room.heard[0].origin
        assert origin is not None
        assert origin.peer.startswith(peer)


async def test_limits_count_clients_of_a_proxy_by_their_own_addresses() -> None:
    limits = Limits(connections_per_address=1, handshake_rate=1000)
    async with open_house(entry=entry_of(PROXY), limits=limits) as house:
        answers = []
        for address in (b"198.51.100.7", b"198.51.100.8", b"198.51.100.7"):
            client = await house.dial()
            await client.send(request("/echo", b"X-Forwarded-For: " + address))
            answers.append((await client.read_answer())[0])
        assert answers[:2] == [101, 101]
        assert answers[2] in {429, 503}
        assert house.connection.roster.gate.addresses == 2
