"""The session that the broker keeps for a route: its memory, and the opening of each connection.

From CONNECT to SUBACK, and what to think of a connection's end.
"""

import logging
import math
from collections import deque
from dataclasses import dataclass, field

import trio

from routerd.connectors.mqtt.client import (
    Connack,
    GivenSocketClient,
    Heard,
    send_connect,
    send_subscribe,
)
from routerd.connectors.mqtt.link import CLOSED, Link
from routerd.connectors.mqtt.refusals import (
    TAKEN_OVER,
    farewell,
    is_refused,
    refused_connack,
    refused_filter,
    taken_over,
)
from routerd.connectors.mqtt.settings import MqttSettings, MqttSourceSpec
from routerd.errors import Rejected, Unavailable
from routerd.unrest import Unrest

logger = logging.getLogger(__name__)

CONNACK_TIMEOUT = 10.0
SUBACK_TIMEOUT = 10.0
"""Seconds of reading without a message, since a SUBACK waits in line behind messages."""
MOST_CUTS = 3
"""Connections that end in the same odd way within `CUTS_WITHIN` before we say more about it."""
CUTS_WITHIN = 600.0
"""Seconds."""
TELL_LOSSES_EVERY = 60.0
"""Seconds."""
BRIEF = 60.0
"""Seconds of a connection's life; a broker that is restarted is not so quick again and again."""


@dataclass
class SessionMemory:
    """What is known of a route's session since this process started.

    Attributes:
        was_present: whether the broker has confirmed a connection of ours before.
        losses: how often it had forgotten the session since.
        loss_told_at: when the log had the last of them.
        is_subscribed: whether it confirmed our filters since the session began, as far as we saw.
        has_warned: whether the log says already that the broker keeps it shorter than asked.
        lowered: filters whose lower QoS the log has already, with that QoS.
        knows_strays: whether the log says already that it has subscriptions of an older table.
        cuts: when it was taken over by another client, or may have been.
        unrest: of its connections.
    """

    was_present: bool = False
    losses: int = 0
    loss_told_at: float = -math.inf
    is_subscribed: bool = False
    has_warned: bool = False
    lowered: set[tuple[str, int]] = field(default_factory=set)
    knows_strays: bool = False
    cuts: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_CUTS))
    unrest: Unrest = field(default_factory=Unrest)

    def is_cut_again(self, now: float) -> bool:
        """Notes one more cut; whether there were `MOST_CUTS` lately."""
        self.cuts.append(now)
        return len(self.cuts) == MOST_CUTS and now - self.cuts[0] < CUTS_WITHIN


