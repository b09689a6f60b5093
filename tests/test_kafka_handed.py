"""A batch that was handed over: each message resolved once, all of them in the end."""

from confluent_kafka import KafkaError

from routerd.connectors.kafka.handed import Handed, Report
from routerd.connectors.kafka.records import Record
from routerd.errors import DeliveryFailed
from routerd.message import Message
from routerd.receipt import Receipt, SinkCounts

REFUSED = DeliveryFailed("refused")
CUT = DeliveryFailed("cut")


class FakeGiver:
    """A sink that is only told."""

    def __init__(self) -> None:
        self.finished: list[Handed] = []

    def record(self, message: Message) -> Record:
        return Record("t", None, None, 1000)

    def note_reordered(self, count: int) -> None:
        raise NotImplementedError

    def note_guilty(self, message: Message) -> None:
        raise NotImplementedError

    def note_finished(self, handed: Handed) -> None:
        self.finished.append(handed)


class FakeOwner:
    """A producer that fails whatever comes back."""

    has_confirmed = False

    def refused(self, handed: Handed, index: int, error: KafkaError) -> None:
        handed.failed(index, REFUSED)


class Batch:
    """A batch of four, and the reports about it."""

    def __init__(self) -> None:
        self.counts, self.giver, self.owner = SinkCounts(), FakeGiver(), FakeOwner()
        self.receipt = Receipt(4, self.counts)
        self.handed = Handed([Message(b"t", b"")] * 4, self.receipt, giver=self.giver, number=0)

    def report(self, index: int, error: KafkaError | None = None) -> None:
        Report(self.owner, self.handed, index)(error, None)

    @property
    def outcome(self) -> tuple[int, int, int]:
        return self.receipt.pending, self.counts.delivered, self.counts.failed


def test_a_batch_is_resolved_with_its_last_report() -> None:
    batch = Batch()
    for index in range(3):
        batch.report(index)
    assert batch.outcome == (4, 0, 0)
    batch.report(3)
    assert batch.outcome == (0, 4, 0)
    assert batch.giver.finished == [batch.handed]
    assert batch.owner.has_confirmed


def test_what_came_back_fails_by_its_index_whatever_the_order_of_reports() -> None:
    batch = Batch()
    batch.report(3)
    batch.report(1, KafkaError(KafkaError.INVALID_RECORD))
    batch.report(0)
    batch.report(2, KafkaError(KafkaError.INVALID_RECORD))
    assert batch.outcome == (0, 2, 2)
    assert batch.receipt.failures == {1: REFUSED, 2: REFUSED}
    assert batch.giver.finished == [batch.handed]


def test_a_batch_of_failures_alone_is_resolved_too() -> None:
    batch = Batch()
    for index in range(4):
        batch.handed.failed(index, REFUSED)
    assert batch.outcome == (0, 0, 4)
    assert batch.giver.finished == [batch.handed]


def test_what_is_given_up_is_only_what_is_left() -> None:
    batch = Batch()
    batch.report(0)
    batch.report(1, KafkaError(KafkaError.INVALID_RECORD))
    batch.handed.abandon(CUT)
    assert batch.outcome == (0, 1, 3)
    assert batch.giver.finished == [batch.handed]


def test_what_was_produced_already_is_not_given_up_with_the_rest() -> None:
    batch = Batch()
    batch.handed.abandon(CUT, start=2)
    assert batch.outcome == (2, 0, 2)
    batch.report(0)
    batch.report(1)
    assert batch.outcome == (0, 2, 2)
