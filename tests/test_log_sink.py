"""The log sink: a look at messages that never becomes a flood."""

import logging

import pytest
import trio
import trio.testing

from routerd.address import parse_mqtt_pattern
from routerd.connectors.log import sink as sink_module
from routerd.connectors.log.connector import LogConnector
from routerd.connectors.log.settings import LogSinkSpec
from routerd.connectors.log.sink import LINES_PER_SECOND, LONGEST_LINE, LogSink
from routerd.interfaces import RouteContext, Sink
from routerd.message import Message
from routerd.receipt import SinkCounts
from routerd.scope import Scope
from routerd.status import DaemonStatus
from routerd.template import Template, parse_template
from tests.contracts import SINK_RULES, SinkRule, name_of
from tests.fakes import fake_status


def open_log(text: str, *, counts: SinkCounts) -> LogSink:
    """A sink of a route that reads `t/{name}`."""
    template: Template = parse_template(text)
    scope = Scope([parse_mqtt_pattern("t/{name}")], template.references)
    return LogSink(scope.compile_text(template), route="look", counts=counts)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.name == "routerd.messages"]


class LogCase:
    """A log, as the contract's rules drive it."""

    is_required = False

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.counts = SinkCounts()
        self.sink: Sink = open_log("{name}", counts=self.counts)
        self._caplog = caplog

    def message(self, payload: bytes) -> Message:
        return Message(b"t/" + payload, payload)

    def unroutable(self) -> Message:
        return Message(b"nobody's topic", b"")

    async def arrived(self, count: int) -> list[bytes]:
        shown = [line.removesuffix(" route=look").encode() for line in lines(self._caplog)]
        return shown[:count]

    async def stall(self) -> None:
        """A log can't."""

    async def resume(self) -> None:
        """It never stood."""


@pytest.fixture(autouse=True)
def _listening(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="routerd")


@pytest.mark.parametrize("rule", SINK_RULES, ids=name_of)
async def test_the_log_sink_keeps_the_contract(
    rule: SinkRule,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: trio.testing.MockClock,
) -> None:
    monkeypatch.setattr(sink_module, "LINES_PER_SECOND", 1000)
    await rule(LogCase(caplog))


async def test_only_the_first_lines_of_a_second_are_shown_and_the_rest_is_counted(
    caplog: pytest.LogCaptureFixture, autojump_clock: trio.testing.MockClock
) -> None:
    counts = SinkCounts()
    sink = open_log("{name}", counts=counts)
    flood = [Message(b"t/%d" % number, b"") for number in range(1000)]
    receipt = await sink.accept(flood)
    assert (receipt.pending, counts.delivered) == (0, 1000)
    assert len(lines(caplog)) == LINES_PER_SECOND
    sink.report_suppressed()
    sink.report_suppressed()  # once is enough
    assert lines(caplog)[LINES_PER_SECOND:] == [
        f"further messages not shown route=look count={1000 - LINES_PER_SECOND}"
    ]
    await trio.sleep(1)
    await sink.accept(flood[:1])
    assert lines(caplog)[-1] == "0 route=look"


async def test_a_message_cannot_forge_a_line_nor_fill_the_disk(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink = open_log("{name}", counts=SinkCounts())
    await sink.accept([Message("t/a\nERROR \x1b[2J \u202e".encode() + b"x" * 10_000, b"")])
    [line] = lines(caplog)
    assert line.isprintable()
    assert len(line) < LONGEST_LINE + 100


async def test_the_connection_says_once_a_second_what_was_left_out(
    caplog: pytest.LogCaptureFixture, autojump_clock: trio.testing.MockClock
) -> None:
    template = parse_template("x")
    route = RouteContext(
        name="look",
        status=fake_status(),
        scope=Scope([], []),
        key=None,
        headers={},
        inflight=1,
        max_destinations=1,
    )
    status = DaemonStatus("test")
    async with LogConnector().open(None, total_inflight=0, status=status) as log:
        sink = log.open_sink(LogSinkSpec(template), route, SinkCounts())
        await sink.accept([Message(b"t", b"")] * 50)
        await trio.sleep(1.5)
        assert lines(caplog)[-1] == "further messages not shown route=look count=40"
