"""A Kafka to demonstrate with: the mock cluster, in a child process that can be told to be away."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from routerd.demo import mock_cluster
from routerd.demo.mock_cluster import ALL_BROKERS

TOPICS: Final = {"telemetry": 3, "chat": 1}
"""Topic -> partitions."""


class Kafka:
    """The running child.

    Attributes:
        bootstrap: its address.
        is_up: False from `stop` to `start`.
    """

    def __init__(self, child: "subprocess.Popen[str]") -> None:
        self._child = child
        self.bootstrap = self._read_answer()
        self.is_up = True
        for topic, partitions in TOPICS.items():
            self._command("create_topic", topic, partitions)

    def stop(self) -> None:
        """Cuts its connections and refuses new ones, as a broker that is down.

        It keeps what it has, as a real Kafka does on its disk: this one has only its memory, so
        that ending the child would be another demonstration.
        """
        self._command("down", ALL_BROKERS)
        self.is_up = False

    def start(self) -> None:
        """Takes `stop` back."""
        self._command("up", ALL_BROKERS)
        self.is_up = True

    def _command(self, *words: str | int) -> None:
        if self._child.stdin is not None:
            self._child.stdin.write(json.dumps(words) + "\n")
            self._child.stdin.flush()
        if (answer := self._read_answer()) != "ok":
            raise RuntimeError(f"the demo's Kafka refused {words}: {answer}")

    def _read_answer(self) -> str:
        answer = self._child.stdout.readline().strip() if self._child.stdout else ""
        if not answer:
            raise RuntimeError("the demo's Kafka has ended; its error stands above")
        return answer


@contextmanager
def open_kafka() -> Iterator[Kafka]:
    """Starts the child, with its topics in it."""
    with subprocess.Popen(  # noqa: S603 - our own interpreter and our own file
        [sys.executable, "-P", mock_cluster.__file__, "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a Ctrl-C is for us; it ends when its standard input closes
    ) as child:
        try:
            yield Kafka(child)
        finally:
            child.kill()
