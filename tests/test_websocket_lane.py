"""Whole messages out of a client's bytes, whatever pieces they come in; the rest passed on."""

from collections.abc import Iterable, Sequence
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage

from routerd.connectors.websocket.lane import Lane, Passed, Run, Said
from routerd.connectors.websocket.reasons import Ending
from tests.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame

MESSAGE_BYTES, FRAGMENTS = 1 << 20, 1024
FIRST = frame(TEXT, b"a", fin=False)
MORE = frame(CONTINUATION, b"", fin=False)
LAST = frame(CONTINUATION, b"b")
TOO_LONG = frame(BINARY, length=MESSAGE_BYTES + 1, width=8)
SNOWMAN = "\N{SNOWMAN}".encode()


def new_lane() -> Lane:
    return Lane(message_bytes=MESSAGE_BYTES, fragments=FRAGMENTS)


def feed(lane: Lane, pieces: Iterable[bytes]) -> list[Run]:
    """What a lane makes of them, until a limit is exceeded."""
    runs: list[Run] = []
    for piece in pieces:
        if lane.breach is None:
            runs += lane.feed(piece)
    return runs


def through(*pieces: bytes) -> list[Run]:
    """What a new lane makes of them."""
    return feed(new_lane(), pieces)


def passed(runs: Sequence[Run]) -> bytes:
    """What trio-websocket gets."""
    return b"".join(run.data for run in runs if isinstance(run, Passed))


def cut(data: bytes, sizes: Iterable[int]) -> list[bytes]:
    """Pieces of these sizes, and what is left after them."""
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [piece for piece in (*pieces, data) if piece]


# --- what it takes


def test_messages_that_came_together_are_taken_together() -> None:
    data = frame(TEXT, b"a") + frame(BINARY, b"\xff") + frame(TEXT, b"") + frame(TEXT, SNOWMAN)
    assert through(data) == [[(b"a", True), (b"\xff", False), (b"", True), (SNOWMAN, True)]]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 125, 126, 127, 65535, 65536, MESSAGE_BYTES])
def test_a_message_of_any_size_is_unmasked(size: int) -> None:
    payload = bytes(index * 7 & 0xFF for index in range(size))
    assert through(frame(BINARY, payload)) == [[(payload, False)]]


@pytest.mark.parametrize(
    "other",
    [
        frame(PING, b"x"),
        frame(PONG),
        FIRST,
        frame(CLOSE, b"\x03\xe8"),
        frame(TEXT, b"not \xff UTF-8"),
        frame(TEXT, SNOWMAN[:2]),
        frame(TEXT, b"unmasked", masked=False),
        frame(TEXT, b"", masked=False),
        frame(TEXT, b"compressed", rsv=4),
        frame(CONTINUATION, b"of nothing"),
        frame(0x3, b"unknown"),
        frame(PING, b"in pieces", fin=False),
        frame(PING, b"x" * 126),
        frame(TEXT, b"a long length", width=2),
        frame(BINARY, b"a long length", width=8),
    ],
)
def test_all_else_is_passed_on_as_it_is_and_in_its_place(other: bytes) -> None:
    before, after, *_ = through(frame(TEXT, b"before") + other)
    assert before == [(b"before", True)]
    assert isinstance(after, Passed)
    assert after.data == other


def test_a_message_in_fragments_is_passed_on_and_the_next_one_taken() -> None:
    ping = frame(PING, b"between")
    runs = through(FIRST + ping + MORE + LAST + frame(TEXT, b"next"))
    assert runs == [
        Passed(FIRST),
        Passed(ping, is_control=True),
        Passed(MORE),
        Passed(LAST, is_last=True),
        [(b"next", True)],
    ]


def test_what_follows_a_close_frame_is_no_message() -> None:
    goodbye, late = frame(CLOSE, b"\x03\xe8"), frame(TEXT, b"late")
    assert through(goodbye + late, late) == [
        Passed(goodbye, is_control=True),
        Passed(late),
        Passed(late),
    ]


def test_a_message_inside_another_one_is_passed_on_and_ends_the_lane() -> None:
    runs = through(FIRST + frame(TEXT, b"inside") + frame(TEXT, b"after"))
    assert all(isinstance(run, Passed) for run in runs)


