"""A publisher beside a test: it never stops by itself, and knows what was acknowledged."""

import threading
from types import TracebackType
from typing import Self

from tests.proofs.history import Publication, readings
from tests.rig.mqttpub import Publisher

_AT_ONCE = 100


class Firehose:
    """Publishes readings at QoS 1 in a thread from `with` to its end.

    Args:
        port: of the broker.
        rate: messages a second; None: as fast as the broker acknowledges them.
        most: it stops by itself after so many.
    """

    def __init__(self, port: int, *, rate: float | None = None, most: int = 1_000_000) -> None:
        self.acknowledged: list[Publication] = []
        self._port = port
        self._rate = rate
        self._most = most
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher")
        self._failure: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Returns when all that was published has been acknowledged."""
        self._stopping.set()
        self.wait()

    def wait(self) -> None:
        """Returns when it has published `most` messages, or was stopped."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            source = readings()
            with Publisher(self._port) as publisher:
                while not self._stopping.is_set() and len(self.acknowledged) < self._most:
                    batch = [next(source) for _ in range(_AT_ONCE)]
                    done = publisher.publish(batch, rate=self._rate)
                    self.acknowledged += [batch[index] for index in sorted(done)]
                    assert len(done) == len(batch), "the broker left the publisher"
        except Exception as exc:  # noqa: BLE001 - told to the thread that waits
            self._failure = exc
