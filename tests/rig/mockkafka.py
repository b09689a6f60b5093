"""librdkafka's mock Kafka cluster in a process of its own: real delivery reports, no Java.

It survives the daemon's end and does faults on command. It keeps 5 MiB for each partition and
forgets all at its end. The program that runs is the demo's, `routerd/demo/mock_cluster.py`.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from routerd.demo import mock_cluster
from routerd.demo.mock_cluster import ALL_BROKERS
from tests.rig.process import Child
from tests.rig.records import Records
from tests.rig.waiting import wait_until

PRODUCE = 0
"""The ApiKey of Produce requests."""
DROP_CONNECTION = -195
"""As a request's error: the mock broker closes the connection instead of answering."""


class MockKafka:
    """A mock cluster, running from `start` (or `with`) to `stop`; `records` reads topics back.

    Topics come into being when a client asks for them, with 4 partitions; so `create_topic`
    before the first message where the number of partitions matters.
    """

    def __init__(self, *, brokers: int = 1) -> None:
        self._brokers = brokers
        self._temporary = tempfile.TemporaryDirectory(prefix="mockkafka-")
        self._answers = 0
        self.child: Child | None = None
        self.bootstrap = ""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kills it and removes its files."""
        if self.child is not None:
            self.stop()
        self._temporary.cleanup()

    def start(self) -> None:
        """Returns when `bootstrap` and `records` are there to be used; for once only."""
        self.child = Child(
            [sys.executable, "-P", mock_cluster.__file__, str(self._brokers)],
            name="mockkafka",
            folder=Path(self._temporary.name),
            stdin=subprocess.PIPE,
        )
        self.child.wait_ready(lambda: "\n" in self._running().stdout, timeout=10)
        self.bootstrap = self._next_line()
        self.records = Records({"bootstrap.servers": self.bootstrap})

    def stop(self) -> None:
        """Ends it; everything in it is gone."""
        child = self._running()
        child.kill()
        if child.process.stdin is not None:
            child.process.stdin.close()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and silent."""
        self._running().freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        self._running().thaw()

    def create_topic(self, name: str, partitions: int = 1) -> None:
        """Returns when the topic is there."""
        self._command("create_topic", name, partitions)

    def delete_topic(self, name: str) -> None:
        """Returns when it is gone, until somebody asks for it."""
        self._command("delete_topic", name)

    def set_topic_error(self, name: str, code: int) -> None:
        """Metadata requests answer `code` (`KafkaError.X`) for this topic; 0 heals it."""
        self._command("set_topic_error", name, code)

    def push_request_errors(self, api_key: int, codes: Sequence[int]) -> None:
        """The next requests of that kind (`PRODUCE`) get these codes, one each, as answers.

        Args:
            api_key: the kind of request.
            codes: `KafkaError.X`, `DROP_CONNECTION`, or 0 for a request that goes well.
        """
        self._command("push_request_errors", api_key, list(codes))

    def clear_request_errors(self, api_key: int) -> None:
        """Forgets the codes not yet used."""
        self._command("clear_request_errors", api_key)

    def down(self, broker: int = ALL_BROKERS) -> None:
        """The broker (1, 2, ...) closes its connections and refuses new ones."""
        self._command("down", broker)

    def up(self, broker: int = ALL_BROKERS) -> None:
        """Takes `down` back."""
        self._command("up", broker)

    def set_delay(self, milliseconds: int, broker: int = ALL_BROKERS) -> None:
        """Every answer comes that much later."""
        self._command("set_delay", broker, milliseconds)

    def set_leader(self, topic: str, partition: int, broker: int) -> None:
        """Moves a partition to another broker."""
        self._command("set_leader", topic, partition, broker)

    def _command(self, *words: str | int | list[int]) -> None:
        stdin = self._running().process.stdin
        assert stdin is not None
        stdin.write(json.dumps(words).encode() + b"\n")
        stdin.flush()
        answer = self._next_line()
        if answer != "ok":
            raise RuntimeError(f"mock cluster: {answer}")

    def _next_line(self) -> str:
        child, index = self._running(), self._answers
        wait_until(lambda: child.stdout.count("\n") > index, "the mock cluster answers")
        self._answers += 1
        return child.stdout.split("\n")[index]

    def _running(self) -> Child:
        assert self.child is not None, "the mock cluster was never started"
        return self.child
