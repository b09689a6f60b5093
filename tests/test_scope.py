"""What templates come to for a message."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from routerd.address import parse_group_path, parse_mqtt_pattern, parse_path_pattern
from routerd.errors import DeliveryFailed
from routerd.message import Message
from routerd.scope import MISSING, Scope
from routerd.template import Template, parse_reference, parse_template

PATTERN = "plant/{plant}/{rest#}"
TOPIC = b"plant/p1/line/7"
PAYLOAD = b'{"a": {"b": 1.50, "list": ["x", true]}, "null": null, "text": "t\\u00e4"}'


@dataclass(frozen=True)
class FakeOrigin:
    """A client's handshake."""

    session: str = "s1"
    peer: str = "192.0.2.1:7"
    path: bytes = b"/chat/a%20b"
    query: Mapping[str, str] = field(default_factory=lambda: {"user": "ada"})
    headers: Mapping[str, str] = field(default_factory=lambda: {"user-agent": "x/1"})
    claims: Mapping[str, object] = field(
        default_factory=lambda: {
            "sub": "ada",
            "level": 3,
            "rooms": ["a", "b"],
            "a.b": 1,
            "a": {"b": 2, "c": {"d": None}},
        }
    )


def scope_of(*templates: Template) -> Scope:
    references = [one for template in templates for one in template.references]
    return Scope([parse_mqtt_pattern(PATTERN)], references)


def message(scope: Scope, payload: bytes = PAYLOAD, *, topic: bytes = TOPIC) -> Message:
    one = Message(topic, payload, origin=FakeOrigin())
    scope.look([one], 1_700_000_000.25)
    return one


def text_of(source: str, payload: bytes = PAYLOAD, *, topic: bytes = TOPIC) -> str:
    template = parse_template(source)
    scope = scope_of(template)
    return scope.compile_text(template)(message(scope, payload, topic=topic))


def value_of(source: str, payload: bytes = PAYLOAD) -> object:
    template = parse_template(source)
    scope = scope_of(template)
    return scope.compile_value(template)(message(scope, payload))


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("plain {{}}", "plain {}"),
        ("", ""),
        ("{plant}", "p1"),
        ("{plant}-{rest}", "p1-line/7"),
        ("{rest#}", "line/7"),
        ("{.text}", "tä"),
        ("{.a.b}", "1.5"),
        ("<{.a}>", '<{"b":1.5,"list":["x",true]}>'),
        ("{.a.list.0}{.a.list.1}", "xtrue"),
        ("[{.none?}{.null?}]", "[]"),
        ("{@topic}", "plant/p1/line/7"),
        ("{@time}", "2023-11-14T22:13:20.250Z"),
        ("{@session} {@query.user} {@header.User-Agent}", "s1 ada x/1"),
        ("{@claim.sub} {@claim.level} {@claim.rooms}", 'ada 3 ["a","b"]'),
        ("{@claim.a.b} {@claim.a.c.d?}", "1 "),
        ("{@peer} {@path}", "192.0.2.1:7 /chat/a%20b"),
        ("{@query.none?}{@header.none?}", ""),
    ],
)
def test_a_template_comes_to_a_text(source: str, text: str) -> None:
    assert text_of(source) == text


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("{.a.b}", 1.5),
        ("{.a.list}", ["x", True]),
        ("{.null?}", None),
        ("{.none?}", None),
        ("{plant}", "p1"),
        ("{rest}", "line/7"),
        ("{.a.b} C", "1.5 C"),
        ("text", "text"),
    ],
)
def test_a_single_reference_keeps_its_json_type(source: str, value: object) -> None:
    assert value_of(source) == value


@pytest.mark.parametrize(
    ("source", "payload", "reason"),
    [
        ("{.none}", PAYLOAD, "`{.none}` has no value: it is missing or null"),
        ("{.null}", PAYLOAD, "`{.null}` has no value: it is missing or null"),
        ("{.a.none.deeper}", PAYLOAD, "`{.a.none.deeper}` has no value: it is missing or null"),
        ("{.a}", b"\xff", "`{.a}` has no value: the payload is not JSON"),
        ("{@query.none}", PAYLOAD, "`{@query.none}` has no value: it is missing or null"),
        ("{@key}", PAYLOAD, "`{@key}` has no value: it is missing or null"),
    ],
)
def test_a_missing_value_fails_the_message_for_good(
    source: str, payload: bytes, reason: str
) -> None:
    for render in (text_of, value_of):
        with pytest.raises(DeliveryFailed) as failed:
            render(source, payload)
        assert str(failed.value) == reason
        assert failed.value.reason == "unroutable"


