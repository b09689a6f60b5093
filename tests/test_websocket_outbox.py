"""What waits for a slow client, and what it misses, without sockets."""

from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from routerd.connectors.websocket.frames import TEXT, encode
from routerd.connectors.websocket.outbox import Outbox
from routerd.feed import POLICIES, Feed, Frame, Slow

PING = b"\x89\x00"
CLOSE = b"\x88\x02\x0f\xa0"


def waiting(outbox: Outbox) -> bytes:
    """All that would be written."""
    data = b"".join(outbox.peek(1 << 20))
    assert len(data) == outbox.size
    return data


def fill(outbox: Outbox, feed: Feed | None, texts: Sequence[bytes]) -> list[bool]:
    return [outbox.add(Frame(text, feed, key=text[:1].decode())) for text in texts]


def test_what_a_socket_did_not_take_is_cut_within_a_frame_not_before() -> None:
    outbox, feed = Outbox(), Feed("drop_oldest")
    frames = [Frame(text, feed) for text in (b"aaa", b"bbb", b"ccc")]
    assert outbox.add_rest(frames, 4)
    assert outbox.peek(10) == [b"bb", b"ccc"]
    assert len(outbox) == 1


def test_one_without_room_is_too_slow_unless_its_policy_drops() -> None:
    for policy in POLICIES:
        outbox = Outbox(most_messages=2)
        fits = fill(outbox, Feed(policy), [b"a", b"b", b"c"])
        assert fits == [True, True, policy != "disconnect"]
        assert outbox.is_patient is (policy != "disconnect")


@pytest.mark.parametrize(
    ("policy", "left", "missed"),
    [
        ("disconnect", b"a1b1a2b2a3", {}),
        ("drop_oldest", b"a2b2a3", {"oldest": 2}),
        ("drop_newest", b"a1b1a2", {"newest": 2}),
        ("latest", b"a3b2", {"replaced": 3}),
    ],
)
def test_each_policy_drops_what_it_says(policy: Slow, left: bytes, missed: dict[str, int]) -> None:
    outbox, feed = Outbox(most_messages=3), Feed(policy)
    fill(outbox, feed, [b"a1", b"b1", b"a2", b"b2", b"a3"])
    assert waiting(outbox) == left
    assert {reason: count for reason, count in feed.missed.items() if count} == missed


def test_too_many_keys_drop_the_oldest_of_the_newest() -> None:
    outbox, feed = Outbox(most_messages=2), Feed("latest")
    fill(outbox, feed, [b"a1", b"b1", b"c1", b"b2"])
    assert waiting(outbox) == b"b2c1"
    assert feed.missed == {"replaced": 1, "oldest": 1, "disconnected": 0, "gone": 0}


def test_a_newer_message_of_a_key_keeps_the_place_of_the_older_one() -> None:
    outbox, feed = Outbox(), Feed("latest")
    fill(outbox, feed, [b"a1", b"b1"])
    fill(outbox, None, [b"answer"])
    fill(outbox, feed, [b"c1", b"a2"])
    assert waiting(outbox) == b"a2b1answerc1"


def test_two_feeds_with_one_key_do_not_replace_each_other() -> None:
    outbox = Outbox()
    fill(outbox, Feed("latest"), [b"a1"])
    fill(outbox, Feed("latest"), [b"a2"])
    assert waiting(outbox) == b"a1a2"


def test_bytes_are_a_bound_as_well() -> None:
    outbox, feed = Outbox(most_bytes=10), Feed("drop_oldest")
    fill(outbox, feed, [b"aaaa", b"bbbb", b"cccc"])
    assert waiting(outbox) == b"bbbbcccc"


@pytest.mark.parametrize("policy", POLICIES)
def test_a_lone_frame_may_exceed_the_bound(policy: Slow) -> None:
    outbox = Outbox(most_bytes=10)
    outbox.add_rest([Frame(b"half")], 2)
    assert fill(outbox, Feed(policy), [b"x" * 100]) == [True]
    assert waiting(outbox) == b"lf" + b"x" * 100


def test_a_half_written_frame_is_neither_dropped_nor_replaced() -> None:
    outbox, feed = Outbox(most_messages=1), Feed("latest")
    fill(outbox, feed, [b"a1234"])
    outbox.sent(2)
    fill(outbox, feed, [b"a5", b"a6", b"b1"])
    assert waiting(outbox) == b"234b1"
    outbox.drop_waiting("disconnected")
    assert waiting(outbox) == b"234"
    outbox.drop_all("gone")
    assert not outbox
    assert feed.missed == {"replaced": 1, "oldest": 1, "disconnected": 1, "gone": 1}


def test_pings_overtake_messages_and_a_close_frame_is_behind_them_all() -> None:
    outbox = Outbox()
    outbox.add_rest([Frame(b"abc")], 1)
    fill(outbox, Feed("latest"), [b"d"])
    fill(outbox, None, [b"answer"])
    outbox.add_urgent(PING)
    outbox.add_urgent(b"\x8a\x00")
    outbox.add_last(CLOSE)
    assert waiting(outbox) == b"bc" + PING + b"\x8a\x00" + b"d" + b"answer" + CLOSE


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest", "latest"])
def test_an_answer_finds_room_where_messages_give_way(policy: Slow) -> None:
    outbox, feed = Outbox(most_messages=2), Feed(policy)
    fill(outbox, feed, [b"a", b"b"])
    assert fill(outbox, None, [b"answer", b"more"]) == [True, True]
    assert waiting(outbox) == b"answermore"
    assert fill(outbox, feed, [b"c"]) == [True]
    assert sum(feed.missed.values()) == 3
    assert fill(outbox, None, [b"too many"]) == [False]


