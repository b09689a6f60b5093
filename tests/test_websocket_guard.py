"""The limits on a client's message, fed with its bytes in pieces of any size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.connectors.websocket.guard import FrameGuard
from routerd.connectors.websocket.limits import DEFAULTS
from tests.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, TEXT, frame

FRAGMENTS, MESSAGE_BYTES = DEFAULTS.max_fragments, DEFAULTS.max_message
FIRST = frame(TEXT, b"a", fin=False)
MORE = frame(CONTINUATION, b"", fin=False)
LAST = frame(CONTINUATION, b"b")
TOO_LONG = frame(BINARY, length=MESSAGE_BYTES + 1, width=8)


def breach(*pieces: bytes) -> int | None:
    """Where in all of them together the frame begins that is over a limit."""
    guard, before = FrameGuard(DEFAULTS), 0
    for piece in pieces:
        found = guard.find_breach(piece)
        if found is not None:
            return before + found
        before += len(piece)
    return None


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
    ids=range(8),  # what is masked at random names no test
)
def test_what_is_at_a_limit_is_fine(good: bytes) -> None:
    assert breach(good) is None


@pytest.mark.parametrize(
    ("before", "over"),
    [
        (b"", TOO_LONG),
        (frame(TEXT, b"fine") * 3, TOO_LONG),
        (frame(BINARY, b"a" * MESSAGE_BYTES, fin=False), LAST),
        (FIRST + MORE * (FRAGMENTS - 1), MORE),
        (FIRST + frame(PING, b"x") + MORE * (FRAGMENTS - 1) + frame(PING, b"x"), LAST),
        (b"", frame(BINARY, length=(1 << 64) - 1, width=8)),
    ],
    ids=range(6),
)
def test_a_frame_over_a_limit_is_found_where_it_begins(before: bytes, over: bytes) -> None:
    assert breach(before + over) == len(before)


def test_a_message_is_judged_by_what_it_announces() -> None:
    assert breach(TOO_LONG[:10]) == 0
    assert breach(TOO_LONG[:9]) is None


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_a_breach_is_found_wherever_the_pieces_are_cut(size: int) -> None:
    before = frame(TEXT, b"a" * size) + frame(PING, b"b" * 5)
    data = before + TOO_LONG
    near_the_joints = {*range(20), *range(len(before) - 12, len(data))} & set(range(len(data)))
    for cut in near_the_joints:
        assert breach(data[:cut], data[cut:]) == len(before), cut


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60))
def test_a_breach_is_found_in_pieces_of_any_size(sizes: list[int]) -> None:
    before = frame(TEXT, b"a" * 300, width=8) + frame(PING, b"b" * 5) + FIRST + LAST
    data = before + TOO_LONG
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    assert breach(*pieces, data) == len(before)


def test_what_follows_a_close_frame_is_not_judged() -> None:
    assert breach(frame(CLOSE, b"\x03\xe8"), TOO_LONG) is None
    assert breach(frame(CLOSE, b"\x03\xe8") + TOO_LONG) is None
