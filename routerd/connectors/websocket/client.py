"""One client, from its first byte to its last: handshake, messages, pings, goodbye.

Whatever a client does, it ends nobody's connection but its own: `Client.run` raises nothing
but `Cancelled`.
"""

import logging
from typing import TYPE_CHECKING

import trio
import trio_websocket
from wsproto.utilities import LocalProtocolError

from routerd.connectors.websocket.acks.desk import Desk
from routerd.connectors.websocket.acks.member import MarkedMember
from routerd.connectors.websocket.acks.words import SUBPROTOCOL
from routerd.connectors.websocket.calls import Calls
from routerd.connectors.websocket.entry.muzzle import Muzzle
from routerd.connectors.websocket.entry.policy import Visa
from routerd.connectors.websocket.frames import encode_close, encode_ping
from routerd.connectors.websocket.handshake import PLAIN, Handshake, Refused, parse
from routerd.connectors.websocket.intake import Complaints, Intake, Taker
from routerd.connectors.websocket.keepalive import next_ping
from routerd.connectors.websocket.paths import Place, SessionEvent
from routerd.connectors.websocket.reasons import Ending, Refusal
from routerd.connectors.websocket.roster import Roster
from routerd.connectors.websocket.secure import SecureTransport
from routerd.connectors.websocket.session import Session
from routerd.connectors.websocket.stream import ClientStream
from routerd.connectors.websocket.writer import Writer
from routerd.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

TELL_BUGS_EVERY = 60.0
"""Seconds."""

_GONE = (
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio_websocket.ConnectionClosed,
    LocalProtocolError,  # it pinged after our close frame, and trio-websocket tried to answer
)


