"""The file connector of docs/connectors.md, as the contract's rules drive it.

Not collected here, where there is no such connector: `test_docs_connectors` runs it on a copy of
routerd that has one.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio
from routerd.connectors.file.connector import (  # type: ignore[import-not-found]
    FileConnection,
    FileConnector,
)
from routerd.connectors.file.settings import FileSettings  # type: ignore[import-not-found]

from routerd.address import parse_mqtt_pattern
from routerd.interfaces import RouteContext
from routerd.message import Message
from routerd.receipt import SinkCounts
from routerd.scope import Scope
from routerd.status import DaemonStatus
from routerd.template import parse_template
from tests.contracts import SINK_RULES, SinkRule, name_of
from tests.fakes import fake_status

if TYPE_CHECKING:
    from routerd.interfaces import Sink


class FileCase:
    """A route that reads `t/{name}` and writes to `{name}.txt`."""

    is_required = True

    def __init__(self, connection: FileConnection, folder: Path) -> None:
        template = parse_template("{name}.txt")
        scope = Scope([parse_mqtt_pattern("t/{name}")], template.references)
        context = RouteContext("r", fake_status(), scope, None, {}, 100, max_destinations=1)
        self.counts = SinkCounts()
        self.sink: Sink = connection.open_sink(template, context, self.counts)
        self._connection = connection
        self._file = folder / "a.txt"

    def message(self, payload: bytes) -> Message:
        return Message(b"t/a", payload)

    def unroutable(self) -> Message:
        return Message(b"t/..", b"")

    async def arrived(self, count: int) -> list[bytes]:
        lines: list[bytes] = []
        while len(lines) < count:
            await trio.sleep(0.01)
            lines = self._file.read_bytes().splitlines() if self._file.exists() else []
        return lines[:count]

    async def stall(self) -> None:
        await self._connection.limiter.acquire_on_behalf_of(self)

    async def resume(self) -> None:
        self._connection.limiter.release_on_behalf_of(self)


@asynccontextmanager
async def open_case(folder: Path) -> AsyncIterator[FileCase]:
    settings, status = FileSettings("file", folder), DaemonStatus("test")
    async with FileConnector().open(settings, total_inflight=100, status=status) as connection:
        yield FileCase(connection, folder)


@pytest.mark.parametrize("rule", SINK_RULES, ids=name_of)
async def test_the_file_sink_keeps_the_contract(rule: SinkRule, tmp_path: Path) -> None:
    async with open_case(tmp_path) as case:
        await rule(case)


async def test_what_no_file_can_hold_fails_alone(tmp_path: Path) -> None:
    async with open_case(tmp_path) as case:
        messages = [case.message(b"1"), case.message(b"2\n3"), Message(b"t/b", b"4")]
        receipt = await case.sink.accept(messages)
        await receipt.wait()
    assert {index: error.reason for index, error in receipt.failures.items()} == {
        1: "rejected",
        2: "rejected",
    }
    assert (tmp_path / "a.txt").read_bytes() == b"1\n"


async def test_a_file_that_cannot_be_written_fails_its_messages(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    async with open_case(tmp_path) as case:
        receipt = await case.sink.accept([case.message(b"1")])
        await receipt.wait()
    assert str(receipt.failures[0]) == "can't write a.txt: Is a directory"