def test_an_empty_level_is_a_text_and_not_missing() -> None:
    assert text_of("[{plant}]", topic=b"plant//x") == "[]"
    assert text_of("[{rest}]", topic=b"plant/p") == "[]"


def test_a_group_has_a_segment_for_each_level_of_the_rest() -> None:
    segments = parse_group_path("/live/{plant}/{rest#}/{rest}")
    scope = scope_of(*segments)
    render = scope.compile_segments(segments)

    assert render(message(scope)) == ("live", "p1", "line", "7", "line/7")
    assert render(message(scope, topic=b"plant/a")) == ("live", "a", "")
    assert render.is_static


def test_what_a_client_puts_into_a_segment_is_not_parsed_again() -> None:
    pattern = parse_path_pattern("/chat/{room}")
    segments = parse_group_path("/chat/{room}")
    scope = Scope([pattern], segments[1].references)

    assert scope.compile_segments(segments)(Message(b"/chat/a%2F..%2F{x}", b"")) == (
        "chat",
        "a/../{x}",
    )


@pytest.mark.parametrize(
    ("source", "is_static"),
    [
        ("literal", True),
        ("{plant}/{rest#}", True),
        ("{@topic}", True),
        ("{@time}", False),
        ("{@session}", False),
        ("{.a}", False),
        ("{.topic}", False),
        ("{@query.topic}", False),
    ],
)
def test_only_what_depends_on_the_address_alone_is_static(source: str, is_static: bool) -> None:
    template = parse_template(source)
    scope = scope_of(template)

    assert scope.compile_text(template).is_static is is_static
    assert scope.compile_value(template).is_static is is_static


def test_the_first_pattern_that_matches_gives_the_captures() -> None:
    scope = Scope([parse_mqtt_pattern("a/{x}"), parse_mqtt_pattern("b/{x}/+")], [])

    assert scope.captures(b"b/1/2") == {"x": "1"}
    assert scope.captures(b"a/3") == {"x": "3"}
    assert scope.captures(b"c") == {}
    assert scope.captures(b"a/\xff") == {}


def test_captures_are_remembered_for_a_bounded_number_of_addresses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("routerd.memory.MOST_ADDRESSES", 10)
    scope = Scope([parse_mqtt_pattern("a/{x}")], [])

    first = scope.captures(b"a/0")
    assert scope.captures(b"a/0") is first
    for number in range(10):
        scope.captures(b"a/%d" % number)
    assert scope.captures(b"a/0") is first
    scope.captures(b"a/10")

    assert scope.captures(b"a/0") is not first
    assert scope.captures(b"a/0") == first


def test_payloads_are_decoded_only_if_something_looks_inside() -> None:
    scope = scope_of(parse_template("{plant}"))

    assert not scope.looks_inside
    assert message(scope).document is None
    assert scope.compile_reference(parse_reference("plant"))(message(scope)) == "p1"


def test_a_reference_never_raises() -> None:
    names = [".a.b", "@topic", "@time", "@session", "@query.x", "@header.x", "@type", "plant"]
    references = [parse_reference(name) for name in names]
    scope = Scope([parse_mqtt_pattern(PATTERN)], references)
    one = Message(b"\xff", b"\xff")
    scope.look([one], 0.0)

    found = {str(one): scope.compile_reference(one) for one in references}

    assert {name: value(one) for name, value in found.items()} == {
        **dict.fromkeys(names, MISSING),
        "@time": "1970-01-01T00:00:00.000Z",
    }


@pytest.mark.slow
@pytest.mark.parametrize("source", ["{.}", "x{.}"])
def test_json_nested_however_deeply_fails_its_message_and_nothing_else(source: str) -> None:
    template = parse_template(source)
    scope = scope_of(template)
    render = scope.compile_text(template)
    failed = 0

    for depth in range(700, 1100):
        try:
            render(message(scope, b"[" * depth + b"]" * depth))
        except DeliveryFailed:
            failed += 1

    assert 0 < failed < 400
