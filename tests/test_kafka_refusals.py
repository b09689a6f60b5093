"""Which errors of Kafka end a message, and in which words."""

import pytest
from confluent_kafka import KafkaError

from routerd.connectors.kafka.refusals import fatal_sentence, is_fatal, refused

FOR_GOOD = {
    "MSG_SIZE_TOO_LARGE": "too large for the Kafka topic t",
    "RECORD_LIST_TOO_LARGE": "too large for the Kafka topic t",
    "INVALID_RECORD": "invalid for the topic t",
    "POLICY_VIOLATION": "a policy .* refuses the record for the topic t",
    "UNKNOWN_TOPIC_OR_PART": "the Kafka topic t does not exist: create it",
    "_UNKNOWN_TOPIC": "the Kafka topic t does not exist: create it",
    "TOPIC_AUTHORIZATION_FAILED": "not allowed to write to the Kafka topic t: ask for a WRITE ACL",
    "TOPIC_EXCEPTION": "takes no records for t",
    "INVALID_TIMESTAMP": "refused the record for the topic t",
    "_INVALID_ARG": "refused the record for the topic t",
    "INVALID_CONFIG": "refused the record for the topic t",  # not expected, so said as it came
}
AGAIN = [
    "INVALID_PRODUCER_EPOCH",
    "PRODUCER_FENCED",
    "OUT_OF_ORDER_SEQUENCE_NUMBER",
    "UNKNOWN_PRODUCER_ID",
    "CLUSTER_AUTHORIZATION_FAILED",
    "NOT_ENOUGH_REPLICAS",
    "REQUEST_TIMED_OUT",
    "KAFKA_STORAGE_ERROR",
    "_MSG_TIMED_OUT",
    "_PURGE_QUEUE",
    "_PURGE_INFLIGHT",
    "_TRANSPORT",
    "_FATAL",
    "_STATE",
]


@pytest.mark.parametrize("name", FOR_GOOD)
def test_a_refusal_says_what_and_what_to_do(name: str) -> None:
    failure = refused(KafkaError(getattr(KafkaError, name)), "t")
    assert failure is not None
    assert failure.reason == "rejected"
    with pytest.raises(type(failure), match=FOR_GOOD[name]):
        raise failure


@pytest.mark.parametrize("name", AGAIN)
def test_what_is_no_fault_of_the_record_is_tried_again(name: str) -> None:
    assert refused(KafkaError(getattr(KafkaError, name)), "t") is None


def test_what_kafka_calls_retriable_is_tried_again_though_unknown_here() -> None:
    assert refused(KafkaError(KafkaError.INVALID_CONFIG, retriable=True), "t") is None


def test_fatal_errors_are_known_by_flag_and_by_code() -> None:
    fatal = KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, fatal=True)
    by_code = KafkaError(KafkaError._FATAL)  # noqa: SLF001 - its documented name
    assert is_fatal(fatal)
    assert is_fatal(by_code)
    assert not is_fatal(KafkaError(KafkaError.INVALID_RECORD))


def test_who_may_not_write_anywhere_is_told_what_to_ask_for() -> None:
    error = KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED, "no id", fatal=True)
    assert "no id; ask for a WRITE ACL on a topic" in fatal_sentence(error)
