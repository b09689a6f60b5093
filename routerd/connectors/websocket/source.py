"""What clients send, on its way into a route. A WebSocket has no memory: nothing comes again.

Sockets live with the listener, longer than any life of a route, so what they send goes to the
route's `Inlet`, and that to whichever life is attached to it.
"""

from collections.abc import Sequence

import trio

from routerd.connectors.websocket.acks import verdicts
from routerd.errors import DropReason
from routerd.mailbox import Batch, Mailbox
from routerd.message import Message
from routerd.status import RouteStatus

PATIENCE = 5.0
"""Seconds that the sockets of a full route are not read.

Longer, and a Kafka outage would cut every browser by a missed pong, and stand in the way of
other routes of the same path.
"""


class Inlet:
    """Where clients of a route's paths leave their messages, whether the route runs or not."""

    def __init__(self, status: RouteStatus) -> None:
        self._status = status
        self._mailbox: Mailbox | None = None
        self._source: WebSocketSource | None = None
        self._full_since: float | None = None
        self._waits: set[trio.CancelScope] = set()
        self._awaited = 0  # messages whose senders want an answer

    def attach(self, source: "WebSocketSource", mailbox: Mailbox) -> None:
        """From now on messages are put into `mailbox`."""
        self._mailbox, self._source = mailbox, source
        self._full_since = None

    def detach(self) -> None:
        """The life is over; until the next one, messages are dropped."""
        self._mailbox = self._source = None
        self.stop_waits()

    def stop_waits(self) -> None:
        """Whoever waits for room shall look again: there will be none."""
        for wait in self._waits:
            wait.cancel()

    def offer(self, messages: list[Message]) -> bool:
        """Puts or drops all of `messages`, which were read together; the list is its own then.

        False: it has done neither, call again after `wait_for_room`.
        """
        mailbox, source = self._mailbox, self._source
        if mailbox is not None and source is not None and mailbox.has_room:
            self._full_since = None
            size = sum([len(message.payload) for message in messages])
            mailbox.put(messages, size=size, source=source)
            return True
        if mailbox is None or mailbox.closing.is_set():
            self.drop(len(messages))
            return True
        now = trio.current_time()
        if self._full_since is None:
            self._full_since = now
        if now < self._full_since + PATIENCE:
            return False
        self.drop(len(messages))
        return True

    def entrust(self, messages: list[Message]) -> list[Message]:
        """Puts messages whose senders wait for answers, as many as there is room for.

        Gives those that are left, for when there is; call it again then. A route that does not
        run takes none, and says so.
        """
        mailbox, source = self._mailbox, self._source
        if mailbox is None or source is None or mailbox.closing.is_set():
            verdicts.abandon(messages, self.drop(len(messages)), route=self._status.name)
            return []
        if not mailbox.has_room:
            return messages
        self._full_since = None
        room = self._status.inflight_limit - self._status.inflight
        taken, rest = messages[:room], messages[room:]
        self._awaited += len(taken)
        size = sum([len(message.payload) for message in taken])
        mailbox.put(taken, size=size, source=source)
        return rest

    def settle(self, batches: Sequence[Batch]) -> None:
        """Answers whoever wants to know that these messages were confirmed, or weren't."""
        if self._awaited:
            self._awaited -= verdicts.settle(batches, route=self._status.name)

    def abandon(self, batch: Batch, reason: DropReason) -> None:
        """Answers whoever wants to know that the route gave these up."""
        if self._awaited:
            self._awaited -= verdicts.abandon(batch.messages, reason, route=self._status.name)

    def announce(self, message: Message) -> None:
        """Puts a session event, with or without room; a route that does not run drops it."""
        mailbox, source = self._mailbox, self._source
        if mailbox is None or source is None or mailbox.closing.is_set():
            self.drop()
        else:
            mailbox.put([message], size=len(message.payload), source=source)

    async def wait_for_room(self, *, patiently: bool = False) -> None:
        """Returns when `offer` has an answer: there is room, or nothing to wait for any more.

        Args:
            patiently: as `entrust` needs it, which never drops anything of a route that runs.
        """
        full_since = float("inf") if patiently else self._full_since
        if self._mailbox is None or full_since is None:
            return
        with trio.move_on_at(full_since + PATIENCE) as wait:
            self._waits.add(wait)
            try:
                await self._mailbox.wait_for_room()
            finally:
                self._waits.remove(wait)

    def drop(self, count: int = 1) -> DropReason:
        """Counts messages that this route can't take now; as what."""
        reason: DropReason = "overloaded"
        if self._mailbox is None:
            reason = "route_restarted"
        elif self._mailbox.closing.is_set():
            reason = "shutdown"
        self._status.received += count
        self._status.drop(count, reason)
        return reason


class WebSocketSource:
    """One life of a route that reads from WebSocket paths; has nothing to connect to."""

    has_session = False

    def __init__(self, inlet: Inlet) -> None:
        self._inlet = inlet

    async def run(
        self, mailbox: Mailbox, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Takes what clients send until the route drains. Never raises by itself."""
        self._inlet.attach(self, mailbox)
        mailbox.past_known()
        try:
            task_status.started()
            await mailbox.closing.wait()
            self._inlet.stop_waits()
            await mailbox.wait_settled()
        finally:
            if not mailbox.closing.is_set():
                self._inlet.detach()

    def settle(self, batches: Sequence[Batch]) -> None:
        """Answers the clients that want to know; for the others there is no acknowledgement.

        Their connections are not this life's, and may outlive it.
        """
        self._inlet.settle(batches)

    def abandon(self, batch: Batch, reason: DropReason) -> None:
        """Tells the clients that want to know."""
        self._inlet.abandon(batch, reason)

    def gives_again(self, message: Message) -> bool:
        """Never."""
        return False
