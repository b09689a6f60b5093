"""One life of an MQTT route's input: connect, read while there is room, acknowledge, leave.

The same for every transport; only the `Link` differs. All that waits is in here.
"""

from collections.abc import Awaitable, Callable, Sequence

import trio

from routerd.connectors.mqtt.ack_order import AckOrder
from routerd.connectors.mqtt.client import GivenSocketClient, Heard
from routerd.connectors.mqtt.keepalive import Keepalive
from routerd.connectors.mqtt.link import Burst, Link
from routerd.connectors.mqtt.pacing import Pacer
from routerd.connectors.mqtt.packets import shown
from routerd.connectors.mqtt.session import Session, SessionMemory
from routerd.connectors.mqtt.settings import MqttSettings, MqttSourceSpec
from routerd.errors import DropReason, Rejected, Unavailable, leaves
from routerd.interfaces import RouteContext
from routerd.mailbox import Batch, Mailbox
from routerd.message import Message

GOODBYE_TIMEOUT = 1.0
"""Seconds for the broker to take our last words and close its side."""
MOST_UNSENT = 1 << 20
"""Bytes; a broker that sends, and leaves so much of our acknowledgements unread, is broken."""
FLUSH_TIMEOUT = 60.0
"""Seconds; a broker that reads nothing for so long is gone."""

Opened = tuple[GivenSocketClient, Link]
LOOK_EVERY = 1.0
"""Seconds after which a reader that pauses looks whether the broker is still there."""

OpenLink = Callable[[MqttSettings, MqttSourceSpec, Heard], Awaitable[Opened]]
"""Makes the connection, as far as it sends nothing of MQTT."""


