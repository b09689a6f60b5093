"""From a route's messages to the frames that a group hears."""

import pytest

from routerd import groups as groups_module
from routerd.address import Pattern, parse_group_path, parse_mqtt_pattern
from routerd.connectors.websocket.codecs import CODECS
from routerd.connectors.websocket.sink import GroupSink
from routerd.feed import Slow
from routerd.groups import Groups
from routerd.message import Message
from routerd.receipt import Receipt, SinkCounts
from routerd.scope import Scope
from routerd.template import parse_template
from tests.test_groups import Recorder, running

DEVICES = parse_mqtt_pattern("sensors/{device}/{rest#}")


def open_sink(
    groups: Groups,
    path: str,
    *,
    pattern: Pattern = DEVICES,
    codec: str = "raw",
    kind: str | None = None,
    slow: Slow = "disconnect",
    key: str = "",
) -> GroupSink:
    segments = parse_group_path(path)
    template = parse_template(key)
    scope = Scope([pattern], [ref for each in (*segments, template) for ref in each.references])
    return GroupSink(
        scope.compile_segments(segments),
        groups=groups,
        counts=SinkCounts(),
        codec=CODECS[codec],
        kind=kind,
        slow=slow,
        key=scope.compile_text(template) if key else None,
    )


def said(device: str = "42", payload: bytes = b"x", *, is_text: bool | None = None) -> Message:
    return Message(f"sensors/{device}/a/b".encode(), payload, is_text=is_text)


def outcome(receipt: Receipt) -> list[str]:
    """The reasons of the failures; every message must have been resolved."""
    assert receipt.pending == 0
    return [error.reason for error in receipt.failures.values()]


async def test_each_message_goes_to_the_group_that_its_address_renders_to() -> None:
    async with running() as groups:
        sink, one, two = open_sink(groups, "/live/{device}"), Recorder(), Recorder()
        groups.join(("live", "1"), one)
        groups.join(("live", "2"), two)
        receipt = await sink.accept([said("1", b"a"), said("2", b"b"), said("1", b"c")])
        assert outcome(receipt) == []
        await groups.wait_flushed()
        assert one.heard == b"\x81\x01a\x81\x01c"
        assert two.heard == b"\x81\x01b"


@pytest.mark.parametrize(
    ("path", "device", "group"),
    [
        ("/{device}", "a%2Fb", ("a%2Fb",)),
        ("/x-{device}/{rest#}", "7", ("x-7", "a", "b")),
        ("/{rest#}/{device}", "..", ("a", "b", "..")),
        ("/{device}/", "", ("", "")),
        ("/%2F", "7", ("/",)),
    ],
)
async def test_a_rendered_address_is_never_parsed_again(
    path: str, device: str, group: tuple[str, ...]
) -> None:
    async with running() as groups:
        member = Recorder()
        groups.join(group, member)
        await open_sink(groups, path).accept([said(device)])
        await groups.wait_flushed()
        assert member.heard == b"\x81\x01x"


@pytest.mark.parametrize(
    ("payload", "is_text", "head"),
    [
        (b"text", None, 0x81),
        (b"\xff", None, 0x82),
        (b"text", False, 0x82),
        (b"text", True, 0x81),
    ],
)
async def test_a_frame_keeps_its_kind_and_others_are_text_when_they_can_be(
    payload: bytes, is_text: bool | None, head: int
) -> None:
    async with running() as groups:
        member = Recorder()
        groups.join(("live",), member)
        await open_sink(groups, "live").accept([said(payload=payload, is_text=is_text)])
        await groups.wait_flushed()
        assert member.heard[0] == head


async def test_what_nobody_hears_is_delivered_and_leaves_nothing_behind() -> None:
    groups = Groups()
    sink = open_sink(groups, "/live/{device}")
    receipt = await sink.accept([said(str(device)) for device in range(5000)])
    assert outcome(receipt) == []
    assert not any(("live", str(device)) in groups for device in range(5000))
    assert groups.pending_bytes == 0


async def test_a_template_that_fails_fails_its_message_only() -> None:
    async with running() as groups:
        sink, member = open_sink(groups, "/live/{.id}"), Recorder()
        groups.join(("live", "7"), member)
        bad, good = said(payload=b"{}"), said(payload=b'{"id":"7"}')
        good.document = bad.document = None
        scope = Scope([DEVICES], [r for s in parse_group_path("/{.id}") for r in s.references])
        scope.look([bad, good], 0.0)
        receipt = await sink.accept([bad, good])
        assert list(receipt.failures) == [0]
        assert outcome(receipt) == ["unroutable"]
        await groups.wait_flushed()
        assert member.heard == b'\x81\x0a{"id":"7"}'


async def test_each_frame_says_its_feed_and_with_latest_its_key() -> None:
    async with running() as groups:
        sink, member = open_sink(groups, "/live", slow="latest", key="{device}"), Recorder()
        groups.join(("live",), member)
        assert outcome(await sink.accept([said("1", b"a"), said("2", b"b")])) == []
        await groups.wait_flushed()
        assert [(frame.data, frame.key) for frame in member.frames] == [
            (b"\x81\x01a", "1"),
            (b"\x81\x01b", "2"),
        ]
        first, second = (frame.feed for frame in member.frames)
        assert first is second
        assert first is not None
        assert first.slow == "latest"


async def test_a_message_without_its_key_fails_alone() -> None:
    async with running() as groups:
        sink, member = open_sink(groups, "/live", slow="latest", key="{@session}"), Recorder()
        groups.join(("live",), member)
        assert outcome(await sink.accept([said()])) == ["unroutable"]
        assert groups.pending_bytes == 0


async def test_more_than_can_wait_is_failed_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups_module, "GROUP_BYTES", 10)
    async with running() as groups:
        sink, member = open_sink(groups, "/live"), Recorder()
        groups.join(("live",), member)
        receipt = await sink.accept([said(payload=b"abc")] * 4)
        assert outcome(receipt) == ["overloaded", "overloaded"]
        await groups.wait_flushed()
        assert member.heard == b"\x81\x03abc" * 2
        assert outcome(await sink.accept([said()])) == []


async def test_addresses_without_end_are_routed_with_bounded_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("routerd.memory.MOST_ADDRESSES", 10)
    async with running() as groups:
        sink, member = open_sink(groups, "/live/{device}"), Recorder()
        groups.join(("live", "7"), member)
        for device in range(100):
            await sink.accept([said(str(device)), said("7")])
        await groups.wait_flushed()
        assert member.heard == b"\x81\x01x" * 101
        assert sink.cached_addresses <= 10
