"""A batch on its way: what its sinks were handed, and what they made of it.

Plain facts; what is done about a failure is the route's business.
"""

from dataclasses import dataclass

from routerd.errors import DeliveryFailed
from routerd.interfaces import Sink
from routerd.mailbox import Batch
from routerd.message import Message
from routerd.receipt import Receipt
from routerd.shape import Shaped


@dataclass(frozen=True)
class Output:
    """A sink of a route; acknowledgements wait for the required ones only."""

    sink: Sink
    required: bool


@dataclass(slots=True, eq=False)
class Failure:
    """One message that one required sink refused, or that could not be routed at all.

    Attributes:
        index: in the batch.
        message: as the sink was offered it.
        sink: None when it never came to a sink.
    """

    index: int
    message: Message
    sink: Sink | None
    error: DeliveryFailed


@dataclass(slots=True, eq=False)
class Delivery:
    """A batch that the sinks have, and the receipts that its acknowledgement waits for."""

    batch: Batch
    shaped: Shaped
    receipts: list[tuple[Sink, Receipt]]

    async def wait_resolved(self) -> None:
        """Returns when every required sink has resolved every message."""
        for _, receipt in self.receipts:
            await receipt.wait()

    @property
    def is_resolved(self) -> bool:
        """Whether every required sink has resolved every message."""
        return not any(receipt.pending for _, receipt in self.receipts)

    @property
    def has_failures(self) -> bool:
        """Whether some message did not go through at the first attempt."""
        return bool(self.shaped.failures) or any(receipt.failures for _, receipt in self.receipts)

    def failures(self) -> list[Failure]:
        """What did not go through, in the order of the batch."""
        messages, shaped = self.batch.messages, self.shaped
        found = [Failure(i, messages[i], None, error) for i, error in shaped.failures.items()]
        for sink, receipt in self.receipts:
            for i, error in receipt.failures.items():
                index = i if shaped.indexes is None else shaped.indexes[i]
                found.append(Failure(index, shaped.messages[i], sink, error))
        return sorted(found, key=lambda failure: failure.index)
