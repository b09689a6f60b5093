"""The pump: *deliver* hands batches to the sinks, *settle* tells the source what became of them.

Both loops live as long as the route, while its source comes and goes: what was read is
delivered even if its connection is gone by then. Settlement is first in, first out, since
MQTT wants acknowledgements in the order of the messages (MQTT-4.6.0-2).
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import trio

from routerd.delivery import Delivery, Failure, Output
from routerd.endings import Endings, shown
from routerd.errors import DeliveryFailed, DropReason, Unavailable
from routerd.interfaces import Sink, Source
from routerd.mailbox import Batch, Mailbox
from routerd.shape import Shape
from routerd.status import RouteState, RouteStatus, Standing
from routerd.supervise import supervise

if TYPE_CHECKING:
    from routerd.message import Message
    from routerd.receipt import Receipt

logger = logging.getLogger(__name__)

OFFER_AGAIN_EVERY = 60.0
"""Seconds between two attempts at a message at which a route stands."""


class Route:
    """One route of the table, from its source to its sinks.

    Attributes:
        begun: set when the first life of its source begins.
    """

    def __init__(
        self,
        status: RouteStatus,
        *,
        open_source: Callable[[], Source],
        outputs: Sequence[Output],
        shape: Shape,
        on_error: Literal["stop", "drop"],
    ) -> None:
        self.status = status
        self.begun = trio.Event()
        self._mailbox = Mailbox(status)
        self._open_source = open_source
        self._outputs = outputs
        self._shape = shape
        self._on_error = on_error
        self._source: Source | None = None
        self._whole = trio.CancelScope()
        self._is_pumping = False
        self._lives = trio.CancelScope()
        self._in_hand: Batch | None = None
        self._deliveries: deque[Delivery] = deque()
        self._delivered = trio.Event()
        self._interrupted = trio.Event()
        self._endings = Endings(status)
        status.oldest = self._oldest

    async def run(self) -> None:
        """Runs until the route has drained. A bug in the pump restarts the whole of it."""
        try:
            with self._whole:
                await supervise(self._pump, name=self.status.name, report=self._report_crash)
        finally:
            self._abandon()
            self.status.enter("stopped")

    def drain(self) -> None:
        """Closes the head of the route: `run` returns when all that was read is settled."""
        self._mailbox.close()
        self._interrupted.set()
        if not self._mailbox.is_past_known:
            self._lives.cancel()  # there is no connection that something could be acknowledged on
        if not self._is_pumping:
            self._whole.cancel()

    # --- lives of the source

    async def _pump(self, *, task_status: trio.TaskStatus[None]) -> None:
        name = self.status.name
        self._is_pumping = True
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._deliver, name=f"deliver {name}")
                nursery.start_soon(self._settle, name=f"settle {name}")
                task_status.started()
                with trio.CancelScope() as self._lives:
                    if self._mailbox.closing.is_set():
                        self._lives.cancel()
                    await supervise(self._live, name=name, report=self._report)
                await self._mailbox.wait_settled()
                nursery.cancel_scope.cancel()
        finally:
            self._is_pumping = False
            batch, self._in_hand = self._in_hand, None
            if batch is not None:
                self._end_unsettled(batch)

    async def _live(self, *, task_status: trio.TaskStatus[None]) -> None:
        """One life; what the last one left with the sinks goes on beside it."""
        self.begun.set()  # also of a route that can't: the daemon does not wait for it
        self._source = self._open_source()
        self._mailbox.begin_life()
        try:
            await self._source.run(self._mailbox, task_status=task_status)
        finally:
            self._source = None
            self._mailbox.end_life()
            self._interrupted.set()
        if not self._mailbox.closing.is_set():
            raise Unavailable("the source ended by itself")

    def _report(self, state: RouteState, reason: str, delay: float | None) -> None:
        if delay is not None and self.status.life_state == "running":
            self.status.restarts += 1  # not each try to connect: only what ran can fall
        next_try_at = None if delay is None else time.time() + delay
        self.status.enter(state, reason=reason, next_try_at=next_try_at)
        if delay is not None and self._mailbox.closing.is_set():
            self._lives.cancel()  # no next life while draining

    def _report_crash(self, state: RouteState, reason: str, delay: float | None) -> None:
        if delay is not None:
            self._report(state, reason, delay)
            if self._mailbox.closing.is_set():
                self._whole.cancel()

    # --- deliver

    async def _deliver(self) -> None:
        while True:
            batch = self._in_hand = await self._mailbox.take()
            received = time.time() - (trio.current_time() - batch.received_at)
            shaped = self._shape.apply(batch.messages, received, batch.problems)
            receipts: list[tuple[Sink, Receipt]] = []
            if shaped.messages:
                for output in self._outputs:
                    receipt = await output.sink.accept(shaped.messages)
                    if output.required:
                        receipts.append((output.sink, receipt))
            self._deliveries.append(Delivery(batch, shaped, receipts))
            self._in_hand = None
            self._delivered.set()

    # --- settle

    async def _settle(self) -> None:
        while True:
            while not self._deliveries:
                self._delivered = trio.Event()
                await self._delivered.wait()
            head = self._deliveries[0]
            await head.wait_resolved()
            if head.has_failures and not await self._settle_failures(head):
                self._abandon()
                continue
            finished = [self._deliveries.popleft()]
            while self._deliveries:
                following = self._deliveries[0]
                if not following.is_resolved or following.has_failures:
                    break
                finished.append(self._deliveries.popleft())
            self._finish(finished)
            # Nothing above need have waited: let others have their turn.
            await trio.lowlevel.checkpoint()

    def _finish(self, finished: Sequence[Delivery]) -> None:
        """Counts and acknowledges, in order, what every required sink has resolved."""
        status, now = self.status, trio.current_time()
        batches: list[Batch] = []
        for delivery in finished:
            batch, filtered = delivery.batch, delivery.shaped.filtered
            count = len(batch.messages)
            status.drop(filtered, "filtered")
            status.delivered += count - filtered - len(batch.failed)
            status.durations.observe(now - batch.received_at, count=count)
            if batches and batches[0].source is not batch.source:
                batches[0].source.settle(batches)
                batches = []
            batches.append(batch)
        batches[0].source.settle(batches)
        self._mailbox.release([delivery.batch for delivery in finished])

    # --- what did not go through

    async def _settle_failures(self, delivery: Delivery) -> bool:
        """Decides about each failed message, in order. False: given up, acknowledge nothing."""
        batch = delivery.batch
        lost: dict[int, tuple[Message, DeliveryFailed]] = {}
        for failure in delivery.failures():
            if failure.index in lost:
                continue
            error = await self._try_until_decided(batch, failure)
            if error is None:
                self.status.reordered += 1
                continue
            if self._on_error == "stop" and batch.source is self._source:
                return False
            lost[failure.index] = failure.message, error
        may_come_again = (batch.source.gives_again(message) for message, _ in lost.values())
        if batch.source is not self._source and any(may_come_again):
            # Only the next connection tells whether the broker still has them.
            await self._mailbox.wait_past_known()
        # In one step with the release of the whole batch: a scrape, or the end of this task, in
        # between would count these as settled and as in flight.
        for message, error in lost.values():
            self._endings.failed(batch, message, error, is_current=batch.source is self._source)
        batch.failed = {index: error for index, (_, error) in lost.items()}
        return True

    async def _try_until_decided(self, batch: Batch, failure: Failure) -> DeliveryFailed | None:
        """None once it went through; else why not, when nothing more is to be tried.

        One bad record fails its whole batch in Kafka, so each is offered once more alone.
        """
        error = await self._offer_again(failure)
        if error is None or self._on_error == "drop":
            return error
        if batch.source is not self._source or self._mailbox.closing.is_set():
            return error  # nobody stands at it, and there may be a window of them: no line each
        self._stand_at(failure, error)
        stood_since = trio.current_time()
        try:
            while batch.source is self._source and not self._mailbox.closing.is_set():
                self._interrupted = trio.Event()
                with trio.move_on_after(OFFER_AGAIN_EVERY) as waited:
                    await self._interrupted.wait()
                if waited.cancelled_caught:
                    error = await self._offer_again(failure)
                    if error is None:
                        logger.info(
                            "route goes on: its message went through route=%s after_s=%.0f",
                            self.status.name, trio.current_time() - stood_since,
                        )  # fmt: skip
                        return None
        finally:
            self._stand_down()
        return error

    async def _offer_again(self, failure: Failure) -> DeliveryFailed | None:
        if failure.sink is None:
            return failure.error
        receipt = await failure.sink.accept([failure.message])
        await receipt.wait()
        return receipt.failures.get(0)

    def _stand_at(self, failure: Failure, error: DeliveryFailed) -> None:
        address, size = shown(failure.message.address), len(failure.message.payload)
        said = str(error)
        if failure.sink is not None:
            said += f"; tried again every {OFFER_AGAIN_EVERY:.0f} s"
        self.status.standing = Standing(address, size, said, time.time(), error.reason)
        self.status.last_error = said
        self._mailbox.is_paused = True
        logger.error(
            "route stands at a message route=%s from=%r size=%d error=%r",
            self.status.name, address, size, said,
        )  # fmt: skip

    def _stand_down(self) -> None:
        self.status.standing = None
        self._mailbox.is_paused = False
        self._mailbox.notify()

    def _abandon(self) -> None:
        """Accounts for everything that is still in flight, and acknowledges none of it."""
        deliveries, rest = list(self._deliveries), self._mailbox.take_rest()
        self._deliveries.clear()
        left = 0
        for delivery in deliveries:
            if delivery.is_resolved and not delivery.has_failures:
                self.status.drop(delivery.shaped.filtered, "filtered")
                self.status.delivered += len(delivery.shaped.messages)
                delivery.batch.source.abandon(delivery.batch, self._why_unsettled)
                self._mailbox.release([delivery.batch])
            else:
                left += len(delivery.batch.messages)
                self._end_unsettled(delivery.batch)
        for batch in rest:
            left += len(batch.messages)
            self._end_unsettled(batch)
        if left:
            logger.warning("messages left unconfirmed route=%s count=%d", self.status.name, left)

    def _end_unsettled(self, batch: Batch) -> None:
        self._endings.unsettled(batch, self._why_unsettled)
        batch.source.abandon(batch, self._why_unsettled)
        self._mailbox.release([batch])

    @property
    def _why_unsettled(self) -> DropReason:
        return "shutdown" if self._mailbox.closing.is_set() else "route_restarted"

    def _oldest(self) -> float | None:
        if self._deliveries:
            return self._deliveries[0].batch.received_at
        if self._in_hand is not None:
            return self._in_hand.received_at
        return self._mailbox.oldest
