"""What the table says of a Kafka connection and of a route's topic, checked."""

from collections.abc import Mapping
from dataclasses import dataclass

from routerd.secrets import Secret
from routerd.template import Template


@dataclass(frozen=True)
class KafkaSettings:
    """One `[kafka]` table.

    Attributes:
        key: `kafka`, or `kafka.NAME`.
        options: librdkafka properties: `bootstrap.servers`, our defaults, and what
            `[kafka.options]` says over them.
    """

    key: str
    options: Mapping[str, str | int | float | bool | Secret]


@dataclass(frozen=True)
class KafkaSinkSpec:
    """A route's output: `kafka:TOPIC`."""

    topic: Template
    required: bool = True
