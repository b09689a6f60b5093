"""A route's Kafka output: makes records of messages and hands them to the shared producer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

import trio
from confluent_kafka import KafkaException

from routerd.connectors.kafka.handed import Handed, Report
from routerd.connectors.kafka.records import ANY_PARTITION
from routerd.connectors.kafka.waiting import RECORDS_PER_TURN
from routerd.errors import DeliveryFailed
from routerd.receipt import Receipt, SinkCounts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from routerd.connectors.kafka.producer import HealingProducer
    from routerd.connectors.kafka.records import RecordMaker
    from routerd.message import Message
    from routerd.status import RouteStatus

logger = logging.getLogger(__name__)

BEST_EFFORT_BYTES = 64 << 20
"""Most payload bytes that a best-effort sink has outstanding."""

SAY_EVERY = 60.0
"""Seconds between two lines about what a best-effort sink failed."""
MOST_GUILTY = 1000
"""Most messages that are remembered because they were refused alone."""

_FULL = DeliveryFailed("best-effort Kafka output full: Kafka is slower than the route, or away")
_CUT = DeliveryFailed("routerd was stopped meanwhile", reason="shutdown")


class _Taken(NamedTuple):
    """What is known of a batch that is not resolved yet.

    Attributes:
        at: `trio.current_time()` of its `accept`.
        size: its payload bytes; 0 where nobody bounds them here.
    """

    at: float
    size: int


class KafkaSink:
    """See `interfaces.Sink`, and `handed.Giver`.

    Args:
        numbers: numbers the batches of all sinks of a producer.
        most_outstanding: a best-effort sink's own bound in messages, so that a dead cluster or
            topic can't eat up the queue that it shares; None for a required one, which is bounded
            by its route's window.
    """

    def __init__(
        self,
        maker: RecordMaker,
        *,
        producer: HealingProducer,
        alone: HealingProducer,
        numbers: Iterator[int],
        counts: SinkCounts,
        status: RouteStatus,
        most_outstanding: int | None,
    ) -> None:
        self.record = maker.record
        self._producer = producer
        self._alone = alone
        self._numbers = numbers
        self._counts = counts
        self._status = status
        self._most_outstanding = most_outstanding
        self._handed: dict[Handed, _Taken] = {}
        self._outstanding = 0
        self._outstanding_bytes = 0
        self._said_at = float("-inf")
        # Refused although they were alone: offered again, they must not meet others either.
        self._guilty: dict[int, Message] = {}

    async def accept(self, messages: Sequence[Message]) -> Receipt:
        """Produces all of them, in order; see `interfaces.Sink.accept`."""
        receipt = Receipt(len(messages), self._counts)
        if not messages:
            return receipt
        handed = Handed(messages, receipt, giver=self, number=next(self._numbers))
        size = 0 if self._most_outstanding is None else sum(len(m.payload) for m in messages)
        self._handed[handed] = _Taken(trio.current_time(), size)
        self._outstanding += len(messages)
        self._outstanding_bytes += size
        if len(messages) == 1 and self._guilty.pop(id(messages[0]), None) is not None:
            self._alone.take(handed, 0)
        elif self._most_outstanding is None:
            await self._produce_all(handed)
        else:
            self._produce_what_fits(handed, self._most_outstanding)
        return receipt

    @property
    def oldest(self) -> float | None:
        """When the oldest batch came that is not resolved yet; None without one."""
        return next((taken.at for taken in self._handed.values()), None)

    def abandon(self, error: DeliveryFailed) -> None:
        """Resolves as failed whatever is outstanding."""
        for handed in list(self._handed):
            handed.abandon(error)

    def note_reordered(self, count: int) -> None:
        """See `handed.Giver`."""
        self._status.reordered += count

    def note_guilty(self, message: Message) -> None:
        """See `handed.Giver`."""
        if len(self._guilty) >= MOST_GUILTY:
            del self._guilty[next(iter(self._guilty))]
        self._guilty[id(message)] = message

    def note_finished(self, handed: Handed) -> None:
        """See `handed.Giver`."""
        self._outstanding -= len(handed.messages)
        self._outstanding_bytes -= self._handed.pop(handed).size
        if self._most_outstanding is not None and handed.receipt.failures:
            self._say_failed(next(iter(handed.receipt.failures.values())))

    def _say_failed(self, error: DeliveryFailed) -> None:
        """No route stands for a best-effort output, so that nobody else would say it."""
        now = trio.current_time()
        if now >= self._said_at + SAY_EVERY:
            self._said_at = now
            logger.warning(
                "best-effort kafka output fails route=%s failed=%d error=%r",
                self._status.name, self._counts.failed, str(error),
            )  # fmt: skip

    async def _produce_all(self, handed: Handed) -> None:
        """Produces a batch of a required output, and waits for room as often as it takes."""
        reached, total = 0, len(handed.messages)
        try:
            while True:
                turn = min(reached + RECORDS_PER_TURN, total)
                reached = self._produce(handed, reached, turn)
                self._producer.wake()
                if reached == total:
                    return
                if reached < turn:
                    await self._producer.wait_room()
                else:
                    await trio.lowlevel.checkpoint()
        except trio.Cancelled:
            handed.abandon(_CUT, start=reached)
            raise

    def _produce_what_fits(self, handed: Handed, most: int) -> None:
        """Produces the first of a best-effort batch, and fails those that don't fit."""
        total = len(handed.messages)
        room = max(0, most - (self._outstanding - total))
        if self._outstanding_bytes - self._handed[handed].size >= BEST_EFFORT_BYTES:
            room = 0
        reached = self._produce(handed, 0, min(total, room))
        self._producer.wake()
        if reached < total:
            handed.abandon(_FULL, start=reached)

    def _produce(self, handed: Handed, start: int, end: int) -> int:
        """Produces these of a batch; how far it came before librdkafka had no room."""
        record_of, producer, messages = self.record, self._producer, handed.messages
        for index in range(start, end):
            message = messages[index]
            try:
                record = record_of(message)
                if record.headers is None:
                    # Not `record.give`: a call for each message is a tenth of all that is done.
                    producer.produce(
                        record.topic,
                        message.payload,
                        record.key,
                        ANY_PARTITION,
                        Report(producer, handed, index),
                    )
                else:
                    record.give(producer.produce, message.payload, Report(producer, handed, index))
            except DeliveryFailed as error:
                handed.failed(index, error)
            except BufferError:
                return index
            except KafkaException as exc:
                producer.refused(handed, index, exc.args[0])
        return end
