"""The listening socket: binding it, taking clients in, and sending them home.

trio's own `serve_listeners` ends with the first exception of a client, so clients are accepted
here, and each has a nursery of its own (in `Client.run`).
"""

import logging

import trio

from routerd.connectors.websocket.client import Client, address_of
from routerd.connectors.websocket.files import is_spare
from routerd.connectors.websocket.identity import Identity
from routerd.connectors.websocket.porter import Porter
from routerd.connectors.websocket.reasons import Ending, Refusal
from routerd.connectors.websocket.roster import Roster
from routerd.connectors.websocket.settings import ListenerSettings
from routerd.errors import Rejected

logger = logging.getLogger(__name__)

GOODBYE_TIMEOUT = 2.0
"""Seconds that what is published has to be on its way to the clients; and as many, later, that all
of them together have to read what is queued for them and our close frame."""
PAUSE_WHEN_EXHAUSTED = 0.1
"""Seconds; clients wait in the kernel's backlog meanwhile."""
TELL_EXHAUSTED_EVERY = 60.0
"""Seconds."""


async def bind(settings: ListenerSettings) -> list[trio.SocketListener]:
    """Sockets that listen on what the table says; one for each address that its host has.

    Raises:
        Rejected: the address can't be used.
    """
    try:
        listeners = await trio.open_tcp_listeners(settings.port, host=settings.host)
    except OSError as exc:
        cause = exc.__cause__ if isinstance(exc.__cause__, OSError) else exc
        raise Rejected(
            f"[{settings.key}] can't listen on {settings.host}:{settings.port}: "
            f"{cause.strerror or cause}; free that address, or give `listen` another one"
        ) from exc
    if settings.port == 0:  # each address has picked a port of its own, and people want one
        for other in listeners[1:]:
            await other.aclose()
        del listeners[1:]
    return listeners


def describe(listener: trio.SocketListener) -> str:
    """The bound address, as people write it."""
    host, port, *_ = listener.socket.getsockname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def let_in(
    listener: trio.SocketListener,
    roster: Roster,
    *,
    identity: Identity | None = None,
    nursery: trio.Nursery,
) -> None:
    """Starts a task in `nursery` for each client that connects, until cancelled.

    Args:
        listener: which others may listen at, too.
        roster: which they enter.
        identity: whose certificate greets them at that time; None: plain TCP.
        nursery: outlives this.
    """
    told_at = float("-inf")
    porter = Porter(is_mute=identity is not None)
    while True:
        try:
            transport = await listener.accept()
        except OSError as exc:  # out of file descriptors, or of kernel memory
            now = trio.current_time()
            if now >= told_at + TELL_EXHAUSTED_EVERY:  # one that leaves lets one in, and no more
                told_at = now
                logger.warning("can't let websocket clients in for now error=%r", exc.strerror)
            await trio.sleep(PAUSE_WHEN_EXHAUSTED)
            continue
        address = address_of(transport.socket)
        known = None if roster.policy.is_proxy(address) else address
        is_full = is_spare(transport.socket.fileno())
        refusal = Refusal.FULL if is_full else roster.gate.enter(known)
        if refusal is None:
            greeted = identity.greet(transport) if identity else transport
            client = Client(greeted, roster, address=known)
            nursery.start_soon(client.run, name="websocket client")
        else:
            roster.status.refused["", refusal.word] += 1
            porter.turn_away(transport, refusal, address=address, nursery=nursery)


async def send_home(roster: Roster, *, within: float) -> None:
    """Closes every client with 1012 after what is queued for it; returns when all are gone.

    Args:
        roster: nobody else is let in meanwhile.
        within: seconds over which the goodbyes are spread.
    """
    with trio.move_on_after(GOODBYE_TIMEOUT):
        await roster.groups.wait_flushed()
    await roster.dismiss(Ending.RESTART, within=within)
    with trio.move_on_after(GOODBYE_TIMEOUT):
        await roster.wait_empty()
    roster.cut()
    await roster.wait_empty()
