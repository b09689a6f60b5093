"""What became of every reading: published, confirmed, in Kafka. The demo's proof is this count.

A bus numbers its readings and sends the next one only when the broker has confirmed the last, and
routerd keeps the order of each key. So what is confirmed is always all up to some number, and a
number that a later one of the same bus has overtaken on the way to Kafka is lost. That is known
at every moment, not only in the end, and takes no memory as long as nothing is lost.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Account:
    """The readings of one bus, numbered from 0.

    Attributes:
        published: made by the bus, whether sent already or kept.
        confirmed: taken over by the broker: from then on they must never be lost.
        highest: the greatest number that was seen in Kafka.
        missing: smaller numbers that were not.
        duplicates: how often a number came that was there already.
    """

    published: int = 0
    confirmed: int = 0
    highest: int = -1
    missing: set[int] = field(default_factory=set)
    duplicates: int = 0

    def arrive(self, number: int) -> bool:
        """Counts a record of Kafka; False if no reading of this bus has that number."""
        if not 0 <= number < self.published:
            return False
        if number > self.highest:
            self.missing.update(range(self.highest + 1, number))
            self.highest = number
        elif number in self.missing:
            self.missing.remove(number)
        else:
            self.duplicates += 1
        return True

    @property
    def in_kafka(self) -> int:
        """How many different readings were seen in Kafka."""
        return self.highest + 1 - len(self.missing)

    @property
    def under_way(self) -> int:
        """Confirmed, and not yet in Kafka nor overtaken."""
        return max(0, self.confirmed - (self.highest + 1))


class Ledger:
    """The accounts of all buses, and their sums.

    Attributes:
        strangers: records in Kafka that are no reading of ours: somebody else has published.
    """

    def __init__(self, buses: Iterable[str]) -> None:
        self.accounts = {bus: Account() for bus in buses}
        self.strangers = 0

    def arrive(self, bus: str, number: int | None) -> None:
        """Counts a record of Kafka; None: it has no number."""
        account = self.accounts.get(bus)
        if account is None or number is None or not account.arrive(number):
            self.strangers += 1

    @property
    def published(self) -> int:
        """Readings that the buses have made."""
        return sum(account.published for account in self.accounts.values())

    @property
    def confirmed(self) -> int:
        """Readings that the broker has confirmed."""
        return sum(account.confirmed for account in self.accounts.values())

    @property
    def in_kafka(self) -> int:
        """Different readings that were seen in Kafka; some may not be confirmed yet."""
        return sum(account.in_kafka for account in self.accounts.values())

    @property
    def under_way(self) -> int:
        """Confirmed readings that the broker or routerd still holds."""
        return sum(account.under_way for account in self.accounts.values())

    @property
    def lost(self) -> int:
        """Confirmed readings that will never come: later ones of the same bus are there."""
        return sum(len(account.missing) for account in self.accounts.values())

    @property
    def duplicates(self) -> int:
        """Records beyond the first of each reading."""
        return sum(account.duplicates for account in self.accounts.values())
