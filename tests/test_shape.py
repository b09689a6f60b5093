"""What `when`, `payload` and `body` make of a batch."""

import json
from typing import Literal

import pytest

from routerd.address import parse_mqtt_pattern
from routerd.errors import DeliveryFailed
from routerd.message import Message
from routerd.scope import Scope
from routerd.shape import Body, BodyValue, Condition, Shape, Shaped, When
from routerd.template import Reference, Template, parse_reference, parse_template


def references_of(value: BodyValue | None) -> list[Reference]:
    match value:
        case Template():
            return list(value.references)
        case dict():
            return [one for inner in value.values() for one in references_of(inner)]
        case list():
            return [one for inner in value for one in references_of(inner)]
        case _:
            return []


def shape_of(
    *, when: When | None = None, body: Body | None = None, payload: Literal["json"] | None = None
) -> Shape:
    references = [*(when or {}), *references_of(body)]
    scope = Scope([parse_mqtt_pattern("a/{device}/{rest#}")], references)
    return Shape(scope, when=when, body=body, payload=payload)


def apply(shape: Shape, *payloads: bytes, topic: bytes = b"a/d1/x/y") -> Shaped:
    return shape.apply([Message(topic, payload) for payload in payloads], 0.0, {})


def passes(reference: str, condition: Condition, payload: object) -> bool:
    shape = shape_of(when={parse_reference(reference): condition})
    return bool(apply(shape, json.dumps(payload).encode()).messages)


# --- when


@pytest.mark.parametrize(
    ("condition", "passing", "others"),
    [
        (Condition(one_of=("x",)), ["x"], ["y", "", 1, None, ["x"]]),
        (Condition(one_of=(1, "b")), [1, 1.0, "b"], [True, "1", 2]),
        (Condition(one_of=(True,)), [True], [1, "true", False]),
        (Condition(one_of=(0,)), [0, 0.0], [False, None, ""]),
        (Condition(none_of=("x", 1)), ["y", 2, True, {}], ["x", 1]),
        (Condition(min=3), [3, 3.5], [2.9, "4", True, [9]]),
        (Condition(max=3), [3, -1], [3.1, "1", False]),
        (Condition(min=1, max=2), [1, 1.5, 2], [0, 3]),
        (Condition(present=True), ["", 0, False, [], {}], [None]),
        (Condition(none_of=("x",), min=0), [1], [-1, "x", "y"]),
    ],
)
def test_a_condition_holds_or_not(
    condition: Condition, passing: list[object], others: list[object]
) -> None:
    assert [passes(".v", condition, {"v": value}) for value in passing] == [True] * len(passing)
    assert [passes(".v", condition, {"v": value}) for value in others] == [False] * len(others)


@pytest.mark.parametrize(
    "condition",
    [Condition(one_of=(1,)), Condition(none_of=(1,)), Condition(min=0), Condition(present=True)],
)
def test_a_missing_field_holds_no_condition(condition: Condition) -> None:
    assert not passes(".v", condition, {"w": 1})
    assert not passes(".v", condition, {"v": None})
    assert not passes(".v", condition, "text")


def test_absence_is_asked_for() -> None:
    assert passes(".v", Condition(present=False), {"w": 1})
    assert passes(".v", Condition(present=False), {"v": None})
    assert not passes(".v", Condition(present=False), {"v": 1})


def test_captures_and_metadata_are_texts() -> None:
    assert passes("device", Condition(one_of=("d1",)), {})
    assert passes("rest", Condition(one_of=("x/y",)), {})
    assert passes("@topic", Condition(one_of=("a/d1/x/y",)), {})
    assert not passes("device", Condition(none_of=("d1",)), {})


def test_all_conditions_must_hold() -> None:
    shape = shape_of(
        when={
            parse_reference(".a"): Condition(one_of=(1,)),
            parse_reference(".b"): Condition(one_of=(2,)),
        }
    )

    shaped = apply(shape, b'{"a":1,"b":2}', b'{"a":1}', b'{"b":2}', b'{"a":1,"b":2,"c":3}')

    assert [message.payload for message in shaped.messages] == [
        b'{"a":1,"b":2}',
        b'{"a":1,"b":2,"c":3}',
    ]
    assert (shaped.indexes, shaped.filtered, shaped.failures) == ([0, 3], 2, {})


