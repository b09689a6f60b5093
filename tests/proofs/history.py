"""What was published against what is in Kafka: lost, repeated, out of order."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice

from tests.rig.records import Record

Publication = tuple[str, bytes]
"""Topic and payload, as the rig's publisher takes them."""


@dataclass(frozen=True)
class Verdict:
    """How a topic compares with what its broker had acknowledged.

    Attributes:
        lost: acknowledged to the publisher, and not in Kafka.
        duplicates: records beyond the first of each payload.
        inversions: first occurrences that came before one published earlier with their key.
        strangers: records that nobody published.
    """

    lost: list[bytes]
    duplicates: int
    inversions: int
    strangers: int

    @property
    def is_clean(self) -> bool:
        """Nothing lost, repeated, out of order or made up."""
        return self == Verdict([], 0, 0, 0)


def readings(devices: int = 20, *, start: int = 0, size: int = 0) -> Iterator[Publication]:
    """Readings of so many devices in turn, each with a payload of its own, without end."""
    for number in count(start):
        device = number % devices
        yield f"sensors/d{device}/temperature", b"%d:%d" % (device, number) + b" " * size


def some_readings(number: int, *, start: int = 0, size: int = 0) -> list[Publication]:
    """The first `number` of them."""
    return list(islice(readings(start=start, size=size), number))


def judge(acknowledged: Iterable[Publication], records: Sequence[Record]) -> Verdict:
    """Compares; `acknowledged` in the order of publication, `records` in that of Kafka."""
    wanted = [payload for _, payload in acknowledged]
    first_seen: dict[bytes, tuple[int, int]] = {}
    duplicates = 0
    for record in records:
        value = record.value or b""
        if value in first_seen:
            duplicates += 1
        else:
            first_seen[value] = (record.partition, record.offset)
    newest: dict[bytes, tuple[int, int]] = {}
    inversions = 0
    for payload in wanted:
        place = first_seen.get(payload)
        if place is None:
            continue
        key = payload.split(b":")[0]
        inversions += place < newest.get(key, place)
        newest[key] = max(place, newest.get(key, place))
    lost = [payload for payload in wanted if payload not in first_seen]
    return Verdict(lost, duplicates, inversions, len(first_seen.keys() - set(wanted)))