class MqttSource:
    """One connection of one route; see `interfaces.Source`.

    An acknowledgement can only leave through it while it lasts: a packet identifier means
    another message on the next one.
    """

    def __init__(
        self,
        settings: MqttSettings,
        spec: MqttSourceSpec,
        route: RouteContext,
        memory: SessionMemory,
        open_link: OpenLink,
    ) -> None:
        self._settings = settings
        self._spec = spec
        self._status = route.status
        self._name = route.name
        self._memory = memory
        self._open_link = open_link
        self._where = f"{settings.host}:{settings.port}"
        self._session = Session(settings, spec, memory, route=route.name, inflight=route.inflight)
        self._losses = memory.losses
        self._link: Link | None = None
        self._keepalive = Keepalive(0, now=0)
        self._is_started = False
        self._order = AckOrder()
        self._unsent = trio.Event()

    # --- interfaces.Source

    has_session = True

    async def run(
        self, mailbox: Mailbox, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """See `interfaces.Source.run`."""
        failure: BaseException | None = None
        try:
            await self._live(mailbox, task_status.started)
        except* (Unavailable, Rejected) as group:
            causes = leaves(group)
            refusals = [cause for cause in causes if isinstance(cause, Rejected)]
            failure = (refusals or causes)[0]
        if failure is not None:
            raise failure

    def settle(self, batches: Sequence[Batch]) -> None:
        """See `interfaces.Source.settle`."""
        tokens = self._order.settle(batches)
        if self._link is None:
            self._status.late_acks += len(tokens)
        else:
            self._send(self._link, tokens)

    def abandon(self, batch: Batch, reason: DropReason) -> None:
        """Nothing to say: the broker gives it again."""

    def gives_again(self, message: Message) -> bool:
        """See `interfaces.Source.gives_again`."""
        return (
            message.token != 0
            and bool(self._spec.session)
            and self._settings.session_expiry > 0
            and self._losses == self._memory.losses
        )

    # --- acknowledgements

    def _send(self, link: Link, tokens: list[int]) -> None:
        if not tokens:
            return
        link.acknowledge(tokens)
        try:
            is_sent = link.flush()
        except (Unavailable, Rejected):
            is_sent = False  # the writer will meet the same error, and may raise it
        self._keepalive.last_sent = trio.current_time()
        if not is_sent:
            self._unsent.set()

    # --- one life

    async def _live(self, mailbox: Mailbox, started: Callable[[], None]) -> None:
        self._status.waits_for = f"a connection to {self._where}"
        client, link = await self._open_link(self._settings, self._spec, self._session.heard)
        try:
            await self._converse(mailbox, started, client, link)
        except* Unavailable as group:
            raise self._session.explain(str(leaves(group)[0]), link) from None
        finally:
            if self._link is not None:
                self._link = None
                self._status.mqtt_connected = False
                self._session.say_disconnected()
            link.close()

    async def _converse(
        self,
        mailbox: Mailbox,
        started: Callable[[], None],
        client: GivenSocketClient,
        link: Link,
    ) -> None:
        self._status.waits_for = f"CONNACK from {self._where}"
        connack = await self._session.connect(client, link)
        self._losses = self._status.sessions_lost = self._memory.losses
        mailbox.past_known()
        self._link = link
        self._status.mqtt_connected = True
        self._session.say_connected(connack)
        self._keepalive = Keepalive(client.keepalive, now=trio.current_time())
        self._status.waits_for = f"SUBACK from {self._where}"
        self._session.subscribe(client, now=trio.current_time())
        self._unsent.set()
        await self._work(mailbox, started, client, link)

    async def _work(
        self,
        mailbox: Mailbox,
        started: Callable[[], None],
        client: GivenSocketClient,
        link: Link,
    ) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write, link, name=f"mqtt write {self._name}")
            nursery.start_soon(self._keep_alive, link, name=f"mqtt keepalive {self._name}")
            nursery.start_soon(self._session.say_when_steady, name=f"mqtt steady {self._name}")
            async with trio.open_nursery() as reading:
                reading.start_soon(
                    self._read, mailbox, started, link, name=f"mqtt read {self._name}"
                )
                await mailbox.closing.wait()
                self._keepalive.pause()
                reading.cancel_scope.cancel()
            self._say_started(started)  # what was read before SUBACK is settled all the same
            await mailbox.wait_settled()
            nursery.cancel_scope.cancel()
        await self._leave(client, link)

    # --- reading

    async def _read(self, mailbox: Mailbox, started: Callable[[], None], link: Link) -> None:
        session, pacer = self._session, Pacer()
        self._announce(started)  # MQTT 3.1.1 needs no SUBACK on a session that goes on
        while True:
            if not mailbox.has_room:
                await self._pause(mailbox, link)
            count = self._take(mailbox, link)
            now = trio.current_time()
            session.check(now)
            self._announce(started)
            if link.has_more or not mailbox.has_room:
                await trio.lowlevel.checkpoint()
                continue
            read_at = pacer.read_at(count, now)
            if read_at > now:
                await trio.sleep_until(read_at)
                continue
            with trio.move_on_at(session.suback_due):
                await trio.lowlevel.wait_readable(link.fileno())

    def _announce(self, started: Callable[[], None]) -> None:
        """Says that messages can flow, once they can."""
        if self._session.is_open:
            self._say_started(started)

    def _say_started(self, started: Callable[[], None]) -> None:
        if not self._is_started:
            self._is_started = True
            self._status.waits_for = ""
            started()

    def _take(self, mailbox: Mailbox, link: Link) -> int:
        """One read: puts what it gives; how many messages that were."""
        if link.unsent > MOST_UNSENT:
            raise Unavailable(f"{self._where} takes none of our acknowledgements")
        burst = link.read()
        if link.unsent:
            self._unsent.set()  # an answer of the link's own
        now = trio.current_time()
        self._keepalive.last_received = now
        if burst.skipped:
            self._skip(mailbox, link, burst)
        count = len(burst.messages)
        if count:
            self._session.received(now)
            self._order.put(count)
            mailbox.put(burst.messages, size=burst.size, source=self, problems=burst.problems)
        return count

    def _skip(self, mailbox: Mailbox, link: Link, burst: Burst) -> None:
        """Counts what the table does not want, and acknowledges it in its turn."""
        mailbox.drop(len(burst.skipped) - burst.strays, "filtered")
        mailbox.drop(burst.strays, "unroutable")
        if burst.strays:
            self._session.strayed(shown(burst.stray))
        self._order.skip(burst.skipped)
        self._send(link, self._order.settle(()))

    async def _pause(self, mailbox: Mailbox, link: Link) -> None:
        """Leaves the socket alone until there is room; the connection is kept alive meanwhile."""
        paused_at = trio.current_time()
        self._keepalive.pause()
        if mailbox.waits_for_last_life:
            self._status.waits_for = "the messages of the last connection, which sinks still hold"
        while not mailbox.has_room:
            with trio.move_on_after(LOOK_EVERY):
                await mailbox.wait_for_room()
            if link.has_hung_up():
                raise Unavailable(f"{self._where} closed the connection, which was not being read")
        now = trio.current_time()
        self._keepalive.resume(now)
        self._session.paused(now - paused_at)
        self._status.waits_for = "" if self._session.is_open else f"SUBACK from {self._where}"

    # --- writing

    async def _write(self, link: Link) -> None:
        """Sends what the system did not take at once."""
        while True:
            await self._unsent.wait()
            self._unsent = trio.Event()
            await self._flush(link)

    async def _flush(self, link: Link) -> None:
        try:
            while not link.flush():
                with trio.fail_after(FLUSH_TIMEOUT):
                    await trio.lowlevel.wait_writable(link.fileno())
        except trio.TooSlowError:
            raise Unavailable(f"{self._where} takes nothing that we send") from None

    async def _keep_alive(self, link: Link) -> None:
        """Pings, and gives up on a broker that is silent while we listen."""
        keepalive = self._keepalive
        while True:
            await trio.sleep_until(min(keepalive.ping_at, keepalive.gone_at))
            now = trio.current_time()
            if now >= keepalive.gone_at:
                raise Unavailable(f"{self._where} is silent, even when pinged")
            if now >= keepalive.ping_at:
                keepalive.pinged(now)
                if not link.unsent:
                    link.ping()
                self._unsent.set()

    # --- leaving

    async def _leave(self, client: GivenSocketClient, link: Link) -> None:
        """Says goodbye so that the broker hears it, and keeps the session.

        A `close` with unread input would be a reset, and the broker might never see what came
        before it.
        """
        with trio.move_on_after(GOODBYE_TIMEOUT):
            client.disconnect()
            await self._flush(link)  # the last acknowledgements, and DISCONNECT behind them
            link.close_sending()
            while link.discard():
                await trio.lowlevel.wait_readable(link.fileno())