def test_what_is_no_json_is_filtered_and_never_an_error() -> None:
    shaped = apply(shape_of(when={parse_reference(".a"): Condition(min=0)}), b"\xff", b"", b"{")

    assert (shaped.filtered, shaped.failures, shaped.messages) == (3, {}, [])


# --- payload


def test_without_anything_to_do_the_batch_goes_through_as_it_is() -> None:
    messages = [Message(b"a/d", b"\xff")]

    shaped = shape_of().apply(messages, 0.0, {})

    assert shaped.messages is messages
    assert shaped.indexes is None


@pytest.mark.parametrize("looks_inside", [False, True])
def test_payload_json_makes_anything_else_an_error_of_its_message(looks_inside: bool) -> None:
    when = {parse_reference(".a"): Condition(present=False)} if looks_inside else None
    shape = shape_of(when=when, payload="json")

    shaped = apply(shape, b"1", b"{", b'"x"', b"\xff", b"")

    assert shaped.indexes == [0, 2]
    assert sorted(shaped.failures) == [1, 3, 4]
    assert {error.reason for error in shaped.failures.values()} == {"unroutable"}


def test_problems_of_the_source_stay_failures() -> None:
    problem = DeliveryFailed("too large", reason="too_large")
    messages = [Message(b"a/d", b"1"), Message(b"a/d", b"2")]

    shaped = shape_of().apply(messages, 0.0, {0: problem})

    assert shaped.failures == {0: problem}
    assert (shaped.messages, shaped.indexes) == ([messages[1]], [1])


# --- body


def test_a_body_is_a_table_of_templates() -> None:
    body: Body = {
        "device": parse_template("{device}"),
        "value": parse_template("{.v}"),
        "note": parse_template("{.note?}"),
        "text": parse_template("{.v} of {rest}"),
        "list": [parse_template("{.v}"), 1, {"deep": True}],
        "constant": 1.5,
    }

    (message,) = apply(shape_of(body=body), b'{"v": [1, "x"]}').messages

    assert json.loads(message.payload) == {
        "device": "d1",
        "value": [1, "x"],
        "note": None,
        "text": '[1,"x"] of x/y',
        "list": [[1, "x"], 1, {"deep": True}],
        "constant": 1.5,
    }


def test_a_body_of_text_is_that_text() -> None:
    (message,) = apply(shape_of(body=parse_template("{.v} ä\n")), b'{"v": 1}').messages

    assert message.payload == "1 ä\n".encode()


def test_a_new_body_keeps_what_the_message_was_and_not_its_kind() -> None:
    original = Message(b"a/d", b"{}", token=7, is_text=False)

    shaped = shape_of(body=parse_template("x")).apply([original], 0.0, {})

    (message,) = shaped.messages
    assert (message.address, message.token, message.is_text) == (b"a/d", 7, None)
    assert original.payload == b"{}"


def test_a_body_that_misses_a_value_fails_its_message_alone() -> None:
    shape = shape_of(body={"v": parse_template("{.v}")})

    shaped = apply(shape, b'{"v": 1}', b"{}", b'{"v": 3}')

    assert shaped.indexes == [0, 2]
    assert str(shaped.failures[1]) == "`{.v}` has no value: it is missing or null"


@pytest.mark.slow
def test_json_nested_however_deeply_fails_its_message_and_nothing_else() -> None:
    bodies: list[Body] = [{"a": parse_template("{.}")}, parse_template("x{.}")]
    for body in bodies:
        shape = shape_of(body=body)
        failed = 0
        for depth in range(700, 1100):
            shaped = apply(shape, b"[" * depth + b"]" * depth)
            failed += len(shaped.failures)
        assert 0 < failed < 400
