"""Who is connected to one listener, and what its clients share."""

from dataclasses import dataclass, field
from typing import Protocol

import trio

from routerd.address import Pattern
from routerd.connectors.websocket.acks.member import Marker
from routerd.connectors.websocket.codecs import CODECS
from routerd.connectors.websocket.codecs.codec import Codec
from routerd.connectors.websocket.entry.curfew import Curfew
from routerd.connectors.websocket.entry.policy import Policy
from routerd.connectors.websocket.entry.settings import OPEN
from routerd.connectors.websocket.gate import Gate
from routerd.connectors.websocket.keepalive import Pinged
from routerd.connectors.websocket.limits import DEFAULTS, Limits
from routerd.connectors.websocket.paths import Paths, Place
from routerd.connectors.websocket.reasons import Ending
from routerd.connectors.websocket.source import Inlet
from routerd.groups import GroupName, Groups
from routerd.interfaces import Member
from routerd.status import ListenerStatus

LONGEST_PAUSE = 0.01
"""Seconds between the goodbyes to two clients, at most."""


class Guest(Pinged, Protocol):
    """A connected client, as the listener sees it."""

    def end(self, why: Ending, *, is_hopeless: bool = False) -> None:
        """Closes it with the code of `why`, once what is queued for it has been written."""

    def cut(self) -> None:
        """Ends it now."""

    def heard_at(self) -> float:
        """When it last said something."""

    @property
    def queued_bytes(self) -> int:
        """How much waits because it reads too slowly."""


@dataclass(frozen=True)
class Reading:
    """How a listener reads what its clients send.

    Attributes:
        codec: its wire format.
        bad_frames: so many frames of one client that the codec can't read end it.
        require_ack: whether only clients that speak `routerd.ack.v1` come in.
    """

    codec: Codec = CODECS["raw"]
    bad_frames: int = 10
    require_ack: bool = False


@dataclass
class Roster:
    """Clients, and where they are connected to.

    Attributes:
        status: what is counted of them.
        policy: who may come in.
        limits: what they may take.
        gate: how many may come in.
        curfew: whose tokens expire.
        guests: clients from the answer to their handshake until their socket is closed.
        marker: marks broadcasts for members who could take them for answers.
        bug_told_at: when the log had the last bug that a client met.
    """

    reading: Reading = field(default_factory=Reading)
    status: ListenerStatus = field(default_factory=lambda: ListenerStatus("ws"))
    limits: Limits = DEFAULTS
    policy: Policy = field(default_factory=lambda: Policy(OPEN))
    paths: Paths = field(default_factory=Paths)
    groups: Groups = field(default_factory=Groups)
    curfew: Curfew = field(default_factory=Curfew)
    gate: Gate = field(init=False)
    guests: set[Guest] = field(default_factory=set)
    marker: Marker = field(default_factory=Marker)
    bug_told_at: float = float("-inf")
    _places: dict[Guest, Place] = field(default_factory=dict)
    _emptied: trio.Event = field(default_factory=trio.Event)
    _farewell: Ending | None = None

    def __post_init__(self) -> None:
        self.gate = Gate(self.limits)

    def open_path(
        self, pattern: Pattern, inlet: Inlet | None = None, *, kind: str | None = None
    ) -> None:
        """Lets clients connect to the paths of `pattern`; as `Paths.add`."""
        self.paths.add(pattern, inlet, kind=kind)
        self.status.know(pattern.source)

    def enter(self, guest: Guest, place: Place, *, group: GroupName, member: Member | None) -> None:
        """The client is connected: it counts, and `member` hears what is sent to its group."""
        self.guests.add(guest)
        self._places[guest] = place
        self.status.connections[place.label] += 1
        if member is not None:
            self.groups.join(group, member)
        if self._farewell is not None:
            guest.end(self._farewell)

    def leave(self, guest: Guest, *, group: GroupName, member: Member | None) -> bool:
        """The client hears and counts no more; only its goodbye is left.

        False: it never entered, or has left already.
        """
        place = self._places.pop(guest, None)
        if place is None:
            return False
        self.status.connections[place.label] -= 1
        if member is not None:
            self.groups.leave(group, member)
        return True

    def count_queued(self) -> dict[str, int]:
        """Path -> bytes that wait for its clients."""
        queued = dict.fromkeys(self.status.connections, 0)
        for guest, place in self._places.items():
            queued[place.label] += guest.queued_bytes
        return queued

    def forget(self, guest: Guest) -> None:
        """Its socket is closed. Harmless if it never entered."""
        self.guests.discard(guest)
        self.curfew.remove(guest)
        if not self.guests:
            self._emptied.set()

    async def dismiss(self, why: Ending, *, within: float) -> None:
        """Ends every client, and whoever completes a handshake from now on.

        Args:
            why: the same for all.
            within: seconds over which they are spread, so that they don't all come back at once;
                fewer for a handful of them.
        """
        self._farewell = why
        guests = list(self.guests)
        pause = min(within / max(len(guests), 1), LONGEST_PAUSE)
        for guest in guests:
            guest.end(why)
            await trio.sleep(pause)

    def cut(self) -> None:
        """Ends every client that is left, now."""
        for guest in list(self.guests):
            guest.cut()

    async def wait_empty(self) -> None:
        """Returns when no client is left."""
        while self.guests:
            self._emptied = trio.Event()
            await self._emptied.wait()
