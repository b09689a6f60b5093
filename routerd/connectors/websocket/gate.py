"""How many may come in, and how often: in all, and from one address.

Whoever connects is counted from its first byte on, since a client that never finishes its
handshake takes a file descriptor as well. What is remembered of addresses is bounded: by the
clients that are there, and for those that are gone by `MOST_GONE`.
"""

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

import trio

from routerd.connectors.websocket.bucket import Bucket
from routerd.connectors.websocket.limits import Limits
from routerd.connectors.websocket.reasons import Refusal

MOST_GONE = 10_000
"""Addresses without a client that are remembered; one that is forgotten has its whole burst."""
_PREFIX_BITS = 64


@dataclass(slots=True)
class _Neighbour:
    """An address: its clients now, and how often they came lately."""

    handshakes: Bucket
    clients: int = 0


class Gate:
    """Counts the clients of one listener, and says whom it has no room for."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._clients = 0
        self._present: dict[str, _Neighbour] = {}
        self._gone: OrderedDict[str, _Neighbour] = OrderedDict()

    @property
    def clients(self) -> int:
        """Whoever is connected, also without a finished handshake."""
        return self._clients

    @property
    def addresses(self) -> int:
        """How many addresses it remembers."""
        return len(self._present) + len(self._gone)

    def enter(self, address: str | None) -> Refusal | None:
        """Somebody has connected, and counts until `leave`; or why it can't stay.

        Args:
            address: where it came from; None: that is known only later, see `admit`.
        """
        if self._clients >= self._limits.connections:
            return Refusal.FULL
        refusal = None if address is None else self.admit(address)
        if refusal is None:
            self._clients += 1
        return refusal

    def leave(self, address: str | None) -> None:
        """One that had entered is gone; `address` is where it was admitted from."""
        self._clients -= 1
        if address is not None:
            self._release(neighbourhood(address))

    def admit(self, address: str) -> Refusal | None:
        """One that has entered turns out to come from `address`, and counts there as well.

        Gives why it can't stay; then it doesn't count there.
        """
        now = trio.current_time()
        name = neighbourhood(address)
        neighbour = self._present.get(name) or self._gone.get(name)
        if neighbour is None:
            neighbour = _Neighbour(Bucket(self._limits.handshake_rate, now=now))
        if neighbour.clients >= self._limits.connections_per_address:
            return Refusal.ADDRESS_FULL
        if not neighbour.handshakes.offer(1, now=now):
            return Refusal.HANDSHAKE_RATE
        neighbour.clients += 1
        self._gone.pop(name, None)
        self._present[name] = neighbour
        return None

    def _release(self, name: str) -> None:
        neighbour = self._present[name]
        neighbour.clients -= 1
        if not neighbour.clients:
            self._gone[name] = self._present.pop(name)
            self._forget()

    def _forget(self) -> None:
        """Of those that are gone: the oldest if they are too many, and who may come as ever."""
        now = trio.current_time()
        while self._gone:
            oldest = next(iter(self._gone.values()))
            if len(self._gone) <= MOST_GONE and not oldest.handshakes.is_full(now=now):
                return
            self._gone.popitem(last=False)


def neighbourhood(address: str) -> str:
    """What counts as one address: of IPv6 the first 64 bits, all of which one customer has."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(IPv6Address(int(parsed) >> _PREFIX_BITS << _PREFIX_BITS))
    return str(parsed)
