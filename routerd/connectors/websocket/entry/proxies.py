"""Where a client really comes from, when proxies stand in front of us."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from routerd.connectors.websocket.entry.settings import Network

FORWARDED_FOR = b"x-forwarded-for"
_MOST_HOPS = 32


def client_address(peer: str, forwarded: Sequence[bytes], *, trusted: Sequence[Network]) -> str:
    """The address that limits count and `{@peer}` shows, without a port.

    Each proxy adds the address that it was called from at the right, and whatever stands further
    left was there before, written by anybody. So from the right, the first address that is no
    trusted proxy is the client; if all are, the leftmost. Of a header that can't be read, nothing
    is believed.

    Args:
        peer: the address at the other end of the connection, without its port.
        forwarded: the values of `X-Forwarded-For`, in their order.
        trusted: the networks of the proxies.
    """
    if not forwarded or not is_trusted(peer, trusted):
        return peer
    hops = b",".join(forwarded).split(b",")[-_MOST_HOPS:]
    found = peer
    for hop in reversed(hops):
        address = _read(hop)
        if address is None:
            return peer
        found = str(address)
        if not _is_in(address, trusted):
            return found
    return found


def is_trusted(peer: str, trusted: Sequence[Network]) -> bool:
    """Whether it is one of the proxies."""
    if not trusted:
        return False
    address = _read(peer.encode("ascii", "replace"))
    return address is not None and _is_in(address, trusted)


def _is_in(address: IPv4Address | IPv6Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _read(hop: bytes) -> IPv4Address | IPv6Address | None:
    """An address, which some proxies write with its port, and some IPv6 ones in brackets."""
    text = hop.strip().decode("ascii", "replace")
    if text.startswith("["):
        text, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
    else:
        port = ""
    if "%" in text or (port and not port.isdecimal()):
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
