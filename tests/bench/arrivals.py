"""How many records a Kafka topic has, asked while they come."""

import time

from confluent_kafka import Consumer, TopicPartition

_PATIENCE = 10.0
_COARSE, _FINE = 0.1, 0.005
_STILL = 0.5


class Arrivals:
    """The count of one topic's records, by its partitions' ends; old ones may be gone already."""

    def __init__(self, bootstrap: str, topic: str, *, partitions: int) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench"})
        self._partitions = [TopicPartition(topic, number) for number in range(partitions)]

    def count(self) -> int:
        """All that have ever come."""
        ends = [
            self._consumer.get_watermark_offsets(partition, timeout=10)[1]
            for partition in self._partitions
        ]
        return sum(ends)

    def wait_for(self, wanted: int) -> tuple[int, float]:
        """The count, and when it was reached, once it is `wanted` or stands still for long.

        Asks rarely at first and often towards the end: asking takes CPU from all others.
        """
        before = last = self.count()
        since = time.monotonic()
        while last < wanted and time.monotonic() - since < _PATIENCE:
            time.sleep(_COARSE if wanted - last > (wanted - before) / 5 else _FINE)
            now = self.count()
            if now != last:
                last, since = now, time.monotonic()
        return last, since

    def wait_still(self) -> int:
        """The count, once it has not changed for half a second."""
        while True:
            before = self.count()
            time.sleep(_STILL)
            if self.count() == before:
                return before

    def close(self) -> None:
        """Lets go of the broker."""
        self._consumer.close()
