"""A librdkafka producer that is polled, that produces again what came back, and that heals.

Confirmations are taken by `poll(0)` on the trio thread, so that every callback runs there and
nothing needs a lock. `flush` is never called: draining routes waits for every receipt.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import trio
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Producer as Librdkafka

from routerd.connectors.kafka.handed import Handed, Report
from routerd.connectors.kafka.library import end_producer, make_producer, take_back
from routerd.connectors.kafka.refusals import (
    OF_THE_BATCH,
    UNKNOWN_TOPIC,
    fatal_sentence,
    is_fatal,
    refused,
)
from routerd.connectors.kafka.waiting import WaitingRecords
from routerd.errors import DeliveryFailed, Rejected

if TYPE_CHECKING:
    from routerd.connectors.kafka.reachability import Reachability

logger = logging.getLogger(__name__)

FASTEST, SLOWEST = 0.001, 0.05
"""Seconds between two polls while something is outstanding."""
HEARTBEAT = 1.0
"""Seconds between two polls while nothing is: errors and log lines come through them, too."""
MAY_YET_APPEAR = 3.0
"""Seconds for which a topic that is not there is asked for again before its records fail: a
broker that has just started does not know all of them yet."""
MISSING_FORGOTTEN = 120.0
"""Seconds after which a topic that is not there counts as missing for the first time."""
SAY_EVERY = 60.0
"""Seconds between two lines about records that came back."""
HEAL_LATEST = 30.0
"""Most seconds before yet another producer takes over; the first one does at once."""
LAST_REPORTS_WITHIN = 1.0
"""Seconds for what is outstanding at the end to be reported."""

Produce = Callable[..., None]


def pause_after(silence: float) -> float:
    """Seconds until the next poll, when nothing was confirmed for `silence` seconds.

    A twentieth of it: no confirmation is found more than 5 % late, and a Kafka that is away for
    hours costs 20 polls a second instead of a tenth of a core.
    """
    return min(max(silence / 20, FASTEST), SLOWEST)


class HealingProducer:
    """One librdkafka producer after the other, as long as the connection is open.

    Args:
        config: librdkafka's properties.
        connection: for the log.
        alone: where the records of a refused batch go; None: this is the one that makes batches
            of one record, and what is refused here is to blame itself.

    Attributes:
        produce: hands one record over: topic, value, key, partition and a `Report`, as
            confluent-kafka's, whose method it is most of the time. Raises `BufferError`, and
            `KafkaException`, which is for `refused`.
        has_confirmed: see `handed.Owner`.
    """

    def __init__(
        self,
        config: Mapping[str, object],
        *,
        connection: str,
        reachability: Reachability,
        alone: HealingProducer | None = None,
    ) -> None:
        self._config = {**config, "error_cb": reachability.error}
        self._connection = connection
        self._reachability = reachability
        self._alone = alone
        self._library: Librdkafka | None = None
        self._limiter = trio.CapacityLimiter(1)
        self.produce: Produce = self._produce_later
        self.has_confirmed = False
        self._waiting = WaitingRecords()
        self._missing_since: dict[str, float] = {}
        self._fatal: KafkaError | None = None
        self._heals = 0
        self._said_at: dict[str, float] = {}
        self._silent_from: float | None = None  # None: nothing is outstanding
        self._woken = trio.Event()
        self._room = trio.Event()

    async def open(self) -> None:
        """Makes the first producer; connects nowhere yet.

        Raises:
            Rejected: librdkafka refuses the settings.
        """
        try:
            self._library = await make_producer(self._config, limiter=self._limiter)
        except (KafkaException, ValueError, TypeError) as exc:
            raise Rejected(f"[{self._connection}]: librdkafka refuses its settings: {exc}") from exc
        if not self._waiting:
            self.produce = self._library.produce

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Polls until cancelled."""
        task_status.started()
        while True:
            if self._fatal is not None:
                await self._heal(self._fatal)
            if self._library is not None:
                self._poll(self._library)
            elif self._waiting:
                await self._open_patiently()
            if self._library is not None and self._waiting.is_due:
                self._produce_waiting(self._library)
            await self._wait()

    def wake(self) -> None:
        """Something was produced: look for its confirmation."""
        if self._silent_from is None:
            self._silent_from = trio.current_time()
            self._woken.set()

    async def wait_room(self) -> None:
        """Returns when librdkafka's queue has become shorter."""
        await self._room.wait()

    def take(self, handed: Handed, index: int) -> None:
        """Takes a record over, to be produced soon; in the order of batches and records."""
        self._waiting.add(handed, index)
        self.wake()

    async def close(self) -> None:
        """Ends librdkafka after its last reports; what was outstanding stays unresolved."""
        if self._library is not None:
            with trio.move_on_after(LAST_REPORTS_WITHIN):
                await take_back(self._library)
            await end_producer(self._library)

    # --- what came back

    def refused(self, handed: Handed, index: int, error: KafkaError) -> None:
        """Decides about a record that came back, or that `produce` did not take."""
        if is_fatal(error):
            self._fail(error)
        try:
            topic = handed.record(index).topic
        except DeliveryFailed as exc:  # JSON that was just not too deep for the stack of `accept`
            handed.failed(index, exc)
            return
        failure = refused(error, topic)
        if failure is not None and error.code() in UNKNOWN_TOPIC and self._may_appear(topic):
            failure = None
        if failure is None:
            is_answer = error.code() > 0 and error.code() not in UNKNOWN_TOPIC
            if is_answer and self._fatal is None:
                handed.giver.note_reordered(1)
                self._say("kafka gave records back; they are sent again", topic, error)
            self._keep(handed, index, topic)
        elif error.code() not in OF_THE_BATCH:
            handed.failed(index, failure)
        elif self._alone is not None:
            handed.giver.note_reordered(1)
            self._say("kafka refused a batch; its records are sent one by one", topic, error)
            self._alone.take(handed, index)
        else:
            handed.giver.note_guilty(handed.messages[index])
            handed.failed(index, failure)

    def _say(self, event: str, topic: str, error: KafkaError) -> None:
        now = trio.current_time()
        if now >= self._said_at.get(event, float("-inf")) + SAY_EVERY:
            self._said_at[event] = now
            logger.warning(
                "%s connection=%s topic=%r error=%r", event, self._connection, topic, error.str()
            )

    def _may_appear(self, topic: str) -> bool:
        now = trio.current_time()
        since = self._missing_since.get(topic, float("-inf"))
        if now >= since + MISSING_FORGOTTEN:
            since = self._missing_since[topic] = now
        return now < since + MAY_YET_APPEAR

    def _keep(self, handed: Handed, index: int, topic: str) -> None:
        """Keeps a record for later, and behind it those of its topic that are yet to come."""
        self._waiting.add_returned(handed, index, topic)
        if self.produce != self._produce_later:
            self.produce = self._produce_behind
        self.wake()

    def _produce_behind(
        self,
        topic: str,
        value: bytes,
        key: bytes | None,
        partition: int,
        report: Report,
        **headers: object,
    ) -> None:
        """`produce` while the records of some topics wait."""
        if self._library is None or self._waiting.holds(topic):
            self.take(report.handed, report.index)
        else:
            produce: Produce = self._library.produce
            produce(topic, value, key, partition, report, **headers)

    def _produce_later(
        self,
        _topic: str,
        _value: bytes,
        _key: bytes | None,
        _partition: int,
        report: Report,
        **_headers: object,
    ) -> None:
        """`produce` while there is no producer that could."""
        self.take(report.handed, report.index)

    def _produce_waiting(self, library: Librdkafka) -> None:
        """Produces what waits, in order; a topic stops at the first record that can't be."""
        turn = self._waiting.take_turn()
        is_last_turn, is_full = not self._waiting, False
        stuck: set[str] = set()
        for place, (handed, index) in enumerate(turn):
            try:
                record = handed.record(index)
            except DeliveryFailed as error:  # as in `refused`
                handed.failed(index, error)
                continue
            if record.topic in stuck:
                self._waiting.add(handed, index)
                continue
            before = len(self._waiting)
            try:
                record.give(
                    library.produce, handed.messages[index].payload, Report(self, handed, index)
                )
            except BufferError:
                is_full = True
                for entry in turn[place:]:
                    self._waiting.add(*entry)
                break
            except KafkaException as exc:
                self.refused(handed, index, exc.args[0])
                if len(self._waiting) > before:
                    stuck.add(record.topic)
        self._waiting.end_turn(is_stuck=bool(stuck) or is_full)
        if is_last_turn and not is_full and self._fatal is None:
            self.produce = self._produce_behind if self._waiting else library.produce

    # --- polling

    def _poll(self, library: Librdkafka) -> None:
        try:
            served = library.poll(0)
        except KafkaException as exc:  # fatal errors come this way, past `error_cb`
            served = 1
            if is_fatal(exc.args[0]):
                self._fail(exc.args[0])
        if served:
            room, self._room = self._room, trio.Event()
            room.set()
        now = trio.current_time()
        if self.has_confirmed:
            self.has_confirmed = False
            self._heals = 0
            self._waiting.reset_delay()
            if self._silent_from is not None:
                self._silent_from = now
            self._reachability.confirmed()

    async def _wait(self) -> None:
        is_busy = len(self._waiting) or (self._library is not None and len(self._library))
        if is_busy:
            # The one justified busy wait (ASYNC110): librdkafka gives nothing to wait on.
            since = self._silent_from
            await trio.sleep(pause_after(0.0 if since is None else trio.current_time() - since))
            return
        self._silent_from = None
        self._woken = trio.Event()
        with trio.move_on_after(HEARTBEAT):
            await self._woken.wait()

    # --- healing

    def _fail(self, error: KafkaError) -> None:
        """The producer takes nothing any more; everything waits for the next one."""
        if self._fatal is None:
            self._fatal = error
        self.produce = self._produce_later

    async def _heal(self, error: KafkaError) -> None:
        """Gets every record back and hands all of them to a new producer, in their order.

        Some may have been written already; they are written twice then, since to lose them
        would be worse. Receipts stay open meanwhile, and no route notices.
        """
        reason = fatal_sentence(error)
        if self._heals:
            self._reachability.away(reason)
        else:
            logger.warning(
                "kafka producer failed; a new one takes over connection=%s error=%r",
                self._connection, reason,
            )  # fmt: skip
        if self._library is not None:
            await take_back(self._library)
            await end_producer(self._library)
            self._library = None
        if self._heals:
            await trio.sleep(min(2.0 ** (self._heals - 2), HEAL_LATEST))
        self._fatal = None
        await self._open_patiently()
        self._waiting.make_due()
        self._silent_from = trio.current_time()
        if not self._heals:
            logger.info(
                "kafka producer replaced connection=%s again=%d",
                self._connection, len(self._waiting),
            )  # fmt: skip
        self._heals = min(self._heals + 1, 10)

    async def _open_patiently(self) -> None:
        """`open`, again and again: settings that were good once may be so again."""
        while True:
            try:
                await self.open()
            except Rejected as exc:
                self._reachability.away(str(exc))
                await trio.sleep(HEAL_LATEST / 10)
            else:
                return
