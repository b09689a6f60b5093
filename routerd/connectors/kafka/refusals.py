"""What Kafka's errors mean for a message: refused for good, or to be tried again.

Not here: the errors after which the producer itself is of no more use; see `producer.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from confluent_kafka import KafkaError

from routerd.errors import DeliveryFailed

if TYPE_CHECKING:
    from collections.abc import Callable

# Their documented names begin with an underscore: librdkafka's own errors, not a broker's.
_UNKNOWN_TOPIC = KafkaError._UNKNOWN_TOPIC  # noqa: SLF001
_UNKNOWN_PARTITION = KafkaError._UNKNOWN_PARTITION  # noqa: SLF001
_INVALID_ARG = KafkaError._INVALID_ARG  # noqa: SLF001
_FATAL = KafkaError._FATAL  # noqa: SLF001
ALL_BROKERS_DOWN = KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001

UNKNOWN_TOPIC = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, _UNKNOWN_TOPIC, _UNKNOWN_PARTITION})
"""The topic is not there; or not yet, on a broker that has just started."""

OF_THE_BATCH = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.POLICY_VIOLATION,
        KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    }
)
"""One record may have spoiled it for its whole batch."""

_AGAIN = frozenset(
    {
        # The producer had to begin anew; the record is as good as before.
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
        KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
        KafkaError.DUPLICATE_SEQUENCE_NUMBER,
        KafkaError.UNKNOWN_PRODUCER_ID,
        KafkaError.INVALID_PRODUCER_ID_MAPPING,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,  # no producer id, which is fatal: said there
        KafkaError.INVALID_REQUIRED_ACKS,
        # A cluster that is moving, overloaded or half down. librdkafka retries these itself; the
        # errors of reports don't say `retriable()`, so they are named.
        KafkaError.UNKNOWN,
        KafkaError.INVALID_MSG,  # garbled on its way
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_CONTROLLER,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.CONCURRENT_TRANSACTIONS,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.THROTTLING_QUOTA_EXCEEDED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
    }
)

_SENTENCES: dict[int, Callable[[str], str]] = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: lambda topic: (
        f"not allowed to write to the Kafka topic {topic}: ask for a WRITE ACL on it"
    ),
    KafkaError.TOPIC_EXCEPTION: lambda topic: (
        f"Kafka takes no records for {topic}: it is not a legal topic, or one of Kafka's own; "
        "write to another"
    ),
    KafkaError.MSG_SIZE_TOO_LARGE: lambda topic: (
        f"too large for the Kafka topic {topic}: raise its `max.message.bytes` or send less"
    ),
    KafkaError.RECORD_LIST_TOO_LARGE: lambda topic: (
        f"too large for the Kafka topic {topic}: raise its `segment.bytes` or send less"
    ),
    KafkaError.INVALID_RECORD: lambda topic: (
        f"Kafka finds the record invalid for the topic {topic}: a compacted topic needs a `key`, "
        "and one with a schema a body that fits it"
    ),
    KafkaError.POLICY_VIOLATION: lambda topic: (
        f"a policy of the Kafka cluster refuses the record for the topic {topic}: ask who runs it"
    ),
}


def is_fatal(error: KafkaError) -> bool:
    """Whether the producer takes nothing any more."""
    return error.fatal() or error.code() == _FATAL


def fatal_sentence(error: KafkaError) -> str:
    """Why a producer can't go on, and what to do where something can be done."""
    if error.code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED:
        return (
            f"{error.str()}; ask for a WRITE ACL on a topic, or for IDEMPOTENT_WRITE on the cluster"
        )
    return error.str()


def refused(error: KafkaError, topic: str) -> DeliveryFailed | None:
    """Why this record will never be taken; None if it is to be produced again.

    Only a broker refuses: librdkafka's own errors (codes below 0: purged, timed out, fatal) say
    nothing about the record, but for the one that its `produce` raises for a malformed one.
    """
    code = error.code()
    if code in UNKNOWN_TOPIC:
        return DeliveryFailed(f"the Kafka topic {topic} does not exist: create it")
    if code in _SENTENCES:
        return DeliveryFailed(_SENTENCES[code](topic))
    if code == _INVALID_ARG or (code > 0 and code not in _AGAIN and not error.retriable()):
        return DeliveryFailed(f"Kafka refused the record for the topic {topic}: {error.str()}")
    return None
