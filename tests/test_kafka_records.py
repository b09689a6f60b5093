"""What becomes a record, and what is refused before Kafka sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from routerd.connectors.kafka.records import OVERHEAD_BYTES, Record, RecordMaker
from routerd.errors import DeliveryFailed
from routerd.message import Message
from routerd.template import parse_template
from tests.kafka_house import scope_of

if TYPE_CHECKING:
    from routerd.scope import Scope


class Maker:
    """A `RecordMaker` of a route from `mqtt:s/{device}`, with what the route does first."""

    def __init__(
        self,
        topic: str,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
        max_bytes: int = 1000,
        max_topics: int = 10,
    ) -> None:
        self.scope: Scope = scope_of(topic, key or "", *(headers or {}).values())
        self.made = RecordMaker(
            self.scope,
            topic=parse_template(topic),
            key=None if key is None else parse_template(key),
            headers={name: parse_template(text) for name, text in (headers or {}).items()},
            max_bytes=max_bytes,
            max_topics=max_topics,
        )

    def __call__(self, address: str, payload: bytes = b"x") -> Record:
        message = Message(address.encode(), payload)
        self.scope.look([message], 0.0)
        return self.made.record(message)


def test_without_a_key_in_the_table_the_record_has_none() -> None:
    assert Maker("t")("s/1") == Record("t", None, None, 1000 - OVERHEAD_BYTES)


def test_topic_key_and_headers_are_rendered() -> None:
    record = Maker("t-{device}", key="k{device}", headers={"from": "{@topic}"})("s/1")
    assert record[:3] == ("t-1", b"k1", [("from", b"s/1")])


def test_a_json_value_as_the_key_is_compact_json() -> None:
    make = Maker("t", key="{.a}")
    keys = [make("s/1", b'{"a": %s}' % value).key for value in (b'"x"', b"1.5", b"true", b"[1, 2]")]
    assert keys == [b"x", b"1.5", b"true", b"[1,2]"]


def test_an_optional_key_without_a_value_is_null() -> None:
    make = Maker("t", key="{.a?}")
    assert [make("s/1", payload).key for payload in (b"{}", b'{"a": null}', b'{"a": ""}')] == [
        None,
        None,
        b"",
    ]


def test_an_optional_header_without_a_value_is_left_out() -> None:
    record = Maker("t", headers={"a": "{.a?}", "b": "b{.a?}"})("s/1", b"{}")
    assert record.headers == [("b", b"b")]


def test_a_missing_reference_fails_that_message() -> None:
    with pytest.raises(DeliveryFailed, match=r"`\{\.a\}` has no value") as caught:
        Maker("t", key="{.a}")("s/1", b"{}")
    assert caught.value.reason == "unroutable"


@pytest.mark.parametrize("device", ["", "ä", "a b", "x" * 250])
def test_a_topic_that_kafka_can_not_have_fails_that_message(device: str) -> None:
    with pytest.raises(DeliveryFailed, match="no Kafka topic for it") as caught:
        Maker("{device}")(f"s/{device}")
    assert caught.value.reason == "unroutable"


def test_one_topic_more_than_allowed_fails_and_the_others_go_on() -> None:
    make = Maker("t-{device}", max_topics=2)
    make("s/1")
    make("s/2")
    with pytest.raises(DeliveryFailed, match="'t-3' would be one topic too many") as caught:
        make("s/3")
    assert caught.value.reason == "rejected"
    assert make("s/1").topic == "t-1"


def test_what_is_just_small_enough_is_taken() -> None:
    make = Maker("t", key="{device}", headers={"h": "12345"}, max_bytes=500)
    room = 500 - OVERHEAD_BYTES - len("key") - len("h12345") - 10
    assert make("s/key", b"x" * room).room == room
    with pytest.raises(DeliveryFailed, match=r"501 bytes .* `message\.max\.bytes` is 500"):
        make("s/key", b"x" * (room + 1))


def test_a_record_that_only_the_address_decides_is_made_once() -> None:
    make = Maker("t-{device}", key="{device}")
    assert make("s/1") is make("s/1")


def test_a_record_that_the_payload_decides_is_made_each_time() -> None:
    make = Maker("t", key="{.a}")
    assert [make("s/1", b'{"a": 1}').key, make("s/1", b'{"a": 2}').key] == [b"1", b"2"]


def test_no_more_addresses_are_remembered_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("routerd.memory.MOST_ADDRESSES", 2)
    make = Maker("t", key="{device}")
    first = make("s/1")
    make("s/2")
    make("s/3")
    assert make("s/1") == first
    assert make("s/1") is not first


def test_a_key_that_is_no_text_fails_that_message() -> None:
    make = Maker("t", key="{.a}")
    with pytest.raises(DeliveryFailed):
        make("s/1", b'{"a": "\\ud800"}')


def test_an_optional_key_that_is_nested_too_deeply_fails_that_message() -> None:
    # Which depths decode and don't encode depends on the stack; some of these always do.
    make, taken = Maker("t", key="{.a?}", max_bytes=10_000), set[bool]()
    for depth in range(800, 1000):
        try:
            make("s/1", b'{"a":%s%s}' % (b"[" * depth, b"]" * depth))
        except DeliveryFailed:
            taken.add(False)
        else:
            taken.add(True)
    assert taken == {True, False}
