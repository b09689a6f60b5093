"""Clients that want answers, and routes whose sink a test drives by hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import trio
from trio.testing import wait_all_tasks_blocked

from routerd.address import Pattern, parse_path_pattern
from routerd.connectors.websocket.acks.words import SUBPROTOCOL
from routerd.connectors.websocket.limits import Limits
from routerd.connectors.websocket.settings import WebSocketSourceSpec
from routerd.delivery import Output
from routerd.route import Route
from routerd.shape import Shape, When
from routerd.status import RouteStatus
from tests.fakes import FakeSink
from tests.raw_websocket import BINARY, PING, PONG, TEXT, RawClient, frame
from tests.websocket_house import ROOMY, House, context_of, open_house

ACK = b"Sec-WebSocket-Protocol: " + SUBPROTOCOL.encode()


class Speaker:
    """A client that speaks `routerd.ack.v1`."""

    def __init__(self, client: RawClient) -> None:
        self.client = client
        self.heard = 0

    async def say(self, *texts: str) -> None:
        """Sends texts, all in one segment."""
        await self.client.send(b"".join(frame(TEXT, text.encode()) for text in texts))

    async def hear(self, count: int) -> list[str]:
        """The next messages; of binary ones, their bytes as a literal. Answers pings meanwhile."""
        heard: list[str] = []
        with trio.fail_after(30):
            while len(heard) < count:
                found = await self.client.read()
                assert found is not None, f"gone after {heard}"
                if found.opcode == TEXT:
                    heard.append(found.payload.decode())
                elif found.opcode == BINARY:
                    heard.append(str(found.payload))
                else:
                    assert found.opcode == PING, f"{found} after {heard}"
                    await self.client.send(frame(PONG, found.payload))
                    continue
                self.heard += 1
        return heard

    async def hears_nothing(self) -> bool:
        """Whether all that it was sent has been heard, once nothing moves any more."""
        await wait_all_tasks_blocked(0.005)
        with trio.move_on_after(0.01):
            await self.client.read()
            return False
        return True


class Kept:
    """A route from a path to one required sink."""

    def __init__(
        self,
        house: House,
        path: str,
        *,
        name: str = "chat",
        kind: str | None = None,
        inflight: int = 100,
        when: When | None = None,
    ) -> None:
        pattern = parse_path_pattern(path)
        self.status = RouteStatus(name, f"ws:{path}", [], inflight_limit=inflight)
        self.sink = FakeSink(confirms_at_once=True)
        context = context_of(self.status, patterns=[pattern])
        wanted: tuple[tuple[Pattern, str | None], ...] = ((pattern, kind),)
        self.route = Route(
            self.status,
            open_source=house.connection.open_source(WebSocketSourceSpec(wanted), context),
            outputs=[Output(self.sink, required=True)],
            shape=Shape(context.scope, when=when, body=None, payload=None),
            on_error="drop",
        )
        house.nursery.start_soon(self.route.run)

    async def accepted(self, count: int) -> list[bytes]:
        """The payloads that its sink was handed, once there are as many."""
        with trio.fail_after(10):
            while len(self.sink.accepted) < count:  # noqa: ASYNC110 - a fake has no event
                await trio.sleep(0.001)
        return self.sink.accepted


async def speaker(house: House, path: str, *more: bytes) -> Speaker:
    """One that is in; closed with the house."""
    client = await house.dial()
    return Speaker(await client.open(path, *(more or (ACK,))))


@asynccontextmanager
async def open_kept(
    *,
    codec: Literal["raw", "kratos"] = "raw",
    bad_frames: int = 10,
    inflight: int = 100,
    kind: str | None = None,
    limits: Limits = ROOMY,
) -> AsyncIterator[tuple[House, Speaker, Kept]]:
    """A house with a route that reads from `/in`, and a client there."""
    async with open_house(codec=codec, bad_frames=bad_frames, limits=limits) as house:
        kept = Kept(house, "/in", inflight=inflight, kind=kind)
        await kept.route.begun.wait()
        yield house, await speaker(house, "/in"), kept