class Client:
    """One client of a listener."""

    __slots__ = (
        "_address", "_ending", "_is_hopeless", "_label", "_limits", "_reading", "_roster",
        "_secure", "_start", "_stream", "_transport", "_was_in", "_whole", "_writer", "ping_at",
        "pinged_at",
    )  # fmt: skip

    def __init__(
        self,
        transport: trio.SocketStream | SecureTransport,
        roster: Roster,
        *,
        address: str | None = None,
    ) -> None:
        """One that has entered by the roster's gate, coming from `address`."""
        self._roster = roster
        self._limits = roster.limits
        self._address = address
        self._transport = transport
        self._secure = transport if isinstance(transport, SecureTransport) else None
        self._whole = trio.CancelScope()
        self._reading = trio.CancelScope()
        self._ending: Ending | None = None
        self._label = ""
        self._was_in = False
        self._is_hopeless = False
        self._start: Callable[..., None] = _start_nothing
        self.ping_at = self.pinged_at = float("inf")

    async def run(self) -> None:
        """Serves the client until either side ends it."""
        last_words = b""
        try:
            async with trio.open_nursery() as nursery:
                self._whole = nursery.cancel_scope
                self._start = nursery.start_soon
                self._writer = writer = Writer(
                    self._transport.socket,
                    start_drain=lambda: self._start(writer.drain, name="drain"),
                    on_slow=lambda: self.end(Ending.SLOW, is_hopeless=True),
                    limits=self._limits,
                    pipe=self._secure,
                )
                self._stream = stream = ClientStream(
                    self._transport, writer, limits=self._limits, on_offence=self._note_end
                )
                try:
                    await self._serve(stream)
                finally:
                    # Others know it for a moment longer than the nursery takes in tasks.
                    self._start = _start_nothing
                nursery.cancel_scope.cancel()
        except* _GONE:
            pass
        except* Exception:  # noqa: BLE001 - to keep a bug from the other clients
            self._tell_bug()
            self._note_end(Ending.BUG)
            last_words = encode_close(Ending.BUG.code)
        finally:
            if self._was_in:
                self._note_end(Ending.CLIENT)
            self._writer.close(last_words=last_words)
            self._roster.forget(self)
            self._roster.gate.leave(self._address)

    def end(self, why: Ending, *, is_hopeless: bool = False) -> None:
        """Closes it with the code of `why`, once what is queued for it has been written.

        Args:
            why: counted, unless it has another reason to end already.
            is_hopeless: whether the kernel shall give up what it could not send by then.
        """
        if self._ending is None:
            self._note_end(why)
            self._is_hopeless = is_hopeless
            self._reading.cancel()

    def heard_at(self) -> float:
        """When it last said something; now, if it can't be heard."""
        return self._stream.heard_at

    def ping(self) -> None:
        """See `keepalive.Pinged`."""
        try:
            self._writer.write(encode_ping())
        except trio.BrokenResourceError:
            if self._stream.is_held:
                self._reading.cancel()  # it is gone, and nobody reads that

    @property
    def queued_bytes(self) -> int:
        """How much waits because it reads too slowly."""
        return self._writer.queued_bytes

    def cut(self) -> None:
        """Ends it now, whatever it is told or has told us meanwhile."""
        self._whole.cancel()

    def _note_end(self, why: Ending) -> None:
        """Counts why it ends. The first reason counts."""
        if self._ending is None:
            self._ending = why
            self._roster.status.closed[self._label, why.word] += 1

    def _tell_bug(self) -> None:
        """A traceback now and then: what one client met, the next ones may meet as well."""
        now = trio.current_time()
        if now >= self._roster.bug_told_at + TELL_BUGS_EVERY:
            self._roster.bug_told_at = now
            logger.exception("bug in a websocket connection; only this client is cut")

    async def _serve(self, stream: ClientStream) -> None:
        try:
            visa, peer = await self._hear(stream)
        except Refused as refused:
            self._roster.status.refused[self._label, refused.reason.word] += 1
            await stream.refuse(refused.encode())
        else:
            await self._visit(stream, visa, peer=peer)

    async def _hear(self, stream: ClientStream) -> tuple[Visa, str]:
        """What a client may do that asked for something acceptable, and where it came from."""
        with trio.move_on_after(self._limits.handshake_timeout):
            if self._secure is not None:
                await self._secure.shake_hands()
            asked = parse(await stream.read_head())
            place = self._roster.paths.find(asked.segments)
            self._label = place.label if place is not None else ""
            peer = self._locate(asked)
            visa = self._roster.policy.admit(asked, peer=peer, place=place)
            if self._roster.reading.require_ack and not asked.offers(SUBPROTOCOL):
                raise Refused(Refusal.NO_ACK, b"Sec-WebSocket-Protocol: " + SUBPROTOCOL.encode())
            return visa, peer
        raise Refused(Refusal.TIMEOUT)

    def _locate(self, asked: Handshake) -> str:
        """Where it came from; behind a trusted proxy it counts there only from now on."""
        peer = _peer(self._transport.socket)
        if self._address is not None:
            return peer
        host = address_of(self._transport.socket)
        address = self._roster.policy.client_address(host, asked)
        refusal = self._roster.gate.admit(address)
        if refusal is not None:
            raise Refused(refusal)
        self._address = address
        return peer if address == host else address

    async def _visit(self, stream: ClientStream, visa: Visa, *, peer: str) -> None:
        """What follows an acceptable request: the client is a member of its group meanwhile."""
        roster, writer = self._roster, self._writer
        asked, place = visa.asked, visa.place
        subprotocol = next((one for one in (SUBPROTOCOL, PLAIN) if asked.offers(one)), None)
        is_answered = subprotocol == SUBPROTOCOL
        hears = MarkedMember(writer, roster.marker) if is_answered else writer
        member = hears if visa.may_subscribe else None
        session = Session(
            asked,
            peer=peer,
            codec=roster.reading.codec,
            send=hears.offer,
            claims=visa.bearer.claims,
        )

        def enter() -> None:
            roster.enter(self, place, group=asked.segments, member=member)
            if visa.bearer.expires_at is not None:
                roster.curfew.add(self, visa.bearer.expires_at)
            _announce("@connect", session, place)
            self.ping_at = next_ping(self._limits.ping_every)

        complaints = Complaints(
            roster.status,
            place.label,
            most=roster.reading.bad_frames,
            on_bad_frames=lambda: self.end(Ending.BAD_FRAMES),
        )
        if is_answered:
            session.desk = Desk(session, place, complaints=complaints, send=writer.offer)
        taker: Taker = session.desk or Intake(session, place, complaints=complaints)
        if not visa.may_publish:
            taker = Muzzle(lambda: self.end(Ending.FORBIDDEN))
        stream.present(asked.encode(subprotocol), taker=taker, on_open=enter)
        calls = Calls(stream, max_message=self._limits.max_message, subprotocol=subprotocol)
        try:
            with self._reading:
                while await calls.read() and await stream.listen():
                    pass
        finally:
            stream.close_lane()
            if roster.leave(self, group=asked.segments, member=member):
                self._was_in = True
                _announce("@disconnect", session, place)
        if session.desk is not None:
            await session.desk.close(is_awaited=self._ending is Ending.RESTART)
        stream.is_hopeless = self._is_hopeless
        with trio.move_on_after(self._limits.close_timeout):
            if self._reading.cancel_called and not stream.is_closing:
                await calls.say_goodbye((self._ending or Ending.CLIENT).code)
            await stream.aclose()


def _start_nothing(*_: object, **__: object) -> None:
    """For a client that isn't in yet, or not any more."""


def _announce(event: SessionEvent, session: Session, place: Place) -> None:
    """Tells every route that asked for it."""
    payload = b'{"event":"%s","session":"%s"}' % (event.encode(), session.session.encode())
    for inlet in place.watchers(event):
        inlet.announce(Message(session.path, payload, is_text=True, origin=session, type=event))


def address_of(socket: trio.socket.SocketType) -> str:
    """Where a client came from, without its port; empty if it is gone already."""
    try:
        return str(socket.getpeername()[0])
    except OSError:
        return ""


def _peer(socket: trio.socket.SocketType) -> str:
    """Where a client came from; empty if it is gone already."""
    try:
        host, port, *_ = socket.getpeername()
    except OSError:
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
