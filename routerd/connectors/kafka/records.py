"""What a Kafka record has besides its value: topic, key and headers, from a route's templates.

Whatever can be wrong with a record is found here, before librdkafka sees it: a bad one would take
the records that lie in the same batch along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from routerd.connectors.kafka import topics
from routerd.errors import DeliveryFailed
from routerd.memory import remember
from routerd.scope import encode_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from routerd.connectors.kafka.handed import Report
    from routerd.message import Message
    from routerd.scope import Scope
    from routerd.template import Template

OVERHEAD_BYTES = 61 + 36
"""What a batch and one record in it take at most besides key, value and headers (format v2)."""
_HEADER_OVERHEAD_BYTES = 10
ANY_PARTITION = -1
"""The partitioner chooses."""

Headers = list[tuple[str, bytes]]


class Record(NamedTuple):
    """All of a record but its value.

    Attributes:
        room: most bytes that its value may have.
    """

    topic: str
    key: bytes | None
    headers: Headers | None
    room: int

    def give(self, produce: Callable[..., None], value: bytes, report: Report) -> None:
        """Hands it to confluent-kafka's `produce`, or to one that stands in for it."""
        if self.headers is None:
            produce(self.topic, value, self.key, ANY_PARTITION, report)
        else:
            produce(self.topic, value, self.key, ANY_PARTITION, report, headers=self.headers)


class RecordMaker:
    """One sink's records.

    Args:
        topic: the template after `kafka:`.
        key: None: every key is null.
        max_bytes: librdkafka's `message.max.bytes`.
        max_topics: most distinct topics; a device must not be able to create any number.
    """

    def __init__(
        self,
        scope: Scope,
        *,
        topic: Template,
        key: Template | None,
        headers: Mapping[str, Template],
        max_bytes: int,
        max_topics: int,
    ) -> None:
        self._topic = scope.compile_text(topic)
        self._key = None if key is None else _Text(scope, key)
        self._headers = [(name, _Text(scope, template)) for name, template in headers.items()]
        self._max_bytes = max_bytes
        self._max_topics = max_topics
        self._topics: set[str] = set()
        texts = [text for _, text in self._headers] + ([self._key] if self._key else [])
        self._is_static = self._topic.is_static and all(text.is_static for text in texts)
        self._records: dict[bytes, Record] = {}

    def record(self, message: Message) -> Record:
        """The record that a message becomes, remembered where its address decides it.

        Raises:
            DeliveryFailed: a template fails, Kafka can have no such topic, there are too many of
                them, or the record is too large.
        """
        record = self._records.get(message.address)
        if record is None:
            record = self._make(message)
        if len(message.payload) > record.room:
            raise self._too_large(message, record)
        return record

    def _make(self, message: Message) -> Record:
        topic = self._topic(message)
        if topic not in self._topics:
            self._admit(topic)
        key = None if self._key is None else self._key(message)
        headers: Headers | None = None
        taken = OVERHEAD_BYTES + len(key or b"")
        if self._headers:
            headers = []
            for name, text in self._headers:
                value = text(message)
                if value is not None:
                    headers.append((name, value))
                    taken += len(name.encode()) + len(value) + _HEADER_OVERHEAD_BYTES
        record = Record(topic, key, headers, self._max_bytes - taken)
        if self._is_static:
            remember(self._records, message.address, record)
        return record

    def _admit(self, topic: str) -> None:
        if reason := topics.refusal(topic):
            raise DeliveryFailed(f"no Kafka topic for it: {reason}", reason="unroutable")
        if len(self._topics) >= self._max_topics:
            raise DeliveryFailed(
                f"{topic!r} would be one topic too many: the route has written to "
                f"{self._max_topics} and `max_destinations` allows no more; raise it if they are "
                "meant"
            )
        self._topics.add(topic)

    def _too_large(self, message: Message, record: Record) -> DeliveryFailed:
        size = len(message.payload) + self._max_bytes - record.room
        return DeliveryFailed(
            f"too large for Kafka: {size} bytes with key, headers and overhead, and "
            f"`message.max.bytes` is {self._max_bytes}; raise it in [kafka.options] and in Kafka"
        )


class _Text:
    """A template as UTF-8; None where it is one optional reference without a value."""

    def __init__(self, scope: Scope, template: Template) -> None:
        is_optional = len(template.parts) == 1 and all(r.optional for r in template.references)
        if template.references and is_optional:
            value = scope.compile_value(template)
            self.is_static = value.is_static
            self._render: Callable[[Message], object] = value
        else:
            text = scope.compile_text(template)
            self.is_static = text.is_static
            self._render = text

    def __call__(self, message: Message) -> bytes | None:
        value = self._render(message)
        if value is None:
            return None
        if not isinstance(value, str):
            value = encode_json(value).decode()
        try:
            return value.encode()
        except UnicodeEncodeError as exc:
            raise DeliveryFailed(f"{value!r} is no text: {exc}", reason="unroutable") from exc