def test_pings_without_end_are_too_much() -> None:
    outbox = Outbox(most_messages=10)
    assert [outbox.add_urgent(PING) for _ in range(11)] == [True] * 10 + [False]


class Machine(RuleBasedStateMachine):
    """A client of one group, whose network takes as many bytes as it likes."""

    most_bytes, most_messages = 60, 6

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(most_bytes=self.most_bytes, most_messages=self.most_messages)
        self.feeds: dict[str, Feed] = {}
        self.policy: Slow = "disconnect"
        self.kinds: list[str] = []  # of frame number n: `ping`, `answer`, or its route and key
        self.written = b""
        self.is_over = False

    def make(self, kind: str, size: int = 0) -> bytes:
        """The next frame, which says its number."""
        self.kinds.append(kind)
        return encode(b"%04d" % (len(self.kinds) - 1) + b"." * size, is_text=True)

    @precondition(lambda self: not self.kinds)
    @rule(policy=st.sampled_from(POLICIES))
    def choose(self, policy: Slow) -> None:
        self.policy = policy

    @precondition(lambda self: not self.is_over)
    @rule(route=st.sampled_from("AB"), key=st.sampled_from("xyz"), size=st.integers(0, 80))
    def publish(self, route: str, key: str, size: int) -> None:
        feed = self.feeds.setdefault(route, Feed(self.policy))
        frame = Frame(self.make(route + key, size), feed, key)
        self.is_over = not self.outbox.add(frame)

    @precondition(lambda self: not self.is_over and not self.outbox)
    @rule(sizes=st.lists(st.integers(0, 40), min_size=1, max_size=9), data=st.data())
    def publish_directly(self, sizes: list[int], data: st.DataObject) -> None:
        feed = self.feeds.setdefault("A", Feed(self.policy))
        frames = [Frame(self.make("Ax", size), feed, "x") for size in sizes]
        joined = b"".join(frame.data for frame in frames)
        sent = data.draw(st.integers(0, len(joined)))
        self.written += joined[:sent]
        self.is_over = not self.outbox.add_rest(frames, sent)

    @precondition(lambda self: not self.is_over)
    @rule(is_ping=st.booleans())
    def answer(self, *, is_ping: bool) -> None:
        if is_ping:
            self.is_over = not self.outbox.add_urgent(self.make("ping"))
        else:
            self.is_over = not self.outbox.add(Frame(self.make("answer")))

    @precondition(lambda self: bool(self.outbox))
    @rule(most=st.integers(1, 9), data=st.data())
    def write(self, most: int, data: st.DataObject) -> None:
        pieces = b"".join(self.outbox.peek(most))
        sent = data.draw(st.integers(1, len(pieces)))
        self.written += pieces[:sent]
        self.outbox.sent(sent)

    @precondition(lambda self: self.is_over)
    @rule()
    def cut(self) -> None:
        self.outbox.drop_waiting("disconnected")

    @invariant()
    def no_frame_is_cut_or_out_of_order(self) -> None:
        rows: dict[str, list[int]] = {}
        for number in self.on_the_wire():
            kind = self.kinds[number]
            is_message = kind not in {"ping", "answer"} and self.policy != "latest"
            rows.setdefault("message" if is_message else kind, []).append(number)
        assert all(row == sorted(set(row)) for row in rows.values())

    @invariant()
    def every_message_is_written_or_waits_or_was_missed_once(self) -> None:
        here = [self.kinds[number][0] for number in self.on_the_wire()]
        for route, feed in self.feeds.items():
            published = sum(kind[0] == route for kind in self.kinds)
            assert here.count(route) + sum(feed.missed.values()) == published

    @invariant()
    def no_answer_is_dropped(self) -> None:
        if not self.is_over:
            here = [self.kinds[number] for number in self.on_the_wire()]
            for kind in ("ping", "answer"):
                assert here.count(kind) == self.kinds.count(kind)

    @invariant()
    def it_is_within_its_bounds(self) -> None:
        if not self.is_over:
            assert len(self.outbox) <= self.most_messages
            assert len(self.outbox) <= 1 or self.outbox.size <= self.most_bytes

    @invariant()
    def only_the_newest_of_each_key_waits_for_the_latest(self) -> None:
        if self.policy == "latest":
            newest = {kind: number for number, kind in enumerate(self.kinds)}
            for piece in self.outbox.peek(100):
                if piece[0] == TEXT and self.kinds[_number(piece)] not in {"ping", "answer"}:
                    assert _number(piece) == newest[self.kinds[_number(piece)]]

    def on_the_wire(self) -> list[int]:
        """The numbers of all frames that are written or wait, all of them whole."""
        data, found = self.written + waiting(self.outbox), []
        while data:
            size = data[1] + 2
            assert data[0] == TEXT
            assert len(data) >= size
            found.append(_number(data))
            data = data[size:]
        return found


def _number(data: bytes) -> int:
    return int(data[2:6])


TestMachine = pytest.mark.slow(Machine.TestCase)
TestMachine.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
