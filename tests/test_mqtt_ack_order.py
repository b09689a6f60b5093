"""Acknowledgements leave in the order in which messages came, skipped ones in their turn."""

from hypothesis import given
from hypothesis import strategies as st

from routerd.connectors.mqtt.ack_order import AckOrder
from routerd.mailbox import Batch
from routerd.message import Message
from tests.fakes import FakeSource


def batch(*tokens: int) -> Batch:
    return Batch([Message(b"t", b"", token) for token in tokens], 0, 0, FakeSource())


def test_a_skipped_message_waits_for_those_before_it() -> None:
    order = AckOrder()
    order.skip([(0, 1), (2, 4)])
    order.put(3)
    assert order.settle(()) == [1]
    assert order.settle([batch(2)]) == [2]
    assert order.settle([batch(3, 5)]) == [3, 4, 5]


def test_qos_0_is_counted_and_not_acknowledged() -> None:
    order = AckOrder()
    order.skip([(1, 0), (2, 9)])
    order.put(2)
    assert order.settle([batch(0, 7)]) == [7, 9]


@given(data=st.data())
def test_every_token_comes_once_and_in_order(data: st.DataObject) -> None:
    order, waiting, expected, sent = AckOrder(), list[int](), list[int](), list[int]()
    token = 0
    for _ in range(data.draw(st.integers(1, 8))):
        kinds = data.draw(st.lists(st.sampled_from(["put", "skip", "qos 0"]), max_size=6))
        skipped, put = list[tuple[int, int]](), list[int]()
        for kind in kinds:
            token += 1
            if kind == "skip":
                skipped.append((len(put), token))
            else:
                put.append(token if kind == "put" else 0)
            if kind != "qos 0":
                expected.append(token)
        order.skip(skipped)
        sent += order.settle(())
        order.put(len(put))
        waiting += put
        count = data.draw(st.integers(0, len(waiting)))
        if count:
            sent += order.settle([batch(*waiting[:count])])
            del waiting[:count]
        assert sent == expected[: len(sent)]
    sent += order.settle([batch(*waiting)])
    assert sent == expected
