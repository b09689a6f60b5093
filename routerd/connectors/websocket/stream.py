"""The stream that trio-websocket is given instead of the socket's own.

What it writes goes through the client's `Writer`, in one order with broadcasts. What it reads
goes through the `Lane`: messages that are taken out there go to the client's `Taker` at once, the
rest to trio-websocket. And closing it lets the last bytes arrive.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

from routerd.connectors.websocket.frames import PONG, encode_close
from routerd.connectors.websocket.handshake import find_end
from routerd.connectors.websocket.intake import Taker
from routerd.connectors.websocket.lane import Lane, Passed, Run, Said
from routerd.connectors.websocket.limits import Limits
from routerd.connectors.websocket.meter import Meter
from routerd.connectors.websocket.reasons import Ending
from routerd.connectors.websocket.secure import SecureTransport
from routerd.connectors.websocket.writer import Writer

LINGER = 1.0
"""Seconds that a client has to read our last bytes and close its side.

A socket that is closed with unread input resets the connection, and the reset may overtake
the close frame or the HTTP answer that says why.
"""
SELDOM = 1.0
"""Seconds. A client that has more for trio-websocket than that often keeps it: another one takes
some 0.3 ms."""
_HEAD_BYTES = 4096
_READ_BYTES = 32 << 10
"""At once. Twice that saves 5 %, and others wait meanwhile: 4,000 messages of a byte fit, 4 ms."""


class ClientStream(trio.abc.Stream):
    """One client's bytes. Reads the request itself, then serves trio-websocket.

    Attributes:
        offence: asked, when it closes without a close frame sent, what the client did wrong;
            None: nothing. trio-websocket just hangs up on one that breaks the protocol.
        is_hopeless: whether closing throws away what the kernel could not send yet.
        on_quiet: called when trio-websocket has read all that is for it, no message is half read,
            and that is seldom so; it gets nothing more then. None: it does.
    """

    __slots__ = (
        "_all_taken", "_answered", "_breach", "_closing", "_heard_at", "_is_asked", "_is_held",
        "_is_open", "_is_reading", "_lane", "_meter", "_on_offence", "_on_open", "_passed_messages",
        "_pause", "_quiet_at", "_received", "_request", "_resumed_at", "_runs", "_taker",
        "_transport", "_wait", "_writer", "is_hopeless", "offence", "on_quiet",
    )  # fmt: skip

    def __init__(
        self,
        transport: trio.SocketStream | SecureTransport,
        writer: Writer,
        *,
        limits: Limits,
        on_offence: Callable[[Ending], None],
    ) -> None:
        """Takes over a client's socket.

        Args:
            transport: nobody else reads from it.
            writer: of the same socket.
            limits: that its frames are held to.
            on_offence: called before the close code is sent to a client that broke
                the protocol or a limit.
        """
        self._transport = transport
        self._writer = writer
        self._on_offence = on_offence
        self._lane = Lane(message_bytes=limits.max_message, fragments=limits.max_fragments)
        self._meter = Meter(limits, now=trio.current_time())
        self._runs: list[Run] = []  # read, and not yet on their way; the next one is the last
        self._breach: Ending | None = None
        self._pause = 0.0  # seconds that nothing shall be read, since too much was said
        self._is_held = False
        self._heard_at = self._resumed_at = trio.current_time()
        self._taker: Taker | None = None
        self._passed_messages = 0  # that trio-websocket has, and the taker hasn't
        self._all_taken: trio.Event | None = None
        self._wait: trio.CancelScope | None = None
        self._received = b""
        self._request = b""
        self._on_open: Callable[[], None] = _do_nothing
        self._is_asked = False  # the request is still to be read
        self._answered: trio.Event | None = None  # None: no answer is awaited
        self._is_open = False
        self._quiet_at = float("-inf")
        self.on_quiet: Callable[[], None] | None = None
        self._is_reading = False
        self._closing: trio.Event | None = None
        self.offence: Callable[[], Ending | None] = _no_offence
        self.is_hopeless = False

    async def read_head(self) -> bytes:
        """The head of the client's HTTP request.

        Raises:
            Refused: it is malformed or too long.
            trio.BrokenResourceError: the client left before its end.
        """
        while (end := find_end(self._received)) < 0:
            piece = await self._transport.receive_some(_HEAD_BYTES)
            if not piece:
                raise trio.BrokenResourceError("the client left during the handshake")
            self._received += piece
        head, self._received = self._received[:end], self._received[end:]
        return head

    def present(self, request: bytes, *, taker: Taker, on_open: Callable[[], None]) -> None:
        """Sets the request that trio-websocket will read, and who gets the messages after it.

        Args:
            request: in a form that it can't fail on.
            taker: of every message that the client sends, until `close_lane`.
            on_open: called in the same step in which its answer is written, so that nobody
                who has seen the answer misses what is broadcast after it.
        """
        self._request = request
        self._taker = taker
        self._on_open = on_open

    def ask(self) -> None:
        """A new trio-websocket is about to read the request; the client gets one answer alone."""
        self._is_asked = True
        self._answered = trio.Event()

    async def take(self, said: Said) -> None:
        """A message that came out of trio-websocket. Nothing is read until it is taken."""
        await self._hand_over([said])
        self._passed_messages -= 1
        if not self._passed_messages and self._all_taken is not None:
            self._all_taken.set()

    def close_lane(self) -> None:
        """No message is taken from now on; what still comes is read for a close frame alone."""
        self._taker = None
        if self._all_taken is not None:
            self._all_taken.set()
        if self._wait is not None:
            self._wait.cancel()

    @property
    def is_held(self) -> bool:
        """Whether nothing is read now, whatever the client says: its deadlines must rest."""
        return self._is_held

    def has_listened_since(self, time: float) -> bool:
        """Whether it was never held since then: what the client said, was heard."""
        return not self._is_held and self._resumed_at < time

    @property
    def heard_at(self) -> float:
        """When the client last said something; now, if it can't be heard."""
        return trio.current_time() if self._is_held else max(self._heard_at, self._resumed_at)

    @property
    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._closing is not None

    async def refuse(self, answer: bytes) -> None:
        """Writes an HTTP answer and closes."""
        self._writer.write(answer)
        await self.aclose()

    def forget_call(self) -> None:
        """This trio-websocket reads nothing more, and shall not be kept."""
        self.on_quiet, self.offence = None, _no_offence

    async def listen(self) -> bool:
        """Reads messages until there is something for trio-websocket, or the client is gone.

        False: it is gone.
        """
        try:
            run = await self._find_passed()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return False
        if run is None:
            return False
        self._runs.append(run)
        return True

    # --- what trio-websocket calls

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The request; once it is answered, what is not for the lane, up to the end."""
        await trio.lowlevel.checkpoint()
        if self._closing is not None:  # trio-websocket reads once more after it has closed this
            raise trio.ClosedResourceError("the connection is closed")
        if self._is_asked:
            self._is_asked = False
            return self._request
        if self._answered is not None:
            await self._answered.wait()
        if self._passed_messages and self._taker:  # the lane must not overtake them
            self._all_taken = trio.Event()
            await self._all_taken.wait()
        run = await self._find_passed()
        if run is None:
            return b""
        self._passed_messages += run.is_last
        return run.data

    async def _find_passed(self) -> Passed | None:
        """The next that is for trio-websocket; None: the client is gone, or broke a limit."""
        while self._runs or self._breach is None:
            if not self._runs:
                if self.on_quiet is not None and self._lane.is_between_messages:
                    await self._tell_quiet(self.on_quiet)
                if self._pause and self._taker:
                    await self._take_rest()
                data = await self._receive()
                if not data:
                    return None
                self._split(data)
            elif isinstance(run := self._runs.pop(), Passed):
                if run.data[0] != PONG or not run.is_control:  # a sign of life, and no more
                    return run
            else:
                await self._hand_over(run)
        self._punish(self._breach)
        return None

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Writes without waiting: the writer's bound, not the caller, is what limits a client."""
        await trio.lowlevel.checkpoint()
        if self._answered is None or not self._is_open:
            self._writer.write(bytes(data))
        if self._answered is not None:
            self._answered.set()
            self._answered = None
            if not self._is_open:
                self._is_open = True
                self._on_open()
                self._on_open = _do_nothing  # what it was is needed no more

    async def wait_send_all_might_not_block(self) -> None:
        """It never does."""
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Closes the connection; whoever comes second waits for the first.

        What is queued is written and the client's end of the connection awaited, both within
        `LINGER`, unless this is cancelled or somebody still reads.
        """
        if self._closing is not None:
            await self._closing.wait()
            return
        self._closing = trio.Event()
        try:
            if not self._is_reading:
                with trio.move_on_after(LINGER):
                    await self._part()
            await trio.lowlevel.checkpoint()
        finally:
            self._writer.close(reset=self.is_hopeless)
            self._closing.set()

    async def _hand_over(self, said: list[Said]) -> None:
        taker = self._taker
        if taker is not None and not taker.take(said):
            with trio.CancelScope() as self._wait, self._held():
                await taker.wait_for_room()

    async def _tell_quiet(self, on_quiet: Callable[[], None]) -> None:
        """Waits for the end of this trio-websocket, unless another one was here just now."""
        now, before = trio.current_time(), self._quiet_at
        self._quiet_at = now
        if now > before + SELDOM:
            on_quiet()
            await trio.sleep_forever()

    async def _take_rest(self) -> None:
        """Lets a client wait that said too much."""
        with trio.move_on_after(self._pause) as self._wait, self._held():
            await trio.sleep_forever()
        self._pause = 0.0

    @contextmanager
    def _held(self) -> Iterator[None]:
        self._is_held = True
        since = trio.current_time()
        try:
            yield
        finally:
            self._is_held = False
            self._resumed_at = trio.current_time()
            self._meter.rest(since=since, now=self._resumed_at)

    def _split(self, data: bytes) -> None:
        """Takes apart and counts what was read; what goes beyond a rate is thrown away."""
        runs = self._lane.feed(data)
        messages = controls = 0
        for run in runs:
            if isinstance(run, Passed):
                messages += run.is_last
                controls += run.is_control
            else:
                messages += len(run)
        meter, self._heard_at = self._meter, trio.current_time()
        self._pause = meter.take(
            len(data), messages=messages, controls=controls, now=self._heard_at
        )
        self._breach = meter.breach or self._lane.breach
        if meter.breach is None:
            self._runs = runs[::-1]

    async def _receive(self) -> bytes:
        if self._received:
            data, self._received = self._received, b""
            await trio.lowlevel.checkpoint()
            return data
        self._is_reading = True
        try:
            if isinstance(self._transport, trio.SocketStream):
                return await _read(self._transport.socket)
            return await self._transport.receive_some(_READ_BYTES)
        finally:
            self._is_reading = False

    async def _part(self) -> None:
        try:
            why = self.offence()
            if why is not None and not self._writer.is_sealed:
                self._punish(why)
            await self._writer.wait_drained()
            await self._transport.send_eof()
            while await self._transport.receive_some(1 << 16):
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    def _punish(self, why: Ending) -> None:
        self._on_offence(why)
        self._writer.write(encode_close(why.code))


async def _read(sock: trio.socket.SocketType) -> bytes:
    """As `SocketStream.receive_some`, which takes more memory while nothing comes: 1.5 kB.

    Raises:
        trio.BrokenResourceError: the client is gone.
        trio.ClosedResourceError: the socket was closed here.
    """
    while True:
        await trio.lowlevel.wait_readable(sock)
        try:
            return os.read(sock.fileno(), _READ_BYTES)
        except BlockingIOError:
            continue
        except OSError as exc:
            raise trio.BrokenResourceError("the client is gone") from exc


def _no_offence() -> Ending | None:
    return None


def _do_nothing() -> None:
    pass
