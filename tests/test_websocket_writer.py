"""One client's writer, on a pair of sockets of which the far end reads when a test wants."""

import fcntl
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from routerd.connectors.websocket.frames import encode, encode_close
from routerd.connectors.websocket.limits import DEFAULTS, Limits
from routerd.connectors.websocket.writer import Writer
from routerd.feed import Feed, Frame, Slow

PING = b"\x89\x00"
CLOSE = encode_close(4408)
_SIOCOUTQNSD = 0x894B
MANY = 40 << 20
"""Bytes: more than a writer and all kernel buffers together take."""


class Bench:
    """A writer and the far end of its socket."""

    def __init__(
        self, nursery: trio.Nursery, near: socket.socket, far: socket.socket, limits: Limits
    ) -> None:
        self.near, self.far = trio.socket.from_stdlib_socket(near), far
        self.slow = 0
        self.reported = trio.Event()
        self.writer = Writer(
            self.near,
            start_drain=lambda: nursery.start_soon(self.writer.drain),
            on_slow=self._count_slow,
            limits=limits,
        )

    def _count_slow(self) -> None:
        self.slow += 1
        self.reported.set()

    def unsent(self) -> int:
        """Bytes that the kernel has and could not send yet."""
        return int.from_bytes(fcntl.ioctl(self.near, _SIOCOUTQNSD, b"\0" * 4), "little")

    def fill(self, chunk: bytes = b"f" * 65536) -> int:
        """Pushes until a part of it had to be queued; gives how many bytes that were."""
        pushed = 0
        while pushed < MANY and not self.writer.queued_bytes:
            self.writer.offer(chunk)
            pushed += len(chunk)
        assert self.writer.queued_bytes
        return pushed

    async def read(self, size: int) -> bytes:
        """What the far end gets, up to `size` bytes or the end."""
        got = bytearray()
        self.far.setblocking(False)
        with trio.fail_after(5):
            while len(got) < size:
                await trio.lowlevel.wait_readable(self.far)
                piece = self.far.recv(1 << 20)
                if not piece:
                    break
                got += piece
        return bytes(got)

    async def read_to_end(self) -> bytes:
        """All that the far end gets until the writer has nothing more and closes."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._close_when_drained)
            return await self.read(MANY)  # noqa: ASYNC121 - the other task ends by this

    async def _close_when_drained(self) -> None:
        await self.writer.wait_drained()
        self.writer.close()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a connection; the far one takes little at a time, the near one queues much."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        near = socket.create_connection(listener.getsockname())
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        return near, listener.accept()[0]


@asynccontextmanager
async def open_bench(
    limits: Limits = DEFAULTS,
    *,
    pair: Callable[[], tuple[socket.socket, socket.socket]] = socket.socketpair,
) -> AsyncIterator[Bench]:
    near, far = pair()
    near.setblocking(False)
    try:
        async with trio.open_nursery() as nursery:
            yield Bench(nursery, near, far, limits)
            nursery.cancel_scope.cancel()
    finally:
        near.close()
        far.close()


async def test_a_push_is_on_the_wire_before_it_returns() -> None:
    async with open_bench() as bench:
        bench.writer.offer(b"hello")
        assert bench.far.recv(100) == b"hello"
        assert not bench.writer.queued_bytes


async def test_what_the_socket_does_not_take_follows_in_order_when_it_does() -> None:
    async with open_bench() as bench:
        size = bench.fill()
        bench.writer.offer(b"A" * 100)
        bench.writer.offer(b"B" * 100)
        everything = await bench.read(size + 200)
        assert everything == b"f" * size + b"A" * 100 + b"B" * 100
        await wait_all_tasks_blocked()
        assert not bench.writer.queued_bytes
        bench.writer.offer(b"direct again")
        assert bench.far.recv(100) == b"direct again"
        assert bench.slow == 0


async def test_a_client_over_its_bound_is_reported_once_and_hears_only_the_close_frame() -> None:
    async with open_bench() as bench:
        frame = encode(b"x" * 1000, is_text=False)
        sent = bench.fill(frame)
        for _ in range(2 * DEFAULTS.queue_bytes // len(frame)):
            bench.writer.offer(frame)
        assert bench.slow == 1
        bench.writer.write(PING)
        bench.writer.write(CLOSE)
        bench.writer.offer(frame)
        everything = await bench.read_to_end()
        assert len(everything) < sent + DEFAULTS.queue_bytes
        assert everything.endswith(CLOSE)
        whole, cut = divmod(len(everything) - len(CLOSE), len(frame))
        assert cut == 0
        assert everything == frame * whole + CLOSE


@pytest.mark.slow
async def test_a_queue_is_within_its_bound_whoever_writes() -> None:
    async with open_bench() as bench:
        bench.fill()
        for _ in range(DEFAULTS.queue_bytes // len(PING) + 1):
            bench.writer.write(PING)
        assert bench.slow == 1


async def test_a_lone_frame_may_be_larger_than_the_bound() -> None:
    async with open_bench() as bench:
        frame = encode(b"x" * 2 * DEFAULTS.queue_bytes, is_text=False)
        bench.writer.offer(frame)
        assert bench.slow == 0
        assert await bench.read(len(frame)) == frame


async def test_a_ping_overtakes_what_waits() -> None:
    async with open_bench() as bench:
        size = bench.fill(b"f" * 1000)
        bench.writer.offer(b"a" * 100)
        bench.writer.write(PING)
        everything = await bench.read(size + 100 + len(PING))
        # One of those that filled it may have begun to be written, or not.
        assert everything.endswith((PING + b"a" * 100, PING + b"f" * 1000 + b"a" * 100))


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest", "latest"])
async def test_a_client_that_may_miss_messages_misses_them_and_stays(policy: Slow) -> None:
    async with open_bench() as bench:
        feed = Feed(policy)
        frames = [
            Frame(encode(b"%06d" % number + b"." * 994, is_text=True), feed, str(number % 7))
            for number in range(5000)
        ]
        for frame in frames:
            bench.writer.push(frame.data, (frame,))
        assert bench.slow == 0
        assert bench.writer.queued_bytes <= DEFAULTS.queue_bytes
        everything = await bench.read_to_end()
        heard, cut = divmod(len(everything), len(frames[0].data))
        assert cut == 0
        assert heard + sum(feed.missed.values()) == len(frames)
        assert (everything[-1000:-994] == b"004999") is (policy != "drop_newest")


async def test_what_waits_for_a_client_that_goes_is_counted_once() -> None:
    async with open_bench() as bench:
        feed = Feed("drop_oldest")
        frames = [Frame(b"x" * 65536, feed)] * 20
        sent = 0
        for frame in frames:
            bench.writer.push(frame.data, (frame,))
            sent += not bench.writer.queued_bytes
        bench.writer.close()
        bench.writer.push(b"x" * 65536, frames[:1])
        assert feed.missed["gone"] + feed.missed["oldest"] == len(frames) - sent + 1


async def test_what_waits_for_a_client_that_is_cut_is_counted_once() -> None:
    async with open_bench() as bench:
        feed = Feed("disconnect")
        frame = Frame(encode(b"x" * 1000, is_text=False), feed)
        for _ in range(5000):
            bench.writer.push(frame.data, (frame,))
        assert bench.slow == 1
        everything = await bench.read_to_end()
        heard, cut = divmod(len(everything), len(frame.data))
        assert cut == 0
        assert feed.missed == {"disconnected": 5000 - heard, "gone": 0}


async def test_a_client_over_its_number_of_messages_is_slow() -> None:
    async with open_bench() as bench:
        bench.fill()
        for _ in range(DEFAULTS.queue_messages + 1):
            bench.writer.offer(b"x")
        assert bench.slow == 1


@pytest.mark.parametrize(("policy", "is_short"), [("latest", True), ("disconnect", False)])
async def test_the_kernel_queues_little_for_a_client_that_may_miss_messages(
    policy: Slow, *, is_short: bool
) -> None:
    frame = Frame(b"x" * 8192, Feed(policy))
    async with open_bench(pair=tcp_pair) as bench:
        unsent = []
        for _ in range(2):  # once it was slow, it isn't trusted with much
            pushed = 0
            while not bench.writer.queued_bytes:
                bench.writer.push(frame.data, (frame,))
                pushed += len(frame.data)
            unsent.append(bench.unsent())
            await bench.read(pushed)
        assert unsent[0] > 200_000
        assert (unsent[1] < 100_000) is is_short


@pytest.mark.slow
async def test_a_client_that_may_miss_messages_may_take_its_time() -> None:
    async with open_bench(Limits(send_timeout=0.01)) as bench:
        frame = Frame(b"x" * 65536, Feed("latest"))
        while not bench.writer.queued_bytes:
            bench.writer.push(frame.data, (frame,))
        await trio.sleep(0.1)
        assert bench.slow == 0
        assert (await bench.read_to_end()).endswith(b"x")


@pytest.mark.slow
async def test_a_client_that_takes_nothing_for_too_long_is_slow() -> None:
    async with open_bench(Limits(send_timeout=0.05)) as bench:
        bench.fill()
        with trio.fail_after(5):
            await bench.reported.wait()


async def test_nothing_follows_a_close_frame() -> None:
    async with open_bench() as bench:
        bench.writer.write(CLOSE)
        bench.writer.offer(b"late")
        bench.writer.write(PING)
        bench.writer.write(CLOSE)
        assert bench.writer.is_sealed
        assert bench.far.recv(100) == CLOSE


async def test_a_close_frame_waits_for_what_is_queued() -> None:
    async with open_bench() as bench:
        size = bench.fill()
        bench.writer.write(CLOSE)
        bench.writer.offer(b"late")
        assert await bench.read(size + len(CLOSE)) == b"f" * size + CLOSE


async def test_pushing_to_a_client_that_is_gone_is_harmless() -> None:
    async with open_bench() as bench:
        bench.far.close()
        bench.writer.offer(b"a")
        bench.writer.offer(b"b")
        assert bench.writer.is_sealed
        with pytest.raises(trio.BrokenResourceError):
            bench.writer.write(PING)


async def test_a_client_that_goes_with_a_full_queue_frees_it() -> None:
    async with open_bench() as bench:
        bench.fill()
        bench.far.close()
        with trio.fail_after(5):
            await bench.writer.wait_drained()
        assert not bench.writer.queued_bytes


async def test_closing_wakes_whoever_waits_and_is_harmless_twice() -> None:
    async with open_bench() as bench, trio.open_nursery() as nursery:
        bench.fill()
        nursery.start_soon(bench.writer.wait_drained)
        await wait_all_tasks_blocked()
        bench.writer.close()
        bench.writer.close(last_words=CLOSE, reset=True)
        bench.writer.offer(b"late")


async def test_nothing_is_written_to_whoever_gets_the_same_file_descriptor_later() -> None:
    async with open_bench() as bench:
        number = bench.near.fileno()
        bench.writer.close()
        others = [socket.socketpair() for _ in range(10)]
        assert number in {sock.fileno() for pair in others for sock in pair}
        bench.writer.offer(b"not for you")
        for one, other in others:
            one.setblocking(False)
            other.setblocking(False)
            with pytest.raises(BlockingIOError):
                one.recv(1)
            with pytest.raises(BlockingIOError):
                other.recv(1)
            one.close()
            other.close()


async def test_last_words_are_written_if_nothing_is_in_the_way() -> None:
    async with open_bench() as bench:
        bench.writer.offer(b"a")
        bench.writer.close(last_words=CLOSE)
        assert await bench.read(100) == b"a" + CLOSE
