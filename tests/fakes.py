"""A source and a sink without a network, for tests of the pump. They pass the contract tests."""

from collections.abc import Sequence

import trio

from routerd.errors import DeliveryFailed, DropReason, Unavailable
from routerd.mailbox import Batch, Mailbox
from routerd.message import Message
from routerd.receipt import Receipt, SinkCounts
from routerd.status import RouteStatus


class FakeSource:
    """One life of a source that a test drives by hand."""

    def __init__(self) -> None:
        self.settled: list[bytes] = []
        self.failed: dict[bytes, str] = {}
        self.abandoned: list[tuple[bytes, DropReason]] = []
        self.has_session = True
        self.given: list[bytes] = []
        self.gives_at_start: list[bytes] = []
        self.is_session_kept = True
        self.knows_past = True
        self.says_started = True
        self.is_up = False
        self.mailbox: Mailbox | None = None
        self.started = trio.Event()
        self.left = trio.Event()
        self._broken = trio.Event()
        self._error: Exception = Unavailable("broken by the test")

    async def run(
        self, mailbox: Mailbox, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        self.mailbox, self.is_up = mailbox, True
        if self.knows_past:
            mailbox.past_known()
        if self.says_started:
            task_status.started()
        self.started.set()
        for payload in self.gives_at_start:
            self.put(payload)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch_drain, mailbox, nursery.cancel_scope)
                await self._broken.wait()
                raise self._error
        except* Unavailable:
            raise self._error from None
        finally:
            self.is_up = False
            self.left.set()
            if not self.says_started and mailbox.closing.is_set():
                task_status.started()

    async def _watch_drain(self, mailbox: Mailbox, scope: trio.CancelScope) -> None:
        await mailbox.closing.wait()
        await mailbox.wait_settled()
        scope.cancel()

    def settle(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            self.failed |= {batch.messages[i].payload: e.reason for i, e in batch.failed.items()}
        if self.is_up:
            self.settled += [m.payload for batch in batches for m in batch.messages if m.token]

    def abandon(self, batch: Batch, reason: DropReason) -> None:
        self.abandoned += [(message.payload, reason) for message in batch.messages]

    def gives_again(self, message: Message) -> bool:
        return self.is_session_kept and message.token != 0

    def put(self, *payloads: bytes, token: int = 1) -> None:
        """What the peer sent: one burst."""
        assert self.mailbox is not None
        self.given += payloads
        messages = [Message(b"t/" + payload, payload, token) for payload in payloads]
        self.mailbox.put(messages, size=sum(map(len, payloads)), source=self)

    def fall(self, error: Exception | None = None) -> None:
        """The connection breaks."""
        self._error = error or self._error
        self._broken.set()


class FakeSink:
    """A sink that holds what it accepts until the test confirms it, or confirms at once."""

    def __init__(self, *, confirms_at_once: bool = False) -> None:
        self.counts = SinkCounts()
        self.accepted: list[bytes] = []
        self.refuses: dict[bytes, DeliveryFailed] = {}
        self.confirms_at_once = confirms_at_once
        self._held: list[tuple[Receipt, list[bytes]]] = []

    async def accept(self, messages: Sequence[Message]) -> Receipt:
        payloads = [message.payload for message in messages]
        receipt = Receipt(len(payloads), self.counts)
        self.accepted += payloads
        self._held.append((receipt, payloads))
        if self.confirms_at_once:
            self.confirm()
        return receipt

    def hold_for_ever(self) -> None:
        """The oldest accepted batch is never resolved."""
        del self._held[0]

    def confirm(self, count: int | None = None) -> None:
        """Resolves the oldest `count` accepted batches, or all of them."""
        chosen = self._held[:count]
        self._held = self._held[len(chosen) :]
        for receipt, payloads in chosen:
            for index, payload in enumerate(payloads):
                if payload in self.refuses:
                    receipt.failed(index, self.refuses[payload])
                else:
                    receipt.delivered()


def fake_status(*, inflight: int = 100) -> RouteStatus:
    """A route's status with room for `inflight` messages."""
    return RouteStatus("fake", "fake:source", [], inflight_limit=inflight)
