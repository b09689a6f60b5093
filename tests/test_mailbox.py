"""The mailbox counts what is in flight and says when there is room."""

import trio
import trio.testing

from routerd.errors import DeliveryFailed
from routerd.mailbox import Mailbox
from routerd.message import Message
from tests.fakes import FakeSource, fake_status


def burst(*payloads: bytes) -> list[Message]:
    return [Message(b"topic", payload) for payload in payloads]


async def test_take_gives_all_bursts_of_one_life_as_one_batch() -> None:
    mailbox, source = Mailbox(fake_status()), FakeSource()
    mailbox.put(burst(b"a", b"b"), size=2, source=source)
    mailbox.put(burst(b"c"), size=1, source=source)
    batch = await mailbox.take()
    assert [m.payload for m in batch.messages] == [b"a", b"b", b"c"]
    assert batch.size == 3


async def test_a_take_has_an_end_however_much_piled_up() -> None:
    mailbox, source = Mailbox(fake_status()), FakeSource()
    for _ in range(3):
        mailbox.put(burst(*[b"x"] * 400), size=400, source=source)
    assert [len((await mailbox.take()).messages) for _ in range(2)] == [800, 400]


async def test_take_lets_others_have_their_turn() -> None:
    mailbox = Mailbox(fake_status())
    mailbox.put(burst(b"a"), size=1, source=FakeSource())
    with trio.testing.assert_checkpoints():
        await mailbox.take()


async def test_bursts_of_two_lives_are_not_merged() -> None:
    mailbox, old, new = Mailbox(fake_status()), FakeSource(), FakeSource()
    mailbox.put(burst(b"a"), size=1, source=old)
    mailbox.put(burst(b"b"), size=1, source=new)
    assert (await mailbox.take()).source is old
    assert (await mailbox.take()).source is new


async def test_problems_keep_pointing_at_their_message_when_bursts_merge() -> None:
    mailbox, source, problem = Mailbox(fake_status()), FakeSource(), DeliveryFailed("too large")
    mailbox.put(burst(b"a", b"b"), size=2, source=source)
    mailbox.put(burst(b"c", b""), size=1, source=source, problems={1: problem})
    assert (await mailbox.take()).problems == {3: problem}


async def test_one_read_may_exceed_the_limit_and_the_next_one_waits() -> None:
    status = fake_status(inflight=2)
    mailbox, source = Mailbox(status), FakeSource()
    assert mailbox.has_room
    mailbox.put(burst(b"a", b"b", b"c"), size=3, source=source)
    assert not mailbox.has_room
    assert (status.received, status.inflight, status.inflight_bytes) == (3, 3, 3)


async def test_bytes_bound_the_mailbox_as_messages_do() -> None:
    status = fake_status()
    status.inflight_bytes_limit = 10
    mailbox = Mailbox(status)
    mailbox.put(burst(b"x" * 10), size=10, source=FakeSource())
    assert not mailbox.has_room


async def test_release_wakes_whoever_waits_for_room() -> None:
    mailbox, source = Mailbox(fake_status(inflight=1)), FakeSource()
    mailbox.put(burst(b"a"), size=1, source=source)
    batch = await mailbox.take()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.wait_for_room)
        await trio.testing.wait_all_tasks_blocked()
        assert nursery.child_tasks
        mailbox.release([batch])


async def test_a_new_life_has_no_room_until_the_last_one_is_settled() -> None:
    mailbox = Mailbox(fake_status())
    mailbox.put(burst(b"a"), size=1, source=FakeSource())
    mailbox.begin_life()
    assert mailbox.waits_for_last_life
    assert not mailbox.has_room
    mailbox.release([await mailbox.take()])
    assert mailbox.has_room


async def test_a_closed_mailbox_never_has_room(autojump_clock: trio.abc.Clock) -> None:
    mailbox = Mailbox(fake_status())
    mailbox.close()
    with trio.move_on_after(3600) as waited:
        await mailbox.wait_for_room()
    assert waited.cancelled_caught


async def test_a_cancelled_take_takes_nothing(autojump_clock: trio.abc.Clock) -> None:
    mailbox = Mailbox(fake_status())
    with trio.move_on_after(1):
        await mailbox.take()
    mailbox.put(burst(b"a"), size=1, source=FakeSource())
    assert len((await mailbox.take()).messages) == 1


def test_dropped_messages_are_received_and_settled_at_once() -> None:
    status = fake_status()
    Mailbox(status).drop(3, "overloaded")
    assert status.dropped == {"overloaded": 3}
    assert status.received == status.settled + status.inflight
