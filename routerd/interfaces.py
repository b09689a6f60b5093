"""The contracts between the pump and the connectors. Their docstrings are the rules.

A connector implements `Connector`, and its connections give routes their `Source` and `Sink`.
It is listed in `connectors/table.py`; nothing else knows it by name. The same contract
tests (`tests/contracts.py`) run on every implementation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import trio

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from routerd.errors import DropReason
    from routerd.feed import Frame
    from routerd.mailbox import Batch, Mailbox
    from routerd.message import Message
    from routerd.receipt import Receipt, SinkCounts
    from routerd.scope import Scope
    from routerd.status import DaemonStatus, RouteStatus
    from routerd.template import Template


class Source(Protocol):
    """One life of a route's input: a connection, from connect to close.

    A route asks for a new `Source` for each life, so that an acknowledgement can only leave
    through the connection that its message came on. Each message that a source put is either
    settled or abandoned, once.
    """

    @property
    def has_session(self) -> bool:
        """Whether its peer keeps a session of ours, and what we have not acknowledged in it.

        Such a message that is not given again was lost with the session.
        """

    async def run(
        self, mailbox: Mailbox, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Connects, calls `task_status.started()` once messages can flow, and puts bursts.

        As soon as the peer has said what it still has of an earlier life, it calls
        `mailbox.past_known()`. Before each read it awaits `mailbox.wait_for_room()`, or reads
        only while `mailbox.has_room`, and keeps its connection alive meanwhile. When
        `mailbox.closing` is set it stops reading, keeps the connection, awaits
        `mailbox.wait_settled()`, says goodbye and returns. However it ends, the connection is
        closed afterwards.

        Raises:
            Unavailable: the peer can't be reached, or the connection broke. Retried soon.
            Rejected: the peer refused what the table says. Retried slowly.
        """

    def settle(self, batches: Sequence[Batch]) -> None:
        """Acknowledges every message of these batches, in order. Never blocks.

        Those in `batch.failed` went nowhere, which the table allows; a source that can say so
        to whoever sent them does. Called after the connection has closed, it counts what it
        can't send and does nothing.
        """

    def abandon(self, batch: Batch, reason: DropReason) -> None:
        """This batch ends unacknowledged: its route restarts or stops. Never blocks.

        Nothing to do for a peer that gives it again. One that waits for an answer is told.
        """

    def gives_again(self, message: Message) -> bool:
        """Whether the peer gives this message again if it is never acknowledged.

        True for MQTT QoS 1 as long as the broker keeps our session, as far as is known. What it
        is true for counts as `returned` when it can't be delivered any more; anything else as
        `dropped`.
        """


class Sink(Protocol):
    """One output of one route."""

    async def accept(self, messages: Sequence[Message]) -> Receipt:
        """Takes over `messages`, in order, and returns their receipt.

        A required sink waits while the system below is full. A best-effort one never waits:
        what doesn't fit is failed in the receipt at once. Every message is resolved exactly
        once, possibly before this returns, and never by raising: a template that fails is
        that message's `DeliveryFailed` in the receipt.
        Not cancelled half-way in normal operation; if it is, the receipt is never returned.

        Raises:
            Unavailable, Rejected: the sink as a whole can't go on; the route restarts.
        """


class Member(Protocol):
    """Whoever is connected to a group."""

    def push(self, data: bytes, frames: Sequence[Frame]) -> None:
        """Queues encoded frames to be written after all earlier ones. Never blocks or raises.

        Args:
            data: of all these frames, joined: what a member that keeps up needs.
            frames: what one that doesn't must know to drop some of them.
        """


@dataclass(frozen=True)
class RouteContext:
    """What a connector sees of the route that it opens a source or a sink for.

    Attributes:
        name: the route's, for logs and for session names.
        status: the source reports its connection there.
        scope: compiles the templates of this route.
        key: the Kafka record's key; None: null.
        headers: the Kafka record's headers.
        inflight: most messages of this route unconfirmed at a time.
        max_destinations: most distinct Kafka topics that its templates may create.
    """

    name: str
    status: RouteStatus
    scope: Scope
    key: Template | None
    headers: Mapping[str, Template]
    inflight: int
    max_destinations: int


@dataclass(frozen=True)
class Reloaded:
    """What became of the files that a connection has read again.

    Attributes:
        taken: how many are in use from now on, changed or not.
        refused: a sentence for each that is bad: what, which, what to do. The old one stays.
    """

    taken: int = 0
    refused: tuple[str, ...] = ()


class Connection(ABC):
    """One open connection of the table (`mqtt`, `kafka.audit`), shared by its routes.

    `spec` is what the same connector's checks made of an address.
    """

    @abstractmethod
    def open_source(self, spec: object, route: RouteContext) -> Callable[[], Source]:
        """Registers a route's input; called once. Gives what makes a `Source` for each life."""

    @abstractmethod
    def open_sink(self, spec: object, route: RouteContext, counts: SinkCounts) -> Sink:
        """One output of a route; called once. `counts` goes into every receipt."""

    def serve(self) -> None:  # noqa: B027 - most have nothing to do
        """Every route has been opened and started: a listener may let clients in."""

    async def reload(self) -> Reloaded:
        """Reads keys, tokens and certificates again, each on its own: taken, or the old one stays.

        Whoever is connected stays connected. Called by one task at a time, also while draining.
        """
        await trio.lowlevel.checkpoint()
        return Reloaded()

    async def dismiss(self) -> None:
        """The daemon stops: sends home whoever has connected to us, while the routes still run."""
        await trio.lowlevel.checkpoint()


class Connector(Protocol):
    """What a scheme of addresses can do at run time. Its load-time half is `checks.Checks`."""

    def open(
        self, settings: object, *, total_inflight: int, status: DaemonStatus
    ) -> AbstractAsyncContextManager[Connection]:
        """Opens one connection of the table; leaving the context closes it.

        Entering must not wait for a peer: a broker that is down is a route in `backoff`.

        Args:
            settings: what this connector's check made of the connection's table.
            total_inflight: the sum of `inflight` of the routes with a sink here.
            status: where a listener reports its address and its members.

        Raises:
            Rejected: an address can't be bound; the daemon does not start.
        """