class Session:
    """The opening of one connection."""

    def __init__(
        self,
        settings: MqttSettings,
        spec: MqttSourceSpec,
        memory: SessionMemory,
        *,
        route: str,
        inflight: int,
    ) -> None:
        self.heard = Heard()
        self._settings = settings
        self._spec = spec
        self._memory = memory
        self._route = route
        self._where = f"{settings.host}:{settings.port}"
        self._inflight = inflight
        self._subscribe_id = 0
        self._suback_due = math.inf
        self._connected_at = math.inf

    async def connect(self, client: GivenSocketClient, link: Link) -> Connack:
        """Sends CONNECT and waits for CONNACK, reading nothing that follows it.

        Raises:
            Unavailable, Rejected: as the broker means it.
        """
        send_connect(client, self._settings, self._spec, inflight=self._inflight)
        try:
            with trio.fail_after(CONNACK_TIMEOUT):
                while self.heard.connack is None:
                    while not link.flush():
                        await trio.lowlevel.wait_writable(link.fileno())
                    await trio.lowlevel.wait_readable(link.fileno())
                    link.read_packet()
        except trio.TooSlowError:
            raise Unavailable(f"no CONNACK within {CONNACK_TIMEOUT:g} s") from None
        self._connected_at = trio.current_time()
        self._remember(self.heard.connack)
        return self.heard.connack

    def subscribe(self, client: GivenSocketClient, *, now: float) -> None:
        """Sends SUBSCRIBE, if this connection needs one.

        MQTT 5 takes it every time; in 3.1.1 every SUBSCRIBE brings retained messages again.
        """
        is_v5 = self._settings.version == "5"
        if is_v5 or not self._memory.is_subscribed:
            self.heard.suback = None
            self._subscribe_id = send_subscribe(client, self._spec.filters, is_v5=is_v5)
            self._suback_due = now + SUBACK_TIMEOUT

    # --- in the log

    def say_connected(self, connack: Connack) -> None:
        """A line, unless it does so all the time."""
        if self._is_told():
            logger.info(
                "mqtt connected route=%s broker=%s session=%s resumed=%s",
                self._route, self._where, self._spec.session, connack.is_session_present,
            )  # fmt: skip

    def say_disconnected(self) -> None:
        """A line, unless it does so all the time."""
        if self._is_told():
            logger.info("mqtt disconnected route=%s broker=%s", self._route, self._where)

    def _say_lost(self) -> None:
        """A broker that restarts and keeps nothing loses it each time; a line a minute will do."""
        memory, now = self._memory, trio.current_time()
        if now >= memory.loss_told_at + TELL_LOSSES_EVERY:
            memory.loss_told_at = now
            logger.error(
                "the broker lost our session: what it had queued is gone "
                "route=%s session=%s so_far=%d",
                self._route, self._spec.session, memory.losses,
            )  # fmt: skip

    async def say_when_steady(self) -> None:
        """A line for a connection that lasts, if those before it were too many for lines."""
        untold = await self._memory.unrest.wait_rested()
        if untold:
            logger.info(
                "mqtt connection is steady again route=%s broker=%s untold=%d",
                self._route, self._where, untold,
            )  # fmt: skip

    def _is_told(self) -> bool:
        worth = self._memory.unrest.changed(trio.current_time())
        if worth == "unrest":
            logger.warning(
                "mqtt connection comes and goes; it is told when it is steady route=%s broker=%s",
                self._route, self._where,
            )  # fmt: skip
        return worth == "line"

    # --- while reading

    @property
    def is_open(self) -> bool:
        """Whether messages can flow."""
        return self._memory.is_subscribed and not self._subscribe_id

    @property
    def suback_due(self) -> float:
        """Until when SUBACK must have come, if nothing keeps us from reading."""
        return self._suback_due if self._subscribe_id else math.inf

    def paused(self, seconds: float) -> None:
        """Nothing was read for so long; that is not the broker's fault."""
        self._suback_due += seconds

    def received(self, now: float) -> None:
        """Messages came; SUBACK may be behind them."""
        self._suback_due = max(self._suback_due, now + SUBACK_TIMEOUT)

    def strayed(self, topic: str) -> None:
        """A message came that no filter of the table matches."""
        if not self._memory.knows_strays:
            self._memory.knows_strays = True
            logger.warning(
                "the session has a subscription that is not in the table any more; what comes of "
                "it is dropped as unroutable; unsubscribe it, or give the route another session "
                "route=%s session=%s topic=%s",
                self._route, self._spec.session, topic,
            )  # fmt: skip

    def check(self, now: float) -> None:
        """Judges what the broker has said since the last call.

        Raises:
            Unavailable, Rejected: it is no use to go on.
        """
        if self.heard.fault:
            raise Unavailable(f"the broker broke the MQTT protocol: {self.heard.fault}")
        if self.heard.suback is not None:
            packet_id, codes = self.heard.suback
            self.heard.suback = None
            self._check_suback(packet_id, codes)
        elif now >= self.suback_due:
            raise Unavailable(f"{self._where} sends no SUBACK within {SUBACK_TIMEOUT:g} s")

    # --- at its end

    def explain(self, end: str, link: Link) -> Unavailable | Rejected:
        """Why a connection ended: what the broker said about it, if it did, says more."""
        heard = self.heard
        if heard.farewell is None:
            # A write fails before the last words are read, a refusal of our certificate included.
            try:
                link.read()
            except Rejected as refusal:
                return refusal
            except Unavailable:
                pass  # no more than that it is over
        if heard.connack is None and heard.farewell is None:
            return Unavailable(
                f"{self._where} does not answer CONNECT: {end}; is it an MQTT broker?"
            )
        return self._said() or self._guessed(end)

    def _said(self) -> Unavailable | Rejected | None:
        heard, name = self.heard, self._spec.session
        if heard.connack is not None and heard.connack.code:
            return refused_connack(heard.connack, self._settings, session=name)
        if heard.farewell is None:
            return None
        if heard.farewell[0] == TAKEN_OVER:
            return taken_over(name, is_repeated=self._memory.is_cut_again(trio.current_time()))
        return farewell(*heard.farewell)

    def _guessed(self, end: str) -> Unavailable:
        # MQTT 3.1.1 has no words for a session that is taken over, and mosquitto uses none.
        now, name = trio.current_time(), self._spec.session
        is_brief = end == CLOSED and name and now - self._connected_at < BRIEF
        if is_brief and self._memory.is_cut_again(now):
            return Unavailable(f"{end}, time and again: does another client connect as {name!r}?")
        return Unavailable(end)

    # --- what was heard

    def _remember(self, connack: Connack) -> None:
        memory = self._memory
        if connack.code:
            raise refused_connack(connack, self._settings, session=self._spec.session)
        if not connack.is_session_present:
            memory.is_subscribed = False
            if memory.was_present and self._spec.session:
                memory.losses += 1
                self._say_lost()
        memory.was_present = True
        granted, asked = connack.session_expiry, self._settings.session_expiry
        if not self._spec.session or granted is None or granted >= asked:
            return
        if not memory.has_warned:
            memory.has_warned = True
            logger.warning(
                "the broker keeps our session for a shorter time than asked route=%s session=%s "
                "granted_s=%d asked_s=%d",
                self._route, self._spec.session, granted, asked,
            )  # fmt: skip

    def _check_suback(self, packet_id: int, codes: list[int]) -> None:
        filters = self._spec.filters
        if packet_id != self._subscribe_id or len(codes) != len(filters):
            raise Unavailable("the broker broke the MQTT protocol: a SUBACK for something else")
        for entry, code in zip(filters, codes, strict=True):
            if is_refused(code):
                raise refused_filter(entry, code, route=self._route)
            if code < entry.qos and (entry.filter, code) not in self._memory.lowered:
                self._memory.lowered.add((entry.filter, code))
                logger.warning(
                    "the broker grants a lower QoS than asked: at most once "
                    "route=%s filter=%s granted=%d",
                    self._route, entry.filter, code,
                )  # fmt: skip
        self._subscribe_id = 0
        self._memory.is_subscribed = True