def test_each_byte_of_a_trickle_is_kept_until_its_frame_is_whole() -> None:
    data = frame(BINARY, b"a" * 70_000) + frame(PING, b"x") + FIRST + LAST
    lane = new_lane()
    runs = [lane.feed(data[at : at + 1]) for at in range(len(data))]
    assert [len(some) for some in runs if some] == [1, 1, 1, 1]


@pytest.mark.parametrize("step", [1, 3, 100])
@pytest.mark.parametrize("size", [6, 200, 70_000])
def test_a_text_that_is_none_is_passed_on_as_soon_as_that_shows(step: int, size: int) -> None:
    good, bad = SNOWMAN * (size // 3), frame(TEXT, SNOWMAN * (size // 3) + b"\xff" + b"x" * 100)
    shows = len(bad) - 100
    lane = new_lane()
    runs = [lane.feed(bad[at : at + step]) for at in range(0, len(bad), step)]
    assert [run for run in runs[: (shows - 1) // step] if run] == []
    found = runs[(shows - 1) // step]
    assert len(good) < len(passed(found)) < shows + step


# --- what it forbids


@pytest.mark.parametrize(
    "good",
    [
        frame(TEXT, b""),
        frame(BINARY, b"a" * MESSAGE_BYTES),
        FIRST + MORE * (FRAGMENTS - 2) + LAST,
        (FIRST + MORE * (FRAGMENTS - 2) + LAST) * 3,
        FIRST + (MORE + frame(PING, b"x" * 125)) * (FRAGMENTS - 2) + LAST,
        frame(BINARY, b"a" * (MESSAGE_BYTES - 1), fin=False) + LAST,
        frame(PING, b"") * 5000,
        frame(TEXT, b"") * 5000,
    ],
)
def test_what_is_at_a_limit_is_fine(good: bytes) -> None:
    lane = new_lane()
    lane.feed(good)
    assert lane.breach is None


@pytest.mark.parametrize(
    ("before", "over", "why"),
    [
        (b"", TOO_LONG, Ending.TOO_BIG),
        (MORE.join([FIRST, LAST]) * 3, TOO_LONG, Ending.TOO_BIG),
        (frame(BINARY, b"a" * MESSAGE_BYTES, fin=False), LAST, Ending.TOO_BIG),
        (FIRST + MORE * (FRAGMENTS - 1), MORE, Ending.TOO_MANY_FRAGMENTS),
        (
            FIRST + frame(PING, b"x") + MORE * (FRAGMENTS - 1) + frame(PING, b"x"),
            LAST,
            Ending.TOO_MANY_FRAGMENTS,
        ),
        (b"", frame(BINARY, length=(1 << 64) - 1, width=8), Ending.TOO_BIG),
    ],
)
def test_a_frame_over_a_limit_goes_nowhere_nor_does_what_follows(
    before: bytes, over: bytes, why: Ending
) -> None:
    lane = new_lane()
    assert passed(feed(lane, [before + over + frame(PING)])) == before
    assert lane.breach is why


def test_a_message_is_judged_by_what_it_announces() -> None:
    lane = new_lane()
    lane.feed(TOO_LONG[:9])
    assert lane.breach is None
    lane.feed(TOO_LONG[9:10])
    assert lane.breach is Ending.TOO_BIG


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_a_breach_is_found_wherever_the_pieces_are_cut(size: int) -> None:
    said, ping = b"a" * size, frame(PING, b"b" * 5)
    data = frame(TEXT, said) + ping + TOO_LONG
    joint = len(data) - len(ping + TOO_LONG)
    for at in {*range(20), *range(joint - 12, len(data))} & set(range(len(data))):
        lane = new_lane()
        runs = feed(lane, [data[:at], data[at:]])
        assert runs == [[(said, True)], Passed(ping, is_control=True)], at
        assert lane.breach is Ending.TOO_BIG


def test_what_follows_a_close_frame_is_not_judged() -> None:
    lane = new_lane()
    lane.feed(frame(CLOSE, b"\x03\xe8") + TOO_LONG)
    lane.feed(TOO_LONG)
    assert lane.breach is None


# --- beside wsproto, which sees every byte


class Oracle:
    """What a client said, as wsproto has it: messages, pings and pongs, and how it ended."""

    def __init__(self) -> None:
        self.said: list[tuple[str, bytes | int]] = []
        self._connection = Connection(ConnectionType.SERVER)
        self._parts = b""
        self.is_over = False

    @property
    def messages(self) -> int:
        return sum(kind in {"text", "binary"} for kind, _ in self.said)

    def take(self, said: Sequence[Said]) -> None:
        """Messages that didn't come by way of it."""
        self.said += [("text" if is_text else "binary", data) for data, is_text in said]

    def feed(self, data: bytes) -> None:
        if not self.is_over:
            self._connection.receive_data(data)
            for event in self._connection.events():
                self._note(event)

    def _note(self, event: Event) -> None:
        match event:
            case TextMessage(data=text):
                self._note_part("text", text.encode(), is_last=event.message_finished)
            case BytesMessage(data=data):
                self._note_part("binary", bytes(data), is_last=event.message_finished)
            case Ping(payload=payload) | Pong(payload=payload):
                self.said.append((type(event).__name__, bytes(payload)))
            case CloseConnection(code=code):
                self.said.append(("close", code))
                self.is_over = True

    def _note_part(self, kind: str, data: bytes, *, is_last: bool) -> None:
        self._parts += data
        if is_last:
            self.said.append((kind, self._parts))
            self._parts = b""


SIZES = st.sampled_from([0, 1, 2, 3, 5, 8, 124, 125, 126, 127, 300, 65535, 65536])
TEXTS = st.one_of(st.text(max_size=40), SIZES.map(lambda size: "x" * size)).map(str.encode)
DATA = st.one_of(st.binary(max_size=40), SIZES.map(lambda size: b"\xfe" * size))
CONTROL = st.builds(frame, st.sampled_from([PING, PONG]), st.binary(max_size=125))
WHOLE = st.one_of(st.builds(frame, st.just(TEXT), TEXTS), st.builds(frame, st.just(BINARY), DATA))


@st.composite
def fragmented(draw: st.DrawFn) -> bytes:
    """A message in fragments, cut anywhere, also within a character; control frames between."""
    opcode, data = draw(st.one_of(TEXTS.map(lambda t: (TEXT, t)), DATA.map(lambda d: (BINARY, d))))
    parts = [*cut(data, draw(st.lists(st.integers(0, 50), min_size=1, max_size=4))), b""]
    frames = []
    for index, part in enumerate(parts):
        kind = CONTINUATION if index else opcode
        frames.append(frame(kind, part, fin=index == len(parts) - 1))
        frames += draw(st.lists(CONTROL, max_size=1)) if part else []
    return b"".join(frames)


ILLEGAL = st.one_of(
    st.builds(frame, st.just(TEXT), st.binary(max_size=20)),  # mostly no UTF-8
    st.builds(frame, st.integers(0, 15), DATA, fin=st.booleans(), rsv=st.integers(0, 7)),
    st.builds(frame, st.integers(0, 15), DATA, masked=st.booleans(), width=st.just(8)),
    st.builds(frame, st.integers(0, 15), DATA, masked=st.booleans()),
    st.builds(frame, st.just(CLOSE), st.binary(max_size=4)),
)
SOME = st.lists(st.one_of(WHOLE, WHOLE, CONTROL, fragmented()), max_size=8)
STORY = st.builds(lambda *lists: b"".join(chain(*lists)), SOME, st.lists(ILLEGAL, max_size=2), SOME)


@settings(max_examples=2000, deadline=None)
@given(STORY, st.lists(st.integers(1, 200), max_size=30))
def test_taken_and_passed_on_together_are_what_wsproto_reads_in_the_same_order(
    data: bytes, sizes: list[int]
) -> None:
    expected, found = Oracle(), Oracle()
    expected.feed(data)
    for run in through(*cut(data, sizes)):
        if found.is_over:
            break  # it asks for nothing more
        if isinstance(run, Passed):
            before = found.messages
            found.feed(run.data)
            is_over = found.said[-1:] and found.said[-1][0] == "close"
            assert is_over or run.is_last == found.messages - before
        else:
            found.take(run)
    assert found.said == expected.said
